"""The stand-in makes and deletes meetings as documented, and refuses what it must."""

from __future__ import annotations

import pytest

from tests.support.ews_stand_in import EwsStandIn
from tests.support.ews_stand_in.asking import Asker
from tests.support.ews_stand_in.store import Item, Mailbox

PARTS = (
    "<t:Subject>New</t:Subject>"
    '<t:Body BodyType="HTML">&lt;p&gt;text&lt;/p&gt;</t:Body>'
    "<t:Start>2027-03-01T09:00:00Z</t:Start><t:End>2027-03-01T10:00:00Z</t:End>"
)
GUEST = (
    "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox></t:Attendee>"
    "</t:RequiredAttendees>"
)
BOB = GUEST.format("bob@fabrikam.com")
DAILY = (
    "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence>"
    "<t:StartDate>2027-03-01</t:StartDate><t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence>"
    "</t:Recurrence>"
)
CANCELS = ' SendMeetingCancellations="SendToAllAndSaveCopy"'
TO_ALL = ' SendMeetingInvitations="SendToAllAndSaveCopy"'


def create(parts: str = PARTS + BOB, sends: str = TO_ALL) -> str:
    folder = '<m:SavedItemFolderId><t:DistinguishedFolderId Id="calendar"/></m:SavedItemFolderId>'
    items = f"<m:Items><t:CalendarItem>{parts}</t:CalendarItem></m:Items>"
    return f'<m:CreateItem MessageDisposition="SaveOnly"{sends}>{folder}{items}</m:CreateItem>'


def delete(
    item_id: str, sends: str = ' SendMeetingCancellations="SendToAllAndSaveCopy"', how: str = "HardDelete"
) -> str:
    ids = f'<m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds>'
    return f'<m:DeleteItem DeleteType="{how}"{sends} AffectedTaskOccurrences="AllOccurrences">{ids}</m:DeleteItem>'


def move(series: Item, number: int, key: str) -> str:
    which = f'<t:OccurrenceItemId RecurringMasterId="{series.id}" ChangeKey="{key}" InstanceIndex="{number}"/>'
    value = "<t:CalendarItem><t:Location>Room 2</t:Location></t:CalendarItem>"
    update = f'<t:SetItemField><t:FieldURI FieldURI="calendar:Location"/>{value}</t:SetItemField>'
    return (
        '<m:UpdateItem ConflictResolution="NeverOverwrite" MessageDisposition="SaveOnly"'
        ' SendMeetingInvitationsOrCancellations="SendToAllAndSaveCopy"><m:ItemChanges><t:ItemChange>'
        f"{which}<t:Updates>{update}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


@pytest.fixture
def box(exchange: EwsStandIn) -> Mailbox:
    return exchange.mailbox("anna@contoso.com")


@pytest.fixture
def asker(exchange: EwsStandIn) -> Asker:
    return Asker(exchange)


def test_a_meeting_is_made_and_deleted_and_its_guests_are_told(
    exchange: EwsStandIn, asker: Asker, box: Mailbox
) -> None:
    made = asker.ask(create())

    (item,) = box.calendar.items
    assert made.values("ItemId", "Id") == [item.id]
    assert (item.subject, item.body, item.organizer[0]) == ("New", "<p>text</p>", "anna@contoso.com")
    assert asker.ask(delete(item.id)).code == "NoError"
    assert box.calendar.items == box.trash.items == []
    assert [(mail.kind, mail.recipients) for mail in exchange.mails] == [
        ("invitation", ("bob@fabrikam.com",)),
        ("cancellation", ("bob@fabrikam.com",)),
    ]
    assert asker.ask(delete(item.id)).code == "ErrorItemNotFound"


def test_an_occurrence_that_is_changed_becomes_an_exception(asker: Asker, box: Mailbox) -> None:
    asker.ask(create(PARTS + BOB + DAILY))
    (series,) = box.calendar.items
    key = series.change_key

    assert asker.ask(move(series, 2, key)).code == "NoError"
    assert [(each.kind, each.location, each.original_start.day) for each in series.exceptions] == [
        ("Exception", "Room 2", 2)
    ]
    assert asker.ask(move(series, 3, key)).code == "ErrorIrresolvableConflict"
    assert asker.ask(move(series, 4, series.change_key)).code == "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (create(sends=""), "ErrorSendMeetingInvitationsRequired"),
        (create(sends=' SendMeetingInvitations="SendToSome"'), "ErrorSchemaValidation"),
        (create(PARTS + GUEST.format("")), "ErrorInvalidRecipients"),
        (create(PARTS + "<t:IsCancelled>true</t:IsCancelled>"), "ErrorInvalidPropertySet"),
        (delete("AAMkAAAA"), "ErrorItemNotFound"),
    ],
)
def test_what_is_refused_makes_nothing(exchange: EwsStandIn, asker: Asker, box: Mailbox, asked: str, code: str) -> None:
    assert asker.ask(asked).code == code
    assert box.calendar.items == exchange.mails == []


def test_a_deletion_says_who_is_told_and_where_it_goes(exchange: EwsStandIn, asker: Asker, box: Mailbox) -> None:
    asker.ask(create())
    (item,) = box.calendar.items

    assert asker.ask(delete(item.id, sends="")).code == "ErrorSendMeetingCancellationsRequired"
    assert asker.ask(delete(item.id, how="Away")).code == "ErrorSchemaValidation"
    box.calendar.may_write = False
    assert asker.ask(delete(item.id)).code == "ErrorAccessDenied"
    assert asker.ask(create()).code == "ErrorAccessDenied"
    box.calendar.may_write = True
    assert asker.ask(delete(item.id, how="MoveToDeletedItems")).code == "NoError"
    assert box.trash.items == [item]
    assert len(exchange.mails) == 2
