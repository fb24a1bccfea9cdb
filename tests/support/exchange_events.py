"""Invitations as Exchange would keep them, for tests of its mailboxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    events_of,
    parse,
    text_of,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.dates import Reader
from migrations_app.calendars.people import organizer, person
from migrations_app.mailboxes.exchange.events import PROPERTIES, ExchangeEvent, Kind, Person

_RESOURCES = (b"CUTYPE=ROOM", b"CUTYPE=RESOURCE")


def event_of(source: bytes, *, is_html: bool | None = None) -> ExchangeEvent:
    """The event of a calendar object. Exchange keeps one body: the HTML where there is any, or what ``is_html`` wants.

    Raises ``ValueError`` for an object that Exchange could not keep: one of single occurrences without their series, or
    one that says the same twice; ``UnreadableCalendar`` where its dates cannot be read.
    """
    calendars = parse(source)
    events = events_of(calendars)
    masters = [each for each in events if not each.named(b"RECURRENCE-ID")]
    if len(masters) != 1:
        raise ValueError("The object has no series, or more than one.")
    made = _Made(source, calendars, is_html)
    master = made.event(masters[0], Kind.SERIES if masters[0].named(b"RRULE") else Kind.SINGLE)
    overrides = [made.event(each, Kind.EXCEPTION) for each in events if each is not masters[0]]
    if len({each.recurrence_id for each in overrides}) < len(overrides):
        raise ValueError("The object has an occurrence twice.")
    # A copy of an occurrence has what the series has, where nobody said anything else.
    exceptions = [
        replace(each, id=f"{master.id}-{number}", uid=master.uid, organizer=each.organizer or master.organizer)
        for number, each in enumerate(sorted(overrides, key=lambda each: str(each.recurrence_id)), 1)
    ]
    return replace(master, exceptions=tuple(exceptions))


class _Made:
    """Events of one object."""

    def __init__(self, source: bytes, calendars: list[Calendar], is_html: bool | None) -> None:
        self._source, self._is_html = source, is_html
        self._reader = Reader(source, calendars)

    def event(self, event: Event, kind: Kind) -> ExchangeEvent:
        start, length, zone = self._reader.times(event)
        bodies = dict(self._bodies(event))
        is_html = (bool(bodies.get(True)) or not bodies) if self._is_html is None else self._is_html
        replaced = self._reader.replaced(event) if kind is Kind.EXCEPTION else None
        if isinstance(replaced, str):
            raise ValueError("The object has an occurrence that cannot be told.")
        named = organizer(self._source, [event])
        return ExchangeEvent(
            id="AAMkAGI1",
            change_key="CQAAABYAAAB1",
            uid=text_of(self._source, event, b"UID"),
            kind=kind,
            subject=text_of(self._source, event, b"SUMMARY"),
            organizer=Person(named.address, named.name) if named else None,
            starts_at=start.utc(),
            ends_at=start.utc() + max(length, timedelta(minutes=1)),
            body=bodies.get(is_html, ""),
            body_is_html=is_html,
            zone=zone or "UTC",
            is_all_day=start.is_day,
            is_cancelled=text_of(self._source, event, b"STATUS").upper() == "CANCELLED",
            attendees=tuple(self._attendees(event)),
            location=text_of(self._source, event, b"LOCATION"),
            properties={
                name: value for name in PROPERTIES if (value := self._value(event, f"X-MICROSOFT-{name.upper()}"))
            },
            sequence=int(text_of(self._source, event, b"SEQUENCE") or 0),
            rrule=self._value(event, "RRULE"),
            recurrence_id=replaced,
        )

    def _bodies(self, event: Event) -> Iterator[tuple[bool, str]]:
        for line in event.lines:
            if line.name in (b"DESCRIPTION", b"X-ALT-DESC", b"STYLED-DESCRIPTION"):
                yield line.name != b"DESCRIPTION", unescaped(value_of(self._source, line))

    def _attendees(self, event: Event) -> Iterator[Person]:
        for line in event.named(b"ATTENDEE"):
            name, address = person(self._source, line)
            unfolded = unfold(self._source[line.start : line.end])
            head = unfolded[: value_start(unfolded)].upper()
            yield Person(address, name, is_room=any(each in head for each in _RESOURCES))

    def _value(self, event: Event, name: str) -> str:
        for line in event.named(name.encode()):
            return unescaped(value_of(self._source, line)).strip()
        return ""
