"""From a stored calendar object to the iTIP requests that tell its attendees (RFC 5546 section 3.2.2).

Whoever was invited to the series gets the series, without the occurrences that they are not invited to. Whoever was
invited to single occurrences gets these and nothing else (R24). All who may see the same get the same request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from migrations_app.calendars import people
from migrations_app.calendars.appointments import Appointment, appointment
from migrations_app.calendars.content_lines import (
    AS_WINDOWS_1252,
    Edit,
    Event,
    events_of,
    insert_lines,
    line_ending,
    methods_of,
    parse,
    property_name,
    replace_in_value,
    splice,
    text_of,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.dates import Reader, changes_all_that_follow
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import ANSWERS, events_not_over
from migrations_app.calendars.objects import Zones, one_object
from migrations_app.calendars.people import Person
from migrations_app.calendars.recurrence import ended_before
from migrations_app.calendars.revision import highest_sequence, latest_stamp
from migrations_app.calendars.sent_copy import as_sent, as_utf_8, is_own

_LONGEST_LOCAL_PART, _LONGEST_ADDRESS = 64, 254
_DESCRIPTIONS = (b"DESCRIPTION", b"X-ALT-DESC", b"STYLED-DESCRIPTION")
_RANGE = re.compile(rb';RANGE="?[A-Z]++"?', re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """One request and those whom it goes to.

    `events` are the series, first, where they are invited to it, and the occurrences that they are invited to;
    `omitted` are the other changed occurrences of a series, and those that are cancelled.
    """

    recipients: list[Person]
    events: list[Event]
    omitted: list[Event]
    meeting: Meeting

    @property
    def has_series(self) -> bool:
        return not self.events[0].named(b"RECURRENCE-ID")

    @property
    def key(self) -> str:
        """What tells it from the other requests of its meeting; "" where it is the whole meeting."""
        if len(self.events) == len(self.meeting.events):
            return ""
        return "\n".join(self.meeting.recurrence_id(event) or "series" for event in self.events)

    @property
    def subject(self) -> str:
        return text_of(self.meeting.source, self.events[0], b"SUMMARY")

    @cached_property
    def description(self) -> str:
        """The text that describes the series, or the occurrences one after the other."""
        return "\n\n".join(dict.fromkeys(filter(None, self._described(b"DESCRIPTION"))))

    @cached_property
    def html(self) -> str:
        """The same as HTML; "" where occurrences have different ones."""
        found = set(self._described(b"X-ALT-DESC"))
        return found.pop() if len(found) == 1 else ""

    @cached_property
    def appointments(self) -> list[Appointment]:
        """When and where the series, or each of the occurrences, takes place; those that can be told."""
        found = [self.meeting.appointment(event) for event in self._shown]
        return [each for each in found if each is not None]

    @cached_property
    def body(self) -> bytes:
        """Every line as stored, but for METHOD, for what `sent_copy` changes, and for what is left out; in UTF-8 and
        with CRLF, whatever is stored. Time zones go along; other components (to-dos) are not the attendees' and stay
        at home."""
        return self.meeting.request(self)

    @property
    def _shown(self) -> list[Event]:
        return self.events[:1] if self.has_series else self.events

    def _described(self, name: bytes) -> list[str]:
        inherits = not self.has_series
        return [self.meeting.description(event, name, inherits=inherits) for event in self._shown]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the messages about a meeting are made of."""

    organizer: Person | None
    sequence: int
    """The revision that the object is at."""
    requests: list[Request]
    """Each attendee that mail can reach, without the organizer, is a recipient of one (R24), but for those who were
    invited only to occurrences that are over or cancelled. None where the object is an attendee's answer."""

    @property
    def recipients(self) -> list[Person]:
        """Everybody whom a request goes to."""
        return [person for request in self.requests for person in request.recipients]


def read(
    body: bytes, own: Collection[str], *, now: datetime, inherited: Callable[[], Sequence[bytes]] = tuple
) -> Invitation:
    """Read a stored object for its updates. ``own`` are the organizer's addresses in lower case, whom nobody mails;
    the one that the object names counts as well. ``now`` is aware. All addresses are ASCII.

    ``inherited`` returns the content lines that describe an occurrence without a description of its own to people who
    must not see the one of the series; it is asked when such a request is made."""
    meeting = Meeting(body, inherited)
    organizer = people.organizer(body, meeting.events)
    apart = {*own, organizer.address.lower()} if organizer else set(own)
    is_answer = bool(methods_of(body, meeting.calendars) & ANSWERS)
    return Invitation(
        organizer=_reachable(organizer),
        sequence=highest_sequence(body, meeting.events),
        requests=[] if is_answer else meeting.requests(apart, now),
    )


class Meeting:
    """A stored object taken apart; its events with the series first."""

    def __init__(self, source: bytes, inherited: Callable[[], Sequence[bytes]]) -> None:
        self.source = source
        self.calendars = parse(source)
        self.events = people.master_first(events_of(self.calendars))
        self._inherited = inherited

    def requests(self, apart: Collection[str], now: datetime) -> list[Request]:
        """Return one request for all who are invited to the same events, but for the addresses in `apart`."""
        if len(self.events) == 1:
            recipients = [*self._invited(self.events[0], apart).values()]
            return [Request(recipients, self.events, [], self)] if recipients and self._current(now) else []
        alive = [event for event in self.events if not self._is_cancelled_occurrence(event)]
        persons: dict[str, Person] = {}
        places: dict[str, list[int]] = {}
        for place, event in enumerate(alive):
            for address, person in self._invited(event, apart).items():
                persons.setdefault(address, person)
                places.setdefault(address, []).append(place)
        # An occurrence that names nobody has the attendees of the series.
        bare = [place for place, event in enumerate(alive) if not event.named(b"ATTENDEE")]
        current = set(map(id, self._current(now)))
        groups: dict[tuple[int, ...], list[Person]] = {}
        for address, those in places.items():
            if alive[those[0]].named(b"RECURRENCE-ID"):
                seen = tuple(place for place in those if id(alive[place]) in current)
            else:
                seen = tuple(sorted({*those, *bare}))
            if seen:
                groups.setdefault(seen, []).append(persons[address])
        return [self._request([alive[place] for place in seen], group) for seen, group in groups.items()]

    def _request(self, events: list[Event], recipients: list[Person]) -> Request:
        seen = set(map(id, events))
        has_series = not events[0].named(b"RECURRENCE-ID")
        omitted = [event for event in self.events if has_series and id(event) not in seen]
        return Request(recipients, events, omitted, self)

    def _current(self, now: datetime) -> list[Event]:
        return events_not_over(self.source, self.calendars, now)

    def _invited(self, event: Event, apart: Collection[str]) -> dict[str, Person]:
        return {
            person.address.casefold(): reachable
            for person in people.attendees(self.source, [event])
            if person.address.lower() not in apart and (reachable := _reachable(person))
        }

    def _is_cancelled_occurrence(self, event: Event) -> bool:
        """Tell whether an occurrence takes place no more, which no request may say (RFC 5546 section 3.2.2)."""
        if not event.named(b"RECURRENCE-ID"):
            return False
        return id(event) in self._withdrawn or text_of(self.source, event, b"STATUS").upper() == "CANCELLED"

    @cached_property
    def _withdrawn(self) -> set[int]:
        """The events, by their identity, of those calendars in the file that cancel what they hold."""
        cancelling = [each for each in self.calendars if "CANCEL" in methods_of(self.source, [each])]
        return {id(event) for calendar in cancelling for event in calendar.events}

    def recurrence_id(self, event: Event) -> str:
        return text_of(self.source, event, b"RECURRENCE-ID")

    def description(self, event: Event, name: bytes, *, inherits: bool) -> str:
        """Return a description as text; `inherits` where an event without any is described by the inherited lines."""
        if inherits and not self._has_description(event):
            lines = (line for line in self.inherited if property_name(line) == name)
            return next((unescaped(line[value_start(line) :], AS_WINDOWS_1252) for line in lines), "")
        line = next(iter(event.named(name)), None)
        return unescaped(value_of(self.source, line), AS_WINDOWS_1252) if line else ""

    def appointment(self, event: Event) -> Appointment | None:
        return appointment(self.source, self._reader, event)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.source, self.calendars)

    @cached_property
    def _stamp(self) -> bytes:
        """The revision stamp of all that is sent; b"" where there is nothing to compare."""
        return latest_stamp(self.source, self.events) if len(self.events) > 1 else b""

    @cached_property
    def inherited(self) -> Sequence[bytes]:
        """The lines that describe an occurrence without a description of its own."""
        return self._inherited()

    @cached_property
    def _zones(self) -> Zones:
        return Zones(self.source, self.calendars)

    def _has_description(self, event: Event) -> bool:
        lines = (line for name in _DESCRIPTIONS for line in event.named(name))
        return any(value_of(self.source, line).strip() for line in lines)

    def request(self, request: Request) -> bytes:
        """Return the object that holds the events of a request and nothing else.

        Stored objects have no METHOD by RFC 4791 section 4.1, but files that people saved may.
        """
        wanted = set(map(id, request.events))
        members = [(calendar, each) for calendar in self.calendars for each in calendar.events if id(each) in wanted]
        lines = (self.source[start:end] for start, end in members[0][0].header)
        header = [line for line in lines if not is_own(property_name(line))]
        methods = [at for at, line in enumerate(header) if property_name(line) == b"METHOD"]
        method = b"METHOD:REQUEST" + line_ending(self.source)
        if methods:
            header[methods[0]] = method
            header = [line for at, line in enumerate(header) if at not in methods[1:]]
        else:
            header.insert(1, method)
        texts = [self._written(event, request) for _, event in members]
        return as_utf_8(one_object(self.source, members, header, self._zones, texts))

    def _written(self, event: Event, request: Request) -> bytes:
        edits = [*as_sent(self.source, event, self._stamp)]
        added: list[bytes] = []
        if request.has_series and event is request.events[0]:
            added = [*map(self._exdate, request.omitted)]
            edits += self._ended(event, request.omitted)
        elif not request.has_series and not self._has_description(event):
            added = [*self.inherited]
        if added:
            edits.append(insert_lines(self.source, event, added))
        start = event.start
        shifted = [Edit(edit.start - start, edit.end - start, edit.replacement) for edit in edits]
        return splice(self.source[start : event.end], shifted)

    def _ended(self, series: Event, omitted: Sequence[Event]) -> Iterator[Edit]:
        """Yield the edits that end a series before the first of its omitted changes that stand for all that follows."""
        replaced = [self._reader.replaced(each) for each in omitted if changes_all_that_follow(self.source, each)]
        ends = [each for each in replaced if isinstance(each, datetime)]
        if not ends:
            return
        try:
            start, _, zone = self._reader.times(series)
        except UnreadableCalendar:
            return
        form = "%Y%m%d" if start.is_day else "%Y%m%dT%H%M%S" if start.zone is None and not zone else "%Y%m%dT%H%M%SZ"
        for line in series.named(b"RRULE"):
            value = value_of(self.source, line)
            if value.strip() and (ended := ended_before(value, min(ends), form)) != value:
                unfolded = unfold(self.source[line.start : line.end])
                yield replace_in_value(self.source, line, value_start(unfolded), len(unfolded), ended)

    def _exdate(self, override: Event) -> bytes:
        """Return the line that takes an occurrence out of the series."""
        line = override.named(b"RECURRENCE-ID")[0]
        unfolded = unfold(self.source[line.start : line.end])
        start = value_start(unfolded)
        return b"EXDATE" + _RANGE.sub(b"", unfolded[len(b"RECURRENCE-ID") : start]) + unfolded[start:]


def _reachable(person: Person | None) -> Person | None:
    address = ascii_address(person.address) if person else ""
    return Person(person.name, address) if person and address else None


def ascii_address(address: str) -> str:
    """The address as every mail server takes it; "" where it has none (RFC 5891; no SMTPUTF8 is presumed).

    At most 64 octets before the @ and 254 in all (RFC 5321 section 4.5.3.1)."""
    local, _, domain = address.rpartition("@")
    try:
        encoded = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ""
    fits = len(local) <= _LONGEST_LOCAL_PART and len(encoded) <= _LONGEST_ADDRESS
    # Encoding may bring characters in that were not there: a digit one with a full stop becomes "1.".
    return encoded if fits and encoded.isascii() and people.is_address(encoded) else ""
