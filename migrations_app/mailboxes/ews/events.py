"""Calendar items of EWS as events: zones by their IANA names, recurrences as rules of iCalendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from migrations_app.mailboxes.ews.characters import unmarked
from migrations_app.mailboxes.exchange.date_lines import by_day_of_month
from migrations_app.mailboxes.exchange.events import FIRST_YEAR, LAST_YEAR, PROPERTIES, ExchangeEvent, Kind, Person
from tenants_app.sentences import sentence

TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_T = {"t": TYPES}
_KINDS = {"Single": Kind.SINGLE, "RecurringMaster": Kind.SERIES, "Exception": Kind.EXCEPTION}
_ANSWERS = {"Accept": "ACCEPTED", "Organizer": "ACCEPTED", "Decline": "DECLINED", "Tentative": "TENTATIVE"}
_RECEIVED, _CANCELLED = 2, 4  # of AppointmentState
_DAYS = {
    "Monday": "MO",
    "Tuesday": "TU",
    "Wednesday": "WE",
    "Thursday": "TH",
    "Friday": "FR",
    "Saturday": "SA",
    "Sunday": "SU",
}
_SETS = {"Day": "MO,TU,WE,TH,FR,SA,SU", "Weekday": "MO,TU,WE,TH,FR", "WeekendDay": "SA,SU"}
_WEEKS = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": -1}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MOST_DIGITS = 10
_LONGEST_ID, _LONGEST_KEY = 1_000, 300
"""Characters, as they are kept."""
Element = Any
"""Of lxml, ``t:CalendarItem``."""


class Unreadable(ValueError):
    """An item is not what the documentation says that it is."""


def id_of(item: Element) -> tuple[str, str]:
    """Its ItemId, and the ChangeKey."""
    found = item.find("t:ItemId", _T)
    item_id, change_key = ("", "") if found is None else (found.get("Id") or "", found.get("ChangeKey") or "")
    if not 0 < len(item_id) <= _LONGEST_ID or not 0 < len(change_key) <= _LONGEST_KEY:
        raise Unreadable(sentence("an item without its id"))
    return item_id, change_key


def kind_of(item: Element) -> Kind | None:
    """None for an occurrence that nothing was changed of."""
    return _KINDS.get(_text(item, "CalendarItemType"))


def modified(item: Element) -> Mapping[str, datetime]:
    """Of a series: the ids of its exceptions, each with when the series had it."""
    return {
        id_of(part)[0]: _moment(_text(part, "OriginalStart"))
        for part in item.iterfind("t:ModifiedOccurrences/t:Occurrence", _T)
    }


def event_of(
    item: Element, exceptions: Sequence[ExchangeEvent] = (), original: datetime | None = None
) -> ExchangeEvent:
    """The event that an item is; of an exception ``original`` is when its series had it. Raises ``Unreadable``."""
    kind = kind_of(item)
    if kind is None:
        raise Unreadable(sentence("an occurrence by itself"))
    body = item.find("t:Body", _T)
    state = _number(item, "AppointmentState", 0)
    starts_at = _moment(_text(item, "Start"))
    zone = _zone(item)
    is_all_day = _text(item, "IsAllDayEvent") == "true"
    uid = _text(item, "UID")
    if not uid:
        raise Unreadable(sentence("an item without a UID"))
    item_id, change_key = id_of(item)
    attendees = (
        *_people(item, "t:RequiredAttendees/t:Attendee"),
        *_people(item, "t:OptionalAttendees/t:Attendee", "OPT-PARTICIPANT"),
        *_people(item, "t:Resources/t:Attendee", "NON-PARTICIPANT", is_room=True),
    )
    return ExchangeEvent(
        id=item_id,
        change_key=change_key,
        uid=uid,
        kind=kind,
        subject=_text(item, "Subject"),
        organizer=next(_people(item, "t:Organizer"), None),
        starts_at=starts_at,
        ends_at=_moment(_text(item, "End")),
        body="" if body is None else _said(body),
        body_is_html=body is None or body.get("BodyType") == "HTML",
        zone=zone or "UTC",
        is_all_day=is_all_day,
        is_cancelled=_text(item, "IsCancelled") == "true" or bool(state & _CANCELLED),
        is_organizer=_is_organizer(item, state),
        is_unsent=bool(attendees) and _text(item, "MeetingRequestWasSent") == "false",
        attendees=attendees,
        location=_text(item, "Location"),
        properties=dict(_properties(item)),
        sequence=_number(item, "AppointmentSequenceNumber", 0),
        rrule=_rule(item, starts_at, zone, is_all_day) if kind == Kind.SERIES else "",
        excluded=tuple(
            sorted(
                _moment(_text(part, "Start")) for part in item.iterfind("t:DeletedOccurrences/t:DeletedOccurrence", _T)
            )
        ),
        recurrence_id=original or (_original(item) if kind == Kind.EXCEPTION else None),
        exceptions=tuple(exceptions),
    )


def _is_organizer(item: Element, state: int) -> bool:
    said = _text(item, "MyResponseType")
    if said in {"Accept", "Decline", "Tentative", "NoResponseReceived"}:
        return False
    return said == "Organizer" or not state & _RECEIVED


def _original(item: Element) -> datetime:
    return _moment(_text(item, "RecurrenceId") or _text(item, "OriginalStart"))


def _text(item: Element, name: str) -> str:
    found = item.find(f"t:{name}", _T)
    return "" if found is None else _said(found)


def _said(element: Element) -> str:
    return unmarked(element.text or "")


def _number(item: Element, name: str, missing: int, most: int = 2**31 - 1) -> int:
    """A whole number that is not negative; ``missing`` where it says nothing."""
    text = _text(item, name)
    if not text:
        return missing
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else -1
    if not 0 <= number <= most:
        raise Unreadable(sentence("the number %(found)s", found=repr(text[:40])))
    return number


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(sentence("the time %(found)s", found=repr(text[:40]))) from None
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise Unreadable(sentence("the time %(found)s", found=repr(text[:40])))
    if moment.tzinfo is None:
        raise Unreadable(sentence("the time %(found)s, which is of no zone", found=repr(text[:40])))
    return moment.astimezone(UTC)


def _people(item: Element, path: str, role: str = "REQ-PARTICIPANT", *, is_room: bool = False) -> Iterator[Person]:
    for part in item.iterfind(path, _T):
        box = part.find("t:Mailbox", _T)
        if box is not None:
            answer = _ANSWERS.get(_text(part, "ResponseType"), "NEEDS-ACTION")
            yield Person(_text(box, "EmailAddress"), _text(box, "Name"), answer, role, is_room)


def _properties(item: Element) -> Iterator[tuple[str, str]]:
    known = {name.casefold(): name for name in PROPERTIES}  # names are compared without regard to case
    for part in item.iterfind("t:ExtendedProperty", _T):
        uri = part.find("t:ExtendedFieldURI", _T)
        name = known.get((uri.get("PropertyName") or "").casefold()) if uri is not None else None
        if name:
            yield name, _text(part, "Value")


def _zone(item: Element) -> str:
    """Of the item; empty where nobody knows, as of one that somebody made up in Outlook."""
    found = item.find("t:StartTimeZone", _T)
    name = "" if found is None else found.get("Id") or found.get("Name") or ""
    return WINDOWS_TO_OLSON.get(name, "")


def _rule(item: Element, starts_at: datetime, zone: str, is_all_day: bool) -> str:
    recurrence = item.find("t:Recurrence", _T)
    if recurrence is None or len(recurrence) < 2:
        raise Unreadable(sentence("a series without its recurrence"))
    pattern, boundary = recurrence[0], recurrence[1]
    freq = next((each for each in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") if each.title() in pattern.tag), "")
    if not freq or "Regeneration" in pattern.tag:
        raise Unreadable(sentence("a recurrence of an unknown kind"))
    parts = [f"FREQ={freq}"]
    interval = _number(pattern, "Interval", 1)
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    names = _text(pattern, "DaysOfWeek").split()
    week = _text(pattern, "DayOfWeekIndex")
    try:
        if month := _text(pattern, "Month"):
            parts.append(f"BYMONTH={_MONTHS.index(month) + 1}")
        if day := _number(pattern, "DayOfMonth", 0, most=31):
            parts.append(by_day_of_month(day))
        if week and names[0] in _SETS:
            parts.append(f"BYDAY={_SETS[names[0]]};BYSETPOS={_WEEKS[week]}")
        elif week:
            parts.append(f"BYDAY={_WEEKS[week]}{_DAYS[names[0]]}")
        elif names:
            parts.append(f"BYDAY={','.join(_DAYS[name] for name in names)}")
        if first := _text(pattern, "FirstDayOfWeek"):
            parts.append(f"WKST={_DAYS[first]}")
    except (KeyError, ValueError, IndexError):
        raise Unreadable(sentence("a recurrence of an unknown kind")) from None
    if count := _number(boundary, "NumberOfOccurrences", 0, most=1_000_000):
        parts.append(f"COUNT={count}")
    elif end := _text(boundary, "EndDate"):
        parts.append(f"UNTIL={_until(end, starts_at, zone, is_all_day)}")
    return ";".join(parts)


def _until(end: str, starts_at: datetime, zone: str, is_all_day: bool) -> str:
    try:
        last = date.fromisoformat(end[:10])
    except ValueError:
        raise Unreadable(sentence("the date %(end)s", end=repr(end[:40]))) from None
    if not FIRST_YEAR < last.year < 9999:  # some write the end of a series that has none
        raise Unreadable(sentence("the date %(end)s", end=repr(end[:40])))
    if is_all_day:
        return f"{last:%Y%m%d}"
    if not zone:  # so that no occurrence is left out, wherever it is
        last += timedelta(days=1)
    local = starts_at.astimezone(ZoneInfo(zone or "UTC"))
    return f"{datetime.combine(last, local.timetz()).astimezone(UTC):%Y%m%dT%H%M%SZ}"
