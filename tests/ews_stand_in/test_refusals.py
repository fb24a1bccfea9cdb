"""The stand-in refuses what Exchange is documented to refuse: a row for each refusal, and what it does otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx2 as httpx
import pytest

from tests.support.ews_stand_in import ONE_BY_ONE, PASSWORD, EwsStandIn
from tests.support.ews_stand_in.asking import Asker
from tests.support.ews_stand_in.store import Item

START = datetime(2027, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
GUESTS = (("bob@fabrikam.com", "Bob", "Accept"), ("cleo@fabrikam.com", "Cleo", "Unknown"))
ONLY_IDS = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{}</m:ItemShape>"
NAMED = (
    '<t:ExtendedFieldURI DistinguishedPropertySetId="PublicStrings" PropertyName="ConferenceTelURI"'
    ' PropertyType="String"/>'
)


def field(*names: str) -> str:
    return "".join(f'<t:FieldURI FieldURI="{name}"/>' for name in names)


def shape(more: str) -> str:
    return ONLY_IDS.format(f"<t:AdditionalProperties>{more}</t:AdditionalProperties>" if more else "")


def get(item_id: str, more: str = "") -> str:
    ids = item_id if item_id.startswith("<") else f'<t:ItemId Id="{item_id}"/>'
    return f"<m:GetItem>{shape(more)}<m:ItemIds>{ids}</m:ItemIds></m:GetItem>"


def find(more: str = "", view: str = "", where: str = "") -> str:
    view = view or '<m:IndexedPageItemView MaxEntriesReturned="10" Offset="0" BasePoint="Beginning"/>'
    folder = '<m:ParentFolderIds><t:DistinguishedFolderId Id="calendar"/></m:ParentFolderIds>'
    return f'<m:FindItem Traversal="Shallow">{shape(more)}{view}{where}{folder}</m:FindItem>'


def set_body(text: str = "&lt;p&gt;new&lt;/p&gt;") -> str:
    value = f'<t:Body BodyType="HTML">{text}</t:Body>'
    return f"<t:SetItemField>{field('item:Body')}<t:CalendarItem>{value}</t:CalendarItem></t:SetItemField>"


def update(
    item: Item, change: str = "", key: str | None = "", how: str = "", sends: str = "SendToAllAndSaveCopy"
) -> str:
    key = f' ChangeKey="{item.change_key if key == "" else key}"' if key is not None else ""
    sends = f' SendMeetingInvitationsOrCancellations="{sends}"' if sends else ""
    return (
        f'<m:UpdateItem ConflictResolution="{how or "NeverOverwrite"}" MessageDisposition="SaveOnly"{sends}>'
        "<m:ItemChanges>"
        f'<t:ItemChange><t:ItemId Id="{item.id}"{key}/><t:Updates>{change or set_body()}</t:Updates></t:ItemChange>'
        "</m:ItemChanges></m:UpdateItem>"
    )


@pytest.fixture
def meeting(exchange: EwsStandIn) -> Item:
    box = exchange.mailbox("anna@contoso.com")
    return box.add(
        Item("One", START, START + HOUR, "<p>old</p>", required=GUESTS, named={"ConferenceTelURI": "tel:+1"})
    )


@pytest.fixture
def series(exchange: EwsStandIn) -> Item:
    changed = Item(
        "Two, later", START + timedelta(days=7, hours=2), START + timedelta(days=7, hours=3), required=GUESTS
    )
    changed.original_start = START + timedelta(days=7)
    item = Item("Two", START, START + HOUR, rrule="FREQ=WEEKLY;BYDAY=MO;COUNT=4", required=GUESTS, exceptions=[changed])
    item.deleted = [START + timedelta(days=14)]
    return exchange.mailbox("anna@contoso.com").add(item)


@pytest.fixture
def asker(exchange: EwsStandIn) -> Asker:
    return Asker(exchange)


def test_a_wrong_password_is_401_and_says_how_to_sign_in(exchange: EwsStandIn) -> None:
    answer = httpx.post(exchange.address, content=b"", verify=False, auth=("svc-mms@contoso.com", "wrong"))
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == ["NTLM", 'Basic realm="localhost"']


def test_who_signs_in_by_basic_does_so_with_each_request(exchange: EwsStandIn, meeting: Item) -> None:
    with httpx.Client(verify=False) as http:
        assert http.post(exchange.address, content=b"<a/>", auth=("svc-mms@contoso.com", PASSWORD)).status_code == 500
        assert http.post(exchange.address, content=b"<a/>").status_code == 401


@pytest.mark.parametrize(
    ("account", "whom", "code"),
    [
        ("svc-mms@contoso.com", "nobody@contoso.com", "ErrorNonExistentMailbox"),
        ("other@contoso.com", "anna@contoso.com", "ErrorImpersonateUserDenied"),
    ],
)
def test_who_may_act_as_whom(exchange: EwsStandIn, meeting: Item, account: str, whom: str, code: str) -> None:
    exchange.passwords.set({"svc-mms@contoso.com": PASSWORD, "other@contoso.com": PASSWORD})
    answer = Asker(exchange, account, whom).ask(get(meeting.id))
    assert (answer.status, answer.code) == (500, code)


def test_outside_the_scope_of_the_role_nobody_is_impersonated(exchange: EwsStandIn, meeting: Item) -> None:
    exchange.scope = {"bruno@contoso.com"}
    assert Asker(exchange).ask(get(meeting.id)).code == "ErrorImpersonateUserDenied"


def test_the_calendar_of_somebody_else_needs_impersonation(exchange: EwsStandIn, meeting: Item) -> None:
    exchange.mailbox("svc-mms@contoso.com")
    mailbox = "<t:Mailbox><t:EmailAddress>anna@contoso.com</t:EmailAddress></t:Mailbox>"
    folder = f'<t:DistinguishedFolderId Id="calendar">{mailbox}</t:DistinguishedFolderId>'
    shape = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
    asked = f"<m:GetFolder>{shape}<m:FolderIds>{folder}</m:FolderIds></m:GetFolder>"
    assert Asker(exchange, whom="").ask(asked).code == "ErrorFolderNotFound"


@pytest.mark.parametrize(
    ("asked", "version", "code"),
    [
        ("<m:GetItem/>", "Exchange2031", "ErrorInvalidServerVersion"),
        ("<m:SendItem/>", "Exchange2013_SP1", "ErrorInvalidRequest"),
        ("", "Exchange2013_SP1", "ErrorSchemaValidation"),
    ],
)
def test_requests_that_nobody_understands(asker: Asker, meeting: Item, asked: str, version: str, code: str) -> None:
    answer = asker.ask(asked, version=version)
    assert (answer.status, answer.code) == (500, code)


def test_a_listing_has_pages_and_no_texts(exchange: EwsStandIn, asker: Asker) -> None:
    box = exchange.mailbox("anna@contoso.com")
    for number in range(25):
        box.add(Item(f"No. {number}", START, START + HOUR))
    answer = asker.ask(find(field("item:Subject")))
    assert answer.texts("Subject") == [f"No. {number}" for number in range(10)]
    assert b'IncludesLastItemInRange="false"' in answer.content
    assert asker.ask(find(field("item:Body"))).code == "ErrorInvalidPropertyRequest"
    assert asker.ask(find(field("calendar:RequiredAttendees"))).code == "ErrorInvalidPropertyRequest"


def test_a_listing_has_series_and_a_view_their_occurrences(asker: Asker, series: Item) -> None:
    assert asker.ask(find(field("calendar:CalendarItemType"))).texts("CalendarItemType") == ["RecurringMaster"]
    view = '<m:CalendarView StartDate="2027-03-01T00:00:00Z" EndDate="2027-04-01T00:00:00Z"/>'
    assert asker.ask(find(field("item:Subject"), view)).texts("Subject") == ["Two", "Two, later", "Two"]


def test_a_view_takes_no_restriction_and_no_long_span(asker: Asker, series: Item) -> None:
    view = '<m:CalendarView StartDate="2027-03-01T00:00:00Z" EndDate="2027-04-01T00:00:00Z"/>'
    constant = '<t:FieldURIOrConstant><t:Constant Value="true"/></t:FieldURIOrConstant>'
    where = f"<m:Restriction><t:IsEqualTo>{field('calendar:IsRecurring')}{constant}</t:IsEqualTo></m:Restriction>"
    assert asker.ask(find("", view, where)).code == "ErrorInvalidOperation"
    assert asker.ask(find("", view.replace("2027-04", "2030-04"))).code == "ErrorCalendarViewRangeTooBig"
    assert asker.ask(find("", view.replace("2027-04", "2026-04"))).code == "ErrorCalendarEndDateIsEarlierThanStartDate"
    unknown = where.replace("calendar:IsRecurring", "item:Body")
    assert asker.ask(find("", "", unknown)).code == "ErrorUnsupportedPathForQuery"


def test_named_properties_are_told_only_to_whoever_asks(asker: Asker, meeting: Item) -> None:
    assert asker.ask(get(meeting.id, field("item:Subject"))).texts("Value") == []
    assert asker.ask(get(meeting.id, NAMED)).texts("Value") == ["tel:+1"]


def test_ids(asker: Asker, meeting: Item, series: Item) -> None:
    assert asker.ask(get("nonsense!")).code == "ErrorInvalidIdMalformed"
    assert asker.ask(get(meeting.id.swapcase().replace("aamK", "AAMk"))).code == "ErrorItemNotFound"
    assert asker.ask(get("AAMkNone")).code == "ErrorItemNotFound"


def test_occurrences_by_their_place_in_the_series(asker: Asker, series: Item) -> None:
    def occurrence(index: int) -> str:
        return f'<t:OccurrenceItemId RecurringMasterId="{series.id}" InstanceIndex="{index}"/>'

    assert asker.ask(get(occurrence(1), field("item:Subject"))).texts("Subject") == ["Two"]
    assert asker.ask(get(occurrence(2), field("item:Subject"))).texts("Subject") == ["Two, later"]
    assert asker.ask(get(occurrence(3))).code == "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
    assert asker.ask(get(occurrence(9))).code == "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"
    answer = asker.ask(get(series.id, field("calendar:ModifiedOccurrences", "calendar:DeletedOccurrences")))
    assert answer.texts("OriginalStart") == ["2027-03-08T09:00:00Z"]
    assert answer.values("ItemId", "Id") == [series.id, series.exceptions[0].id]
    assert answer.texts("Start")[-1] == "2027-03-15T09:00:00Z"


def test_an_update_is_conditional_on_the_change_key(asker: Asker, meeting: Item) -> None:
    old = meeting.change_key
    assert asker.ask(update(meeting)).code == "NoError"
    assert meeting.body == "<p>new</p>"
    assert meeting.change_key != old
    assert asker.ask(update(meeting, set_body("again"), key=old)).code == "ErrorIrresolvableConflict"
    assert asker.ask(update(meeting, key=None)).code == "ErrorChangeKeyRequiredForWriteOperations"
    assert meeting.body == "<p>new</p>"
    assert asker.ask(update(meeting, set_body("again"), key=old, how="AlwaysOverwrite")).code == "NoError"
    assert meeting.body == "again"


@pytest.mark.parametrize(
    ("sends", "mails"),
    [("SendToAllAndSaveCopy", 1), ("SendOnlyToAll", 1), ("SendToChangedAndSaveCopy", 1), ("SendToNone", 0)],
)
def test_who_is_told_of_an_update(exchange: EwsStandIn, asker: Asker, meeting: Item, sends: str, mails: int) -> None:
    assert asker.ask(update(meeting, sends=sends)).code == "NoError"
    assert len(exchange.mails) == mails


def test_nobody_is_told_where_the_update_does_not_say_so(exchange: EwsStandIn, asker: Asker, meeting: Item) -> None:
    assert asker.ask(update(meeting, sends="")).code == "ErrorSendMeetingInvitationsOrCancellationsRequired"
    assert meeting.body == "<p>old</p>"
    assert not exchange.mails


def test_one_mail_for_a_series_and_one_for_each_exception(exchange: EwsStandIn, asker: Asker, series: Item) -> None:
    assert asker.ask(update(series.exceptions[0])).code == "NoError"
    assert asker.ask(update(series)).code == "NoError"
    assert [mail.original_start for mail in exchange.mails] == [START + timedelta(days=7), None]


@pytest.mark.parametrize("change_keys", ["together", ONE_BY_ONE])
def test_a_part_of_a_series_may_change_the_keys_of_all(
    exchange: EwsStandIn, asker: Asker, series: Item, change_keys: str
) -> None:
    exchange.change_keys = change_keys
    before = series.change_key
    asker.ask(update(series.exceptions[0]))
    assert (series.change_key == before) == (change_keys == ONE_BY_ONE)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("IsOnlineMeeting", "ErrorInvalidPropertySet"),
        ("AppointmentSequenceNumber", "ErrorInvalidPropertySet"),
        ("UID", "ErrorInvalidPropertySet"),
        ("Nonsense", "ErrorInvalidPropertyRequest"),
    ],
)
def test_what_may_not_be_changed(asker: Asker, meeting: Item, change: str, code: str) -> None:
    value = f"<t:CalendarItem><t:{change}>1</t:{change}></t:CalendarItem>"
    part = f"<t:SetItemField>{field(f'calendar:{change}')}{value}</t:SetItemField>"
    assert asker.ask(update(meeting, set_body() + part)).code == code
    assert meeting.body == "<p>old</p>"  # nothing of it was carried out


def test_a_calendar_that_may_only_be_read(exchange: EwsStandIn, asker: Asker, meeting: Item) -> None:
    exchange.mailbox("anna@contoso.com").calendar.may_write = False
    assert asker.ask(update(meeting)).code == "ErrorAccessDenied"


def test_a_busy_server_says_how_long_to_wait(exchange: EwsStandIn, asker: Asker, meeting: Item) -> None:
    exchange.faults = [("*", "busy"), ("*", "store"), ("*", "item-busy")]
    answer = asker.ask(get(meeting.id))
    assert (answer.status, answer.code, answer.texts("Value")) == (500, "ErrorServerBusy", ["120000"])
    assert asker.ask(get(meeting.id)).code == "ErrorMailboxStoreUnavailable"
    assert (asker.ask(get(meeting.id)).code, asker.ask(get(meeting.id)).code) == ("ErrorServerBusy", "NoError")


@pytest.mark.parametrize(("fault", "body"), [("cut-before", "<p>old</p>"), ("cut-after", "<p>new</p>")])
def test_connections_that_are_cut_off(exchange: EwsStandIn, asker: Asker, meeting: Item, fault: str, body: str) -> None:
    exchange.faults = [("UpdateItem", fault)]
    with pytest.raises(httpx.TransportError):
        asker.ask(update(meeting))
    assert meeting.body == body


@pytest.mark.parametrize(("fault", "status"), [("503", 503), ("401", 401), ("page", 200), ("moved", 302)])
def test_answers_of_the_web_server(exchange: EwsStandIn, asker: Asker, meeting: Item, fault: str, status: int) -> None:
    exchange.faults = [("UpdateItem", fault)]
    assert asker.ask(update(meeting)).status == status
    assert meeting.body == "<p>old</p>"


def test_html_is_stored_as_the_server_likes_it(exchange: EwsStandIn, asker: Asker, meeting: Item) -> None:
    exchange.normalise = lambda html: f"<html><body>{html}</body></html>"
    asker.ask(update(meeting))
    assert meeting.body == "<html><body><p>new</p></body></html>"


def test_characters_that_xml_forbids_are_told_all_the_same(asker: Asker, meeting: Item) -> None:
    meeting.body = "a\x01b\r\n"
    assert b"a&#x1;b&#13;\n" in asker.ask(get(meeting.id, field("item:Body"))).content
