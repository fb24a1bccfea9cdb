"""When the events of one object begin and end."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from operator import itemgetter
from typing import NamedTuple

from icalendar import vDDDTypes

from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    Line,
    text_of,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.moments import (
    FIRST_YEAR,
    LAST_YEAR,
    UNKNOWN_ZONE,
    Moment,
    embedded_zone,
    end_of,
    known_zone,
    plain_name,
    zone_id,
    zone_name_in,
)
from migrations_app.calendars.recurrence import MOST_OCCURRENCES, bad_rule, last_of_rule, occurrences_of_rule
from tenants_app.sentences import sentence

_MOST_RULES = 2
_LONGEST_MEETING = timedelta(days=3660)


class Occurrence(NamedTuple):
    """When one occurrence takes place, in UTC.

    A whole day, and a time without a known zone, is `vague`: its times then reach as far as they may anywhere.
    `recurrence_id` is the value of RECURRENCE-ID where a component of its own says when; "" where the master does.
    """

    start: datetime
    end: datetime
    vague: bool
    recurrence_id: str


class Reader:
    """Reads the date properties of one object, whose time zones it knows."""

    def __init__(self, source: bytes, calendars: list[Calendar]) -> None:
        self._source = source
        self._calendars = calendars
        self._embedded: dict[str, bytes] | None = None

    def start(self, event: Event) -> Moment:
        moments = self._moments(event, b"DTSTART")
        if not moments:
            raise UnreadableCalendar(sentence("The event has no DTSTART, so nobody can tell when it takes place."))
        return moments[0]

    def times(self, event: Event) -> tuple[Moment, timedelta, str]:
        """Return when a component's own (first) occurrence begins, how long it takes, and the TZID of its start.

        Raises UnreadableCalendar.
        """
        start = self.start(event)
        line = event.named(b"DTSTART")[0]
        unfolded = unfold(self._source[line.start : line.end])
        return start, self._length(event, start), zone_name_in(unfolded[: value_start(unfolded)])

    def replaced(self, event: Event) -> datetime | str:
        """Return which occurrence an override replaces, in UTC; the raw value where it cannot be read."""
        try:
            return self._moments(event, b"RECURRENCE-ID")[0].utc()
        except (UnreadableCalendar, IndexError):
            return value_of(self._source, event.named(b"RECURRENCE-ID")[0]).decode("utf-8", "replace") or "?"

    def end(self, event: Event) -> datetime:
        """Return when a component's own (first) occurrence ends."""
        start = self.start(event)
        return end_of(start, self._length(event, start))

    def end_of_series(self, master: Event | None, overrides: list[Event]) -> datetime | None:
        """Return the end of the last occurrence of master and overrides; None for a series without an end."""
        replaced: set[datetime] = set()
        ends = []
        for override in overrides:
            replaced.update(moment.utc() for moment in self._moments(override, b"RECURRENCE-ID"))
            if text_of(self._source, override, b"STATUS").upper() != "CANCELLED" or master is None:
                ends.append(self.end(override))
        if master is None:
            return max(ends)
        start = self.start(master)
        length = self._length(master, start)
        if len(master.named(b"RRULE")) > _MOST_RULES:
            raise bad_rule()
        replaced.update(moment.utc() for moment in self._moments(master, b"EXDATE"))
        days_off = {moment.wall.date() for moment in self._moments(master, b"EXDATE") if moment.is_day}
        occurrences = [start, *self._moments(master, b"RDATE")]
        for line in master.named(b"RRULE"):
            if not value_of(self._source, line).strip():
                continue
            last = last_of_rule(value_of(self._source, line), start, replaced, days_off)
            if last is None:
                return None
            occurrences.append(last)
        kept = [
            end_of(moment, length)
            for moment in occurrences
            if moment.utc() not in replaced and moment.wall.date() not in days_off
        ]
        # Where everything was taken out the meeting takes place no more; its start is as good an end as any.
        return max([*kept, *ends], default=end_of(start, length))

    def occurrences(
        self, master: Event | None, overrides: list[tuple[Event, bool]], ends_after: datetime, starts_by: datetime
    ) -> list[Occurrence]:
        """Return what takes place within the two moments (aware), overrides in place of what they replace.

        Each override comes with whether it is cancelled. Raises UnreadableCalendar.
        """
        found = []
        replaced: set[datetime] = set()
        moved: list[tuple[datetime, timedelta | None, timedelta]] = []  # from when on, how far (None: off), how long
        for override, is_off in overrides:
            start = self.start(override)
            length = self._length(override, start)
            for moment in self._moments(override, b"RECURRENCE-ID"):
                replaced.add(moment.utc())
                if changes_all_that_follow(self._source, override):
                    moved.append((moment.utc(), None if is_off else start.wall - moment.wall, length))
            if not is_off:
                name = value_of(self._source, override.named(b"RECURRENCE-ID")[0]).decode("utf-8", "replace").strip()
                found.append(_occurrence(start, length, name))
        if master is not None:
            length = self._length(master, self.start(master))
            reach = max([abs(far) for _, far, _ in moved if far is not None], default=timedelta(0))
            longest = max([length, *(each for _, _, each in moved)])
            margin = timedelta(days=2) + reach
            moved.sort(key=itemgetter(0))
            for moment in self._of_master(master, replaced, ends_after - longest - margin, starts_by + margin):
                changed = [each for each in moved if each[0] <= moment.utc()]
                _, far, long = changed[-1] if changed else (None, timedelta(0), length)
                if far is not None:
                    found.append(_occurrence(Moment(moment.wall + far, moment.zone, moment.is_day), long))
        return [each for each in found if each.end > ends_after and each.start <= starts_by]

    def _of_master(
        self, master: Event, replaced: set[datetime], earliest: datetime, latest: datetime
    ) -> Iterator[Moment]:
        """Yield when the master's own occurrences begin, of a rule those around the two moments."""
        start = self.start(master)
        rules = master.named(b"RRULE")
        if len(rules) > _MOST_RULES:
            raise bad_rule()
        off = self._moments(master, b"EXDATE")
        off_times = replaced | {moment.utc() for moment in off}
        days_off = {moment.wall.date() for moment in off if moment.is_day}
        begin, end = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (earliest, latest))
        occurrences = {moment.utc(): moment for moment in [start, *self._moments(master, b"RDATE")]}
        for line in rules:
            if value_of(self._source, line).strip():
                found = occurrences_of_rule(value_of(self._source, line), start, begin, end)
                occurrences |= {moment.utc(): moment for moment in found}
        for moment in occurrences.values():
            if moment.utc() not in off_times and moment.wall.date() not in days_off:
                yield moment

    def _length(self, event: Event, start: Moment) -> timedelta:
        ends = self._moments(event, b"DTEND")
        if ends:
            return min(max(ends[0].utc() - start.utc(), timedelta(0)), _LONGEST_MEETING)
        for line in event.named(b"DURATION"):
            length = self._decode(line, value_of(self._source, line))
            if isinstance(length, timedelta) and length < _LONGEST_MEETING:
                return max(length, timedelta(0))
            raise _bad(line)
        return timedelta(days=1) if start.is_day else timedelta(0)

    def _moments(self, event: Event, name: bytes) -> list[Moment]:
        moments: list[Moment] = []
        for line in event.lines:
            if line.name != name:
                continue
            unfolded = unfold(self._source[line.start : line.end])
            colon = value_start(unfolded)
            zone_name = zone_name_in(unfolded[:colon])
            values = [value for value in unfolded[colon:].split(b",") if value.strip()]
            if len(moments) + len(values) > MOST_OCCURRENCES:
                raise UnreadableCalendar(
                    sentence(
                        "The event's %(property)s has more than %(most)s dates.",
                        property=name.decode("ascii"),
                        most=MOST_OCCURRENCES,
                    )
                )
            moments.extend(self._moment(line, value, zone_name) for value in values)
        return moments

    def _moment(self, line: Line, value: bytes, zone_name: str) -> Moment:
        decoded = self._decode(line, value)
        if isinstance(decoded, tuple):  # a period in RDATE
            decoded = decoded[0]
        if isinstance(decoded, date) and not FIRST_YEAR <= decoded.year <= LAST_YEAR:
            raise _bad(line)
        if isinstance(decoded, datetime):
            if decoded.tzinfo is not None:
                moment = Moment(decoded.replace(tzinfo=None), UTC, False)
            else:
                # Without a zone it is the reader's own time (RFC 5545, 3.3.5), whoever that is.
                moment = Moment(decoded, self._zone(zone_name) if zone_name else None, False)
        elif isinstance(decoded, date):
            moment = Moment(datetime.combine(decoded, time.min), UTC, True)
        else:
            raise _bad(line)
        return moment

    def _decode(self, line: Line, value: bytes) -> object:
        try:
            return vDDDTypes.from_ical(value.decode("ascii").strip())
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            raise _bad(line) from error

    def _zone(self, name: str) -> tzinfo | None:
        known = known_zone(name)
        if known is not None:
            return known
        if self._embedded is None:
            spans = (span for calendar in self._calendars for span in calendar.timezones)
            definitions = (self._source[start:end] for start, end in spans)
            self._embedded = {zone_id(definition): definition for definition in definitions}
        definition = self._embedded.get(plain_name(name))
        return embedded_zone(definition) if definition is not None else None


def _occurrence(start: Moment, length: timedelta, recurrence_id: str = "") -> Occurrence:
    vague = start.is_day or start.zone is None
    begin = start.utc() - (UNKNOWN_ZONE if vague else timedelta(0))
    return Occurrence(begin, end_of(start, length), vague, recurrence_id)


def changes_all_that_follow(source: bytes, event: Event) -> bool:
    """Tell whether a changed occurrence stands for all later ones too (RFC 5545 section 3.2.13)."""
    lines = event.named(b"RECURRENCE-ID")
    return bool(lines) and b"THISANDFUTURE" in unfold(source[lines[0].start : lines[0].end]).upper()


def _bad(line: Line) -> UnreadableCalendar:
    return UnreadableCalendar(
        sentence(
            "The event's %(property)s cannot be read as a date or time.", property=line.name.decode("ascii", "replace")
        )
    )
