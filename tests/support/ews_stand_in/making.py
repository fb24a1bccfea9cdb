"""CreateItem and DeleteItem, by which a check makes meetings of its own, and takes them away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lxml import etree

from tests.support.ews_stand_in.operations import OPERATIONS, Call, Fault, Refused, item_of, moment, named
from tests.support.ews_stand_in.shapes import NAMES, Element, el, item_id
from tests.support.ews_stand_in.store import Attendee, Item, Mail

_SENDS = {"SendOnlyToAll", "SendToAllAndSaveCopy"}
_TAKEN = {
    *("Subject", "Body", "Start", "End", "StartTimeZone", "EndTimeZone", "Location", "RequiredAttendees", "Recurrence"),
    *("LegacyFreeBusyStatus", "ReminderIsSet", "ExtendedProperty", "Sensitivity", "Importance", "IsAllDayEvent"),
    *("IsResponseRequested", "ItemClass", "ReminderMinutesBeforeStart"),
}


def _create_item(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    sends = call.body.get("SendMeetingInvitations")
    place = call.body.find("m:SavedItemFolderId", NAMES)
    for given in call.body.find("m:Items", NAMES):

        def one(given: Element = given) -> Sequence[Element]:
            if sends is None:
                raise Refused("ErrorSendMeetingInvitationsRequired")
            if sends not in _SENDS | {"SendToNone"}:
                raise Fault("ErrorSchemaValidation", "An attribute has a value that it cannot have.")
            folder = call.folder(place[0]) if place is not None else call.mailbox.calendar
            if not folder.may_write:
                raise Refused("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            for part in given:
                if etree.QName(part).localname not in _TAKEN:
                    raise Refused("ErrorInvalidPropertySet", f"{etree.QName(part).localname} cannot be set.")
            item = call.mailbox.add(_made(call, given), folder)
            item.was_sent = sends in _SENDS
            _tell(call, item, "invitation", sends)
            return [el("m:Items", el("t:CalendarItem", item_id(item)))]

        yield one


def _made(call: Call, given: Element) -> Item:
    def text(path: str) -> str:
        return given.findtext(path, namespaces=NAMES) or ""

    body = given.find("t:Body", NAMES)
    is_html = body is not None and body.get("BodyType") == "HTML"
    written = (body.text or "") if body is not None else ""
    return Item(
        text("t:Subject"),
        moment(text("t:Start")),
        moment(text("t:End")),
        body=call.stand_in.normalise(written) if is_html else written,
        body_type="HTML" if is_html else "Text",
        location=text("t:Location"),
        required=tuple(_people(given)),
        rrule=_rule(given),
        named={
            named(each[0]): each.findtext("t:Value", namespaces=NAMES) or ""
            for each in given.iterfind("t:ExtendedProperty", NAMES)
        },
    )


def _people(given: Element) -> Iterator[Attendee]:
    for each in given.iterfind("t:RequiredAttendees/t:Attendee", NAMES):
        address = each.findtext("t:Mailbox/t:EmailAddress", namespaces=NAMES)
        if not address:
            raise Refused("ErrorInvalidRecipients", "At least one recipient is not valid.")
        yield address, each.findtext("t:Mailbox/t:Name", namespaces=NAMES) or "", "Unknown"


def _rule(given: Element) -> str:
    recurrence = given.find("t:Recurrence", NAMES)
    if recurrence is None:
        return ""
    count = recurrence.findtext("t:NumberedRecurrence/t:NumberOfOccurrences", namespaces=NAMES)
    if recurrence.find("t:DailyRecurrence", NAMES) is None or not count:
        raise Refused("ErrorInvalidRecurrence", "The stand-in makes daily series of a number of occurrences only.")
    return f"FREQ=DAILY;COUNT={count}"


def _delete_item(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    how, sends = call.body.get("DeleteType"), call.body.get("SendMeetingCancellations")
    for reference in call.body.find("m:ItemIds", NAMES):

        def one(reference: Element = reference) -> Sequence[Element]:
            item = item_of(call, reference)
            if sends is None:
                raise Refused("ErrorSendMeetingCancellationsRequired")
            if how not in {"HardDelete", "SoftDelete", "MoveToDeletedItems"} or sends not in _SENDS | {"SendToNone"}:
                raise Fault("ErrorSchemaValidation", "An attribute has a value that it cannot have.")
            if item.folder is not None and not item.folder.may_write:
                raise Refused("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            call.mailbox.delete(item)
            if how == "MoveToDeletedItems" and item.master is None:
                call.mailbox.trash.items.append(item)
            _tell(call, item, "cancellation", sends)
            return []

        yield one


def _tell(call: Call, item: Item, kind: str, sends: str) -> None:
    if sends in _SENDS and item.attendees and item.my_response == "Organizer":
        who = tuple(address for address, _, _ in item.attendees)
        call.stand_in.mails.append(Mail(item.uid, item.original_start if item.master else None, who, kind))


OPERATIONS.update({"CreateItem": _create_item, "DeleteItem": _delete_item})
