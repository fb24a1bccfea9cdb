"""Items and folders as the XML of EWS: which field is which element, and which of them a listing refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from lxml import etree

from tests.support.ews_stand_in.store import Attendee, Folder, Item

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
M = "http://schemas.microsoft.com/exchange/services/2006/messages"
T = "http://schemas.microsoft.com/exchange/services/2006/types"
E = "http://schemas.microsoft.com/exchange/services/2006/errors"
NAMES = {"s": SOAP, "m": M, "t": T, "e": E}
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PLANE = 0x100000
_MARKED = re.compile("[\U00100000-\U0010001f\U0010fffe\U0010ffff]")

Element = etree._Element


def el(name: str, *content: Element | str | None, **attributes: str) -> Element:
    """An element such as ``t:Subject``. What XML cannot carry is kept for :func:`octets`."""
    prefix, _, local = name.partition(":")
    element = etree.Element(f"{{{NAMES[prefix]}}}{local}" if local else name, attributes, nsmap=NAMES)
    for each in content:
        if isinstance(each, str):
            element.text = _ILLEGAL.sub(lambda found: chr(_PLANE + ord(found[0])), each)
        elif each is not None:
            element.append(each)
    return element


def octets(element: Element) -> bytes:
    """As Exchange writes it: characters that XML forbids as character references all the same."""
    text = etree.tostring(element, encoding="unicode")
    text = _MARKED.sub(lambda found: f"&#x{ord(found[0]) - _PLANE:X};", text)
    return b'<?xml version="1.0" encoding="utf-8"?>' + text.encode()


def when(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def yes(value: bool) -> str:
    return "true" if value else "false"


def item_id(item: Item) -> Element:
    return el("t:ItemId", Id=item.id, ChangeKey=item.change_key)


def _mailbox(name: str, address: str, title: str) -> Element:
    box = el("t:Mailbox", el("t:Name", title), el("t:EmailAddress", address), el("t:RoutingType", "SMTP"))
    return el(name, box) if name else box


def _attendees(name: str, people: tuple[Attendee, ...]) -> Element | None:
    if not people:
        return None
    return el(
        name,
        *[
            el("t:Attendee", _mailbox("", address, title), el("t:ResponseType", answer))
            for address, title, answer in people
        ],
    )


_DAYS = {
    "MO": "Monday",
    "TU": "Tuesday",
    "WE": "Wednesday",
    "TH": "Thursday",
    "FR": "Friday",
    "SA": "Saturday",
    "SU": "Sunday",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKS = {"1": "First", "2": "Second", "3": "Third", "4": "Fourth", "-1": "Last"}
_SETS = {"MO,TU,WE,TH,FR": "Weekday", "SA,SU": "WeekendDay", "MO,TU,WE,TH,FR,SA,SU": "Day"}


def _recurrence(item: Item) -> Element | None:
    if not item.rrule or item.master:
        return None
    parts = dict(part.split("=") for part in item.rrule.split(";"))
    interval = el("t:Interval", parts.get("INTERVAL", "1"))
    days = parts.get("BYDAY", "")
    week, day = parts.get("BYSETPOS", ""), _SETS.get(days, "")
    if found := re.fullmatch(r"(-?\d)(\w\w)", days):
        week, day = found[1], _DAYS[found[2]]
    month = el("t:Month", _MONTHS[int(parts["BYMONTH"]) - 1]) if "BYMONTH" in parts else None
    relative = [el("t:DaysOfWeek", day), el("t:DayOfWeekIndex", _WEEKS[week])] if week else []
    of_month = el("t:DayOfMonth", parts["BYMONTHDAY"]) if "BYMONTHDAY" in parts else None
    match parts["FREQ"], bool(week):
        case "DAILY", _:
            pattern = el("t:DailyRecurrence", interval)
        case "WEEKLY", _:
            names = " ".join(_DAYS[each] for each in days.split(","))
            first = el("t:FirstDayOfWeek", _DAYS[parts.get("WKST", "MO")])
            pattern = el("t:WeeklyRecurrence", interval, el("t:DaysOfWeek", names), first)
        case "MONTHLY", False:
            pattern = el("t:AbsoluteMonthlyRecurrence", interval, of_month)
        case "MONTHLY", True:
            pattern = el("t:RelativeMonthlyRecurrence", interval, *relative)
        case _, False:
            pattern = el("t:AbsoluteYearlyRecurrence", of_month, month)
        case _:
            pattern = el("t:RelativeYearlyRecurrence", *relative, month)
    start = el("t:StartDate", f"{item.starts_at:%Y-%m-%d}Z")
    if "COUNT" in parts:
        boundary = el("t:NumberedRecurrence", start, el("t:NumberOfOccurrences", parts["COUNT"]))
    elif "UNTIL" in parts:
        until = datetime.strptime(parts["UNTIL"][:8], "%Y%m%d").replace(tzinfo=UTC)
        boundary = el("t:EndDateRecurrence", start, el("t:EndDate", f"{until:%Y-%m-%d}Z"))
    else:
        boundary = el("t:NoEndRecurrence", start)
    return el("t:Recurrence", pattern, boundary)


def _modified(item: Item) -> Element | None:
    if not item.exceptions or item.master:
        return None
    return el(
        "t:ModifiedOccurrences",
        *[
            el(
                "t:Occurrence",
                item_id(each),
                el("t:Start", when(each.starts_at)),
                el("t:End", when(each.ends_at)),
                el("t:OriginalStart", when(each.original_start)),
            )
            for each in item.exceptions
        ],
    )


def _deleted(item: Item) -> Element | None:
    if not item.deleted or item.master:
        return None
    return el(
        "t:DeletedOccurrences", *[el("t:DeletedOccurrence", el("t:Start", when(each))) for each in sorted(item.deleted)]
    )


FIELDS: dict[str, Callable[[Item], Element | None]] = {
    "item:ItemId": item_id,
    "item:ItemClass": lambda item: el("t:ItemClass", "IPM.Appointment"),
    "item:Subject": lambda item: el("t:Subject", item.subject),
    "item:Body": lambda item: el("t:Body", item.body, BodyType=item.body_type),
    "item:EffectiveRights": lambda item: rights(item.folder),
    "calendar:UID": lambda item: el("t:UID", item.uid),
    "calendar:RecurrenceId": lambda item: (
        el("t:RecurrenceId", when(item.original_start)) if item.original_start else None
    ),
    "calendar:Start": lambda item: el("t:Start", when(item.starts_at)),
    "calendar:End": lambda item: el("t:End", when(item.ends_at)),
    "calendar:OriginalStart": lambda item: (
        el("t:OriginalStart", when(item.original_start)) if item.original_start else None
    ),
    "calendar:IsAllDayEvent": lambda item: el("t:IsAllDayEvent", yes(item.is_all_day)),
    "calendar:Location": lambda item: el("t:Location", item.location) if item.location else None,
    "calendar:IsMeeting": lambda item: el("t:IsMeeting", yes(item.is_meeting)),
    "calendar:MeetingRequestWasSent": lambda item: el(
        "t:MeetingRequestWasSent", yes(item.is_meeting and item.was_sent)
    ),
    "calendar:IsCancelled": lambda item: el("t:IsCancelled", yes(item.is_cancelled)),
    "calendar:IsRecurring": lambda item: el("t:IsRecurring", yes(bool(item.rrule or item.master))),
    "calendar:CalendarItemType": lambda item: el("t:CalendarItemType", item.kind),
    "calendar:MyResponseType": lambda item: el("t:MyResponseType", item.my_response),
    "calendar:Organizer": lambda item: _mailbox("t:Organizer", *item.organizer),
    "calendar:RequiredAttendees": lambda item: _attendees("t:RequiredAttendees", item.required),
    "calendar:OptionalAttendees": lambda item: _attendees("t:OptionalAttendees", item.optional),
    "calendar:Resources": lambda item: _attendees("t:Resources", item.resources),
    "calendar:AppointmentSequenceNumber": lambda item: el("t:AppointmentSequenceNumber", str(item.sequence)),
    "calendar:AppointmentState": lambda item: el("t:AppointmentState", str(item.state)),
    "calendar:Recurrence": _recurrence,
    "calendar:ModifiedOccurrences": _modified,
    "calendar:DeletedOccurrences": _deleted,
    "calendar:StartTimeZone": lambda item: el("t:StartTimeZone", Id=item.zone, Name=item.zone),
    "calendar:IsOnlineMeeting": lambda item: el("t:IsOnlineMeeting", yes(item.is_online_meeting)),
}
NOT_LISTED = {
    "item:Body",
    "calendar:RequiredAttendees",
    "calendar:OptionalAttendees",
    "calendar:Resources",
    "calendar:Recurrence",
    "calendar:ModifiedOccurrences",
    "calendar:DeletedOccurrences",
    "calendar:StartTimeZone",
}
"""What a listing (FindItem) does not tell of an item: whoever asks for it is refused."""
READ_ONLY = set(FIELDS) - {
    "item:Subject",
    "item:Body",
    "calendar:Start",
    "calendar:End",
    "calendar:Location",
    "calendar:IsAllDayEvent",
}


def rights(folder: Folder | None) -> Element:
    may = yes(folder is None or folder.may_write)
    return el(
        "t:EffectiveRights",
        *[el(f"t:{name}", may) for name in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete")],
        el("t:Modify", may),
        el("t:Read", "true"),
        el("t:ViewPrivateItems", "true"),
    )


def folder_element(folder: Folder) -> Element:
    return el(
        "t:CalendarFolder" if folder.kind == "IPF.Appointment" else "t:Folder",
        el("t:FolderId", Id=folder.id, ChangeKey="AQAAAA=="),
        el("t:ParentFolderId", Id=folder.parent or folder.id, ChangeKey="AQAAAA=="),
        el("t:FolderClass", folder.kind),
        el("t:DisplayName", folder.name),
        el("t:TotalCount", str(len(folder.items))),
        el("t:ChildFolderCount", "0"),
        rights(folder),
    )
