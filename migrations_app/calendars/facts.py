"""What a run needs to know about a meeting before touching it: who, when until, how many.

Dates are read with icalendar and dateutil; everything is turned to UTC. Where a time zone or a rule cannot be
resolved the answer errs towards "later", so that no meeting is taken for past that is not.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr
from icalendar import Timezone, vDDDTypes
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    Line,
    events_of,
    methods_of,
    parse,
    uid_of,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.people import person

MOST_OCCURRENCES = 20_000
"""How many occurrences of a rule are counted out before its end is taken from UNTIL, or taken to be open."""

ANSWERS = frozenset(["REPLY", "COUNTER", "REFRESH", "DECLINECOUNTER"])
"""The METHODs of what attendees and organizer write to each other about a meeting (RFC 5546 section 1.4)."""

_FIRST_YEAR, _LAST_YEAR = 1600, 9000  # beyond, arithmetic with dates overflows
_MOST_RULES = 2
_LONGEST_MEETING = timedelta(days=3660)
_LONGEST_SERIES = timedelta(days=366 * 30)
_WINDOWS_ZONES = {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}
_LONGEST_ZONE_NAME = 100
_LONGEST_RULE = 2_000
_MOST_OF_A_PART = 400  # BYYEARDAY has 366
_MOST_ZONE_RULES = 60
_BY_PARTS = {f"BY{unit}" for unit in ("SECOND", "MINUTE", "HOUR", "DAY", "MONTHDAY", "YEARDAY", "WEEKNO", "MONTH")}
_RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYEASTER", "RSCALE", "SKIP"} | _BY_PARTS
_UNKNOWN_ZONE = timedelta(hours=14)
_PARAMETER = re.compile(rb';([A-Za-z0-9-]+)=("[^"]*"|[^;:]*)')
_TZID = re.compile(rb"^TZID[^:\r\n]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]")
# Zones change by the year; a rule that fires every second would be counted out from 1601 on.
_UNUSABLE_ZONE = re.compile(rb"FREQ=(?!YEARLY)|INTERVAL=(?!0*1\b)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_FREQUENCIES = frozenset(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
_TOO_FAST = frozenset(["SECONDLY", "MINUTELY", "HOURLY"])
# A rule of every day that these thin out may never fire, which dateutil finds out in the year 9999.
_THINNED_OUT = frozenset(["BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER", "BYSETPOS"])


@dataclass(frozen=True, slots=True)
class Facts:
    """A meeting in short. Times are aware UTC; `ends_at` is None for a series without an end.

    `organizer` is a lower-case address, at most 320 characters, or ""; always "" for an answer (see ANSWERS).
    `attendee_count` counts distinct people, organizer included, also those without a mail address.
    """

    uid: str
    subject: str
    organizer: str
    starts_at: datetime
    ends_at: datetime | None
    attendee_count: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class _Moment:
    """A date property: its wall time, its zone (None where it cannot be resolved) and whether it is a whole day."""

    wall: datetime
    zone: tzinfo | None
    is_day: bool

    def utc(self) -> datetime:
        return _to_utc(self.wall, self.zone)


def read_facts(source: bytes) -> Facts:
    """Return the facts of one object (one UID). Raises UnreadableCalendar with a sentence naming what is wrong."""
    calendars = parse(source)
    events = events_of(calendars)
    reader = _Reader(source, calendars)
    master = next((event for event in events if not event.named(b"RECURRENCE-ID")), None)
    overrides = [event for event in events if event.named(b"RECURRENCE-ID")]
    first = master or events[0]
    starts_at = reader.start(first).utc()
    ends_at = reader.end_of_series(master, overrides)
    cancelled = [
        is_withdrawn or _text(source, event, b"STATUS").upper() == "CANCELLED"
        for calendar in calendars
        for is_withdrawn in ["CANCEL" in methods_of(source, [calendar])]
        for event in calendar.events
    ]
    organizer = next((person(source, line) for event in (first, *events) for line in event.named(b"ORGANIZER")), None)
    if methods_of(source, calendars) & ANSWERS:
        # An answer names the meeting's organizer but is not the meeting: nobody's copy to migrate or to mail.
        organizer = None
    return Facts(
        uid=uid_of(source, first),
        subject=_text(source, first, b"SUMMARY"),
        organizer=organizer.address.lower() if organizer else "",
        starts_at=starts_at,
        ends_at=ends_at,
        attendee_count=_count_people(source, events),
        cancelled=all(cancelled) or (master is not None and cancelled[events.index(master)]),
    )


def events_not_over(source: bytes, calendars: list[Calendar], now: datetime) -> list[Event]:
    """Return the master and those overrides that do not lie wholly before `now` (R23).

    An override whose end cannot be read is taken for one that is still to come.
    """
    events = events_of(calendars)
    reader = _Reader(source, calendars)
    return [event for event in events if not _is_past_override(source, reader, event, now)]


def _is_past_override(source: bytes, reader: "_Reader", event: Event, now: datetime) -> bool:
    lines = event.named(b"RECURRENCE-ID")
    if not lines or b"THISANDFUTURE" in unfold(source[lines[0].start : lines[0].end]).upper():
        return False
    try:
        return reader.end(event) < now
    except UnreadableCalendar:
        return False


def _count_people(source: bytes, events: list[Event]) -> int:
    people = set()
    for event in events:
        for line in event.lines:
            if line.name in (b"ATTENDEE", b"ORGANIZER"):
                name, address = person(source, line)
                people.add(address.casefold() or (name.casefold(), value_of(source, line)))
    return len(people)


def _text(source: bytes, event: Event, name: bytes) -> str:
    for line in event.lines:
        if line.name == name:
            text = unescaped(value_of(source, line)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            return " ".join(_CONTROL.sub(" ", text).split())
    return ""


class _Reader:
    """Reads the date properties of one object, whose time zones it knows."""

    def __init__(self, source: bytes, calendars: list[Calendar]) -> None:
        self._source = source
        self._definitions = [source[start:end] for calendar in calendars for start, end in calendar.timezones]
        self._embedded: dict[str, bytes] | None = None

    def start(self, event: Event) -> _Moment:
        moments = self._moments(event, b"DTSTART")
        if not moments:
            raise UnreadableCalendar("The event has no DTSTART, so nobody can tell when it takes place.")
        return moments[0]

    def end(self, event: Event) -> datetime:
        """Return when a component's own (first) occurrence ends."""
        start = self.start(event)
        return _end(start, self._length(event, start))

    def end_of_series(self, master: Event | None, overrides: list[Event]) -> datetime | None:
        """Return the end of the last occurrence of master and overrides; None for a series without an end."""
        replaced: set[datetime] = set()
        ends = []
        for override in overrides:
            replaced.update(moment.utc() for moment in self._moments(override, b"RECURRENCE-ID"))
            if _text(self._source, override, b"STATUS").upper() != "CANCELLED" or master is None:
                ends.append(self.end(override))
        if master is None:
            return max(ends)
        start = self.start(master)
        length = self._length(master, start)
        if len(master.named(b"RRULE")) > _MOST_RULES:
            raise _bad_rule()
        replaced.update(moment.utc() for moment in self._moments(master, b"EXDATE"))
        days_off = {moment.wall.date() for moment in self._moments(master, b"EXDATE") if moment.is_day}
        occurrences = [start, *self._moments(master, b"RDATE")]
        for line in master.named(b"RRULE"):
            if not value_of(self._source, line).strip():
                continue
            last = _last_of_rule(value_of(self._source, line), start, replaced, days_off)
            if last is None:
                return None
            occurrences.append(last)
        kept = [
            _end(moment, length)
            for moment in occurrences
            if moment.utc() not in replaced and moment.wall.date() not in days_off
        ]
        # Where everything was taken out the meeting takes place no more; its start is as good an end as any.
        return max([*kept, *ends], default=_end(start, length))

    def _length(self, event: Event, start: _Moment) -> timedelta:
        ends = self._moments(event, b"DTEND")
        if ends:
            return min(max(ends[0].utc() - start.utc(), timedelta(0)), _LONGEST_MEETING)
        for line in event.named(b"DURATION"):
            length = self._decode(line, value_of(self._source, line))
            if isinstance(length, timedelta) and length < _LONGEST_MEETING:
                return max(length, timedelta(0))
            raise _bad(line)
        return timedelta(days=1) if start.is_day else timedelta(0)

    def _moments(self, event: Event, name: bytes) -> list[_Moment]:
        moments: list[_Moment] = []
        for line in event.lines:
            if line.name != name:
                continue
            unfolded = unfold(self._source[line.start : line.end])
            colon = value_start(unfolded)
            zone_name = _zone_name(unfolded[:colon])
            values = [value for value in unfolded[colon:].split(b",") if value.strip()]
            moments.extend(self._moment(line, value, zone_name) for value in values)
        return moments

    def _moment(self, line: Line, value: bytes, zone_name: str) -> _Moment:
        decoded = self._decode(line, value)
        if isinstance(decoded, tuple):  # a period in RDATE
            decoded = decoded[0]
        if isinstance(decoded, date) and not _FIRST_YEAR <= decoded.year <= _LAST_YEAR:
            raise _bad(line)
        if isinstance(decoded, datetime):
            if decoded.tzinfo is not None:
                moment = _Moment(decoded.replace(tzinfo=None), UTC, False)
            else:
                # Without a zone it is the reader's own time (RFC 5545, 3.3.5), whoever that is.
                moment = _Moment(decoded, self._zone(zone_name) if zone_name else None, False)
        elif isinstance(decoded, date):
            moment = _Moment(datetime.combine(decoded, time.min), UTC, True)
        else:
            raise _bad(line)
        return moment

    def _decode(self, line: Line, value: bytes) -> object:
        try:
            return vDDDTypes.from_ical(value.decode("ascii").strip())
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise _bad(line) from error

    def _zone(self, name: str) -> tzinfo | None:
        known = _known_zone(name)
        if known is not None:
            return known
        if self._embedded is None:
            self._embedded = {_zone_id(definition): definition for definition in self._definitions}
        definition = self._embedded.get(_plain(name))
        return _embedded_zone(definition) if definition is not None else None


def _bad(line: Line) -> UnreadableCalendar:
    return UnreadableCalendar(f"The event's {line.name.decode('ascii', 'replace')} cannot be read as a date or time.")


def _to_utc(wall: datetime, zone: tzinfo | None) -> datetime:
    return wall.replace(tzinfo=zone or UTC).astimezone(UTC)


def _end(start: _Moment, length: timedelta) -> datetime:
    end = start.utc() + length
    # A whole day or an unknown zone is over when it is over everywhere.
    return end + _UNKNOWN_ZONE if start.zone is None or start.is_day else end


def _zone_name(head: bytes) -> str:
    for found in _PARAMETER.finditer(head):
        if found[1].upper() == b"TZID":
            return found[2].strip(b'"').decode("utf-8", "replace").strip()
    return ""


def _plain(name: str) -> str:
    return name.replace("\\", "").strip().lower()


def _zone_id(definition: bytes) -> str:
    found = _TZID.search(_FOLD.sub(b"", definition))
    return _plain(found[1].decode("utf-8", "replace")) if found else ""


@lru_cache(maxsize=512)
def _known_zone(name: str) -> tzinfo | None:
    """Return the zone of an IANA or Windows name; None for any other."""
    if name.upper() in ("UTC", "GMT", "Z", "TZONE://MICROSOFT/UTC"):
        return UTC
    if len(name) > _LONGEST_ZONE_NAME:
        return None
    # Some programs put their own prefix before the name: /mozilla.org/20050126_1/Europe/Berlin.
    parts = name.strip("/").split("/")
    suffixes = ["/".join(parts[-count:]) for count in (3, 2)]
    for candidate in (_WINDOWS_ZONES.get(name.casefold(), name), *suffixes):
        if re.fullmatch(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", candidate):
            try:
                return ZoneInfo(candidate)
            except (KeyError, ValueError, OSError):
                continue
    return None


@lru_cache(maxsize=256)
def _embedded_zone(definition: bytes) -> tzinfo | None:
    """Return the zone of a VTIMEZONE; None when it cannot be used.

    Never looked up by its name: every calendar may define a name of its own for itself.
    """
    unfolded = _FOLD.sub(b"", definition)
    if _UNUSABLE_ZONE.search(unfolded) or unfolded.upper().count(b"RRULE") > _MOST_ZONE_RULES:
        return None
    try:
        component = Timezone.from_ical(definition)
        if not isinstance(component, Timezone):
            return None
        zone: tzinfo = component.to_tz(lookup_tzid=False)
        zone.utcoffset(datetime(2024, 1, 1))  # noqa: DTZ001 - wall time
        zone.utcoffset(datetime(2024, 7, 1))  # noqa: DTZ001 - wall time
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
        return None
    return zone


def _last_of_rule(value: bytes, start: _Moment, replaced: set[datetime], days_off: set[date]) -> _Moment | None:
    """Return the last occurrence of an RRULE that still takes place; None when the rule has no end, or none known.

    Rules are counted out only so far: beyond that UNTIL is taken for the end, and COUNT for no end.
    """
    parts = _rule_parts(value)
    until = _until(parts.pop("UNTIL", ""), start)
    if until is not None and start.zone is None:
        until += _UNKNOWN_ZONE
    if until is not None and until.year > _LAST_YEAR:
        until = None  # how some calendars write "for ever"
    count_text = parts.pop("COUNT", "")
    if count_text and not (count_text.isdigit() and int(count_text[:12])):
        raise _bad_rule()
    count = int(count_text[:12]) if count_text else MOST_OCCURRENCES + 1
    is_countable = (
        parts["FREQ"] not in _TOO_FAST
        and not (parts["FREQ"] in ("DAILY", "WEEKLY") and _THINNED_OUT & parts.keys())
        and parts.pop("RSCALE", "GREGORIAN") == "GREGORIAN"
    )
    parts.pop("SKIP", None)
    horizon = start.wall + _LONGEST_SERIES
    latest = None if until is None else _Moment(until, start.zone, start.is_day)
    if not is_countable or (until is not None and until > horizon):
        return latest
    if until is None and count > MOST_OCCURRENCES:
        _occurrences(parts, start, start.wall, 1)  # tells whether the rule can be read at all
        return None
    occurrences = _occurrences(parts, start, until or horizon, min(count, MOST_OCCURRENCES + 1))
    if len(occurrences) > MOST_OCCURRENCES or (until is None and len(occurrences) < count):
        return latest
    for wall in reversed(occurrences):
        moment = _Moment(wall, start.zone, start.is_day)
        if moment.utc() not in replaced and wall.date() not in days_off:
            return moment
    return start


def _rule_parts(value: bytes) -> dict[str, str]:
    if len(value) > _LONGEST_RULE:
        raise _bad_rule()
    parts = {}
    for part in value.decode("ascii", "replace").split(";"):
        name, equals, content = part.partition("=")
        name = name.strip().upper()
        if name in _RULE_PARTS:
            if not equals:
                raise _bad_rule()
            parts[name] = content.replace(" ", "").upper()
        if content.count(",") > _MOST_OF_A_PART:
            raise _bad_rule()
    if parts.get("FREQ") not in _FREQUENCIES:
        raise _bad_rule()
    interval = parts.get("INTERVAL", "1")
    if not interval.isdigit() or not 1 <= int(interval[:9]) <= 10_000:
        raise _bad_rule()
    return parts


def _until(text: str, start: _Moment) -> datetime | None:
    """Return UNTIL as wall time of the series."""
    if not text:
        return None
    try:
        until = vDDDTypes.from_ical(text)
        if isinstance(until, datetime):
            if until.tzinfo is None:
                return until
            near = until.year <= _LAST_YEAR
            return (until.astimezone(start.zone or UTC) if near else until).replace(tzinfo=None)
        if isinstance(until, date):
            return datetime.combine(until, time.max)
    except (ValueError, TypeError, OverflowError) as error:
        raise _bad_rule() from error
    raise _bad_rule()


def _occurrences(parts: dict[str, str], start: _Moment, until: datetime, most: int) -> list[datetime]:
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        rule = rrulestr(text, dtstart=start.wall)
        if not isinstance(rule, rrule):
            raise _bad_rule()
        return list(islice(rule.replace(until=until), most))
    except (ValueError, TypeError, OverflowError, KeyError, IndexError, AttributeError) as error:
        raise _bad_rule() from error


def _bad_rule() -> UnreadableCalendar:
    return UnreadableCalendar("The event's RRULE cannot be read, so nobody can tell when the series ends.")
