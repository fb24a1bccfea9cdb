"""The operations of EWS that MMS asks for, carried out on what is stored, or refused with the documented code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lxml import etree

from tests.support.ews_stand_in.shapes import (
    FIELDS,
    NAMES,
    NOT_LISTED,
    READ_ONLY,
    Element,
    el,
    folder_element,
    item_id,
    when,
    yes,
)
from tests.support.ews_stand_in.store import Folder, Item, Mail, Mailbox

if TYPE_CHECKING:
    from tests.support.ews_stand_in import EwsStandIn

MOST_ON_A_PAGE = 1000
_SENDS = {"SendOnlyToAll", "SendOnlyToChanged", "SendToAllAndSaveCopy", "SendToChangedAndSaveCopy"}
_APPOINTMENT = {"00062002-0000-0000-c000-000000000046", "Appointment"}
_PUBLIC_STRINGS = {"00020329-0000-0000-c000-000000000046", "PublicStrings"}


class Refused(Exception):
    """One item of a request is refused: a ResponseMessage of class Error."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code)
        self.code, self.text = code, text or code


class Fault(Exception):
    """The whole request is refused: a SOAP fault, which comes with status 500."""

    def __init__(self, code: str, text: str = "", values: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.code, self.text, self.values = code, text or code, values or {}


@dataclass
class Call:
    """A request: whose mailbox it is about, and the element of the operation."""

    stand_in: EwsStandIn
    mailbox: Mailbox
    body: Element

    @property
    def operation(self) -> str:
        return etree.QName(self.body).localname

    def answer(self) -> Element:
        """The element of the response. Raises ``Fault``."""
        handler = OPERATIONS.get(self.operation)
        if handler is None:
            raise Fault("ErrorInvalidRequest", f"The stand-in knows no operation {self.operation}.")
        messages = [self._message(part) for part in handler(self)]
        return el(f"m:{self.operation}Response", el("m:ResponseMessages", *messages))

    def _message(self, part: Callable[[], Sequence[Element]]) -> Element:
        name = f"m:{self.operation}ResponseMessage"
        try:
            content = part()
        except Refused as refused:
            return el(
                name,
                el("m:MessageText", refused.text),
                el("m:ResponseCode", refused.code),
                el("m:DescriptiveLinkKey", "0"),
                *([el("m:Items")] if self.operation in {"GetItem", "UpdateItem"} else []),
                ResponseClass="Error",
            )
        return el(name, el("m:ResponseCode", "NoError"), *content, ResponseClass="Success")

    def shape(self, tag: str) -> tuple[list[str], list[Element]]:
        """The field URIs and the extended fields that are asked for."""
        shape = self.body.find(f"m:{tag}", NAMES)
        if shape is None:
            raise Fault("ErrorSchemaValidation", f"There is no {tag}.")
        base = shape.findtext("t:BaseShape", namespaces=NAMES)
        uris = [] if base == "IdOnly" else ["item:Subject", "calendar:Start", "calendar:End"]
        if base == "AllProperties":
            uris = [uri for uri in FIELDS if self.operation != "FindItem" or uri not in NOT_LISTED]
        more = shape.find("t:AdditionalProperties", NAMES)
        parts = list(more) if more is not None else []
        uris += [part.get("FieldURI", "") for part in parts if etree.QName(part).localname == "FieldURI"]
        return uris, [part for part in parts if etree.QName(part).localname == "ExtendedFieldURI"]

    def folder(self, reference: Element) -> Folder:
        if etree.QName(reference).localname == "DistinguishedFolderId":
            address = reference.findtext("t:Mailbox/t:EmailAddress", namespaces=NAMES)
            if address and address.lower() != self.mailbox.address:
                raise Refused("ErrorFolderNotFound", "The folder of somebody else was not shared.")
            name = reference.get("Id", "")
            found = next((each for each in self.mailbox.folders if each.distinguished == name), None)
        else:
            found = next((each for each in self.mailbox.folders if each.id == reference.get("Id")), None)
        if found is None:
            raise Refused("ErrorFolderNotFound", "The specified folder could not be found in the store.")
        return found


def _get_folder(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    call.shape("FolderShape")
    for reference in call.body.find("m:FolderIds", NAMES):
        yield lambda reference=reference: [el("m:Folders", folder_element(call.folder(reference)))]


def _find_folder(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    call.shape("FolderShape")
    for reference in call.body.find("m:ParentFolderIds", NAMES):

        def one(reference: Element = reference) -> Sequence[Element]:
            parent = call.folder(reference)
            below = {parent.id}
            found = []
            for folder in call.mailbox.folders:
                if folder.parent in below and folder.id != parent.id:
                    found.append(folder)
                    if call.body.get("Traversal") == "Deep":
                        below.add(folder.id)
            return [_page(call, found, folder_element, "Folders")]

        yield one


def _page(call: Call, found: Sequence, element: Callable, name: str) -> Element:
    view = call.body.find("m:IndexedPageItemView", NAMES)
    if view is None:
        view = call.body.find("m:IndexedPageFolderView", NAMES)
    offset, most = 0, len(found)
    if view is not None:
        offset = int(view.get("Offset", "0"))
        most = min(int(view.get("MaxEntriesReturned", MOST_ON_A_PAGE)), call.stand_in.most_on_a_page)
    some = found[offset : offset + most]
    is_last = offset + len(some) >= len(found)
    paging = {} if view is None else {"IndexedPagingOffset": str(offset + len(some))}
    return el(
        "m:RootFolder",
        el(f"t:{name}", *[element(each) for each in some]),
        TotalItemsInView=str(len(found)),
        IncludesLastItemInRange=yes(is_last),
        **paging,
    )


def _find_item(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    uris, extended = call.shape("ItemShape")
    view = call.body.find("m:CalendarView", NAMES)
    restriction = call.body.find("m:Restriction", NAMES)
    for reference in call.body.find("m:ParentFolderIds", NAMES):

        def one(reference: Element = reference) -> Sequence[Element]:
            for uri in uris:
                if uri in NOT_LISTED or uri not in FIELDS:
                    raise Refused("ErrorInvalidPropertyRequest", f"{uri} cannot be listed.")
            folder = call.folder(reference)
            if view is not None:
                if restriction is not None or call.body.find("m:SortOrder", NAMES) is not None:
                    raise Refused("ErrorInvalidOperation", "A CalendarView takes no restriction and no sort order.")
                found = list(_in_view(call.mailbox, folder, view))
            else:
                found = [item for item in folder.items if restriction is None or _fits(item, restriction[0])]
            return [_page(call, found, lambda item: _item(item, uris, extended), "Items")]

        yield one


def _in_view(mailbox: Mailbox, folder: Folder, view: Element) -> Iterator[Item]:
    start, end = (moment(view.get(name, "")) for name in ("StartDate", "EndDate"))
    if end < start:
        raise Refused("ErrorCalendarEndDateIsEarlierThanStartDate")
    if end - start > timedelta(days=732):
        raise Refused("ErrorCalendarViewRangeTooBig")
    for item in folder.items:
        if not item.rrule:
            if item.ends_at > start and item.starts_at < end:
                yield item
            continue
        for index, begins in enumerate(item.starts(), start=1):
            if begins >= end:
                break
            occurrence = mailbox.occurrence(item, index)
            if occurrence and occurrence.ends_at > start:
                yield occurrence


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _fits(item: Item, test: Element) -> bool:
    name = etree.QName(test).localname
    if name in {"Or", "And"}:
        return (any if name == "Or" else all)(_fits(item, part) for part in test)
    if name == "Not":
        return not _fits(item, test[0])
    path, constant = test[0], test.find("t:FieldURIOrConstant/t:Constant", NAMES)
    if constant is None:
        raise Refused("ErrorUnsupportedQueryFilter")
    wanted = constant.get("Value", "")
    uri = path.get("FieldURI", "")
    if etree.QName(path).localname == "ExtendedFieldURI":
        if path.get("PropertyId") != "33315" or not _APPOINTMENT & {
            path.get("PropertySetId"),
            path.get("DistinguishedPropertySetId"),
        }:
            raise Refused("ErrorUnsupportedPathForQuery")
        value, wanted = yes(bool(item.rrule)), "true" if wanted in {"1", "true"} else "false"
    elif uri == "calendar:IsRecurring":
        value, wanted = yes(bool(item.rrule)), "true" if wanted in {"1", "true"} else "false"
    elif uri == "item:Subject":
        value = item.subject
    elif uri in {"calendar:End", "calendar:Start"}:
        value = when(item.ends_at if uri == "calendar:End" else item.starts_at) or ""
        wanted = when(moment(wanted)) or ""
    else:
        raise Refused("ErrorUnsupportedPathForQuery", f"{uri} cannot be searched by.")
    return {
        "IsEqualTo": value == wanted,
        "IsGreaterThan": value > wanted,
        "IsGreaterThanOrEqualTo": value >= wanted,
        "IsLessThan": value < wanted,
        "IsLessThanOrEqualTo": value <= wanted,
    }[name]


def _item(item: Item, uris: Sequence[str], extended: Sequence[Element]) -> Element:
    parts = [item_id(item), *[FIELDS[uri](item) for uri in uris if uri != "item:ItemId"]]
    for asked in extended:
        name = named(asked)
        if name and name in item.named:
            parts.append(el("t:ExtendedProperty", _copy(asked), el("t:Value", item.named[name])))
    return el("t:CalendarItem", *parts)


def whole(item: Item) -> Element:
    """All of an item, its named properties included."""
    what = {"DistinguishedPropertySetId": "PublicStrings", "PropertyType": "String"}
    return _item(item, [*FIELDS], [el("t:ExtendedFieldURI", PropertyName=name, **what) for name in item.named])


def _copy(element: Element) -> Element:
    return el(f"t:{etree.QName(element).localname}", **dict(element.attrib))


def named(uri: Element) -> str:
    """The name of a property of the public strings; empty for others, which no item of the stand-in has."""
    is_public = _PUBLIC_STRINGS & {uri.get("PropertySetId"), uri.get("DistinguishedPropertySetId")}
    return uri.get("PropertyName", "") if is_public else ""


def item_of(call: Call, reference: Element) -> Item:
    kind = etree.QName(reference).localname
    if kind == "OccurrenceItemId":
        master = call.mailbox.find(reference.get("RecurringMasterId", ""))
        if master is None or not master.rrule:
            raise Refused("ErrorItemNotFound")
        index = int(reference.get("InstanceIndex", "0"))
        occurrence = call.mailbox.occurrence(master, index)
        if occurrence is None:
            is_there = index <= sum(1 for _ in zip(range(index), master.starts(), strict=False))
            raise Refused(
                "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
                if is_there
                else "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"
            )
        return occurrence
    if kind == "RecurringMasterItemId":
        exception = call.mailbox.find(reference.get("OccurrenceId", ""))
        if exception is None or exception.master is None:
            raise Refused("ErrorItemNotFound")
        return exception.master
    text = reference.get("Id", "")
    if not re.fullmatch(r"[A-Za-z0-9+/=]+", text) or not text.startswith("AAMk"):
        raise Refused("ErrorInvalidIdMalformed", "Id is malformed.")
    item = call.mailbox.find(text)
    if item is None:
        raise Refused("ErrorItemNotFound", "The specified object was not found in the store.")
    return item


def _get_item(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    uris, extended = call.shape("ItemShape")
    for reference in call.body.find("m:ItemIds", NAMES):

        def one(reference: Element = reference) -> Sequence[Element]:
            for uri in uris:
                if uri not in FIELDS:
                    raise Refused("ErrorInvalidPropertyRequest", f"There is no {uri} of an appointment.")
            return [el("m:Items", _item(item_of(call, reference), uris, extended))]

        yield one


def _update_item(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    resolution = call.body.get("ConflictResolution")
    sends = call.body.get("SendMeetingInvitationsOrCancellations")
    for change in call.body.find("m:ItemChanges", NAMES):

        def one(change: Element = change) -> Sequence[Element]:
            reference = change[0]
            item = item_of(call, reference)
            call.stand_in.meddle(item)
            if sends is None:
                raise Refused("ErrorSendMeetingInvitationsOrCancellationsRequired")
            if sends not in _SENDS | {"SendToNone"} or resolution not in {
                "NeverOverwrite",
                "AutoResolve",
                "AlwaysOverwrite",
            }:
                raise Fault("ErrorSchemaValidation", "An attribute has a value that it cannot have.")
            key = reference.get("ChangeKey")
            if key is None and resolution != "AlwaysOverwrite":
                raise Refused("ErrorChangeKeyRequiredForWriteOperations")
            is_new = item.original_start is not None and item.master is None
            held = call.mailbox.find(reference.get("RecurringMasterId", "")) if is_new else item
            if call.stand_in.keeps_conditions and resolution == "NeverOverwrite" and key != held.change_key:
                raise Refused("ErrorIrresolvableConflict", "The item has been changed by somebody else.")
            if item.folder is not None and not item.folder.may_write:
                raise Refused("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            writes = [_write_of(call, part) for part in change.find("t:Updates", NAMES)]
            if is_new:  # an occurrence that is changed becomes an exception
                item = call.mailbox.add_exception(held, item)
            for write in writes:
                write(item)
            call.stand_in.written(item, change)
            if sends in _SENDS and item.attendees and item.my_response == "Organizer":
                who = tuple(address for address, _, _ in item.attendees)
                original = item.original_start if item.master else None
                call.stand_in.mails.append(Mail(item.uid, original, who))
            short = el("t:CalendarItem", item_id(item))
            return [el("m:Items", short), el("m:ConflictResults", el("t:Count", "0"))]

        yield one


def _write_of(call: Call, part: Element) -> Callable[[Item], None]:
    kind, path = etree.QName(part).localname, part[0]
    if kind == "AppendToItemField":
        raise Refused("ErrorInvalidPropertyAppend")
    if etree.QName(path).localname == "ExtendedFieldURI":
        name = named(path)
        if not name:
            raise Refused("ErrorInvalidExtendedProperty")
        if kind == "DeleteItemField":
            return lambda item: item.named.pop(name, None) and None
        text = part.findtext("t:CalendarItem/t:ExtendedProperty/t:Value", namespaces=NAMES) or ""
        return lambda item: item.named.update({name: text})
    uri = path.get("FieldURI", "")
    if uri not in FIELDS:
        raise Refused("ErrorInvalidPropertyRequest")
    if uri in READ_ONLY:
        raise Refused("ErrorInvalidPropertySet", f"{uri} is read-only.")
    if kind == "DeleteItemField":
        if uri != "calendar:Location":
            raise Refused("ErrorInvalidPropertyDelete")
        return lambda item: setattr(item, "location", "")
    values = part.find("t:CalendarItem", NAMES)
    if values is None or len(values) != 1:
        raise Refused("ErrorIncorrectUpdatePropertyCount")
    value = values[0]
    text = value.text or ""
    if uri == "item:Body":
        is_html = value.get("BodyType") == "HTML"
        stored = call.stand_in.normalise(text) if is_html else text

        def write_body(item: Item) -> None:
            item.body, item.body_type = stored, "HTML" if is_html else "Text"

        return write_body
    if uri in {"calendar:Start", "calendar:End"}:
        name = "starts_at" if uri == "calendar:Start" else "ends_at"
        return lambda item: setattr(item, name, moment(text))
    return lambda item: setattr(item, {"item:Subject": "subject", "calendar:Location": "location"}[uri], text)


def _convert_id(call: Call) -> Iterator[Callable[[], Sequence[Element]]]:
    def malformed() -> Sequence[Element]:
        raise Refused("ErrorInvalidIdMalformed", "Id is malformed.")

    yield malformed


OPERATIONS: dict[str, Callable[[Call], Iterator[Callable[[], Sequence[Element]]]]] = {
    "GetFolder": _get_folder,
    "FindFolder": _find_folder,
    "FindItem": _find_item,
    "GetItem": _get_item,
    "UpdateItem": _update_item,
    "ConvertId": _convert_id,
}
