"""When and where an event takes place, in its own time zone, as people are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from migrations_app.calendars.content_lines import Event, text_of, value_of
from migrations_app.calendars.dates import Reader, changes_all_that_follow
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.moments import Moment, known_zone
from migrations_app.calendars.recurrence import Repetition, repetition

_LONGEST_ZONE_NAME = 60


@dataclass(frozen=True, slots=True)
class Appointment:
    """An event's times by the clock of its time zone, and its LOCATION.

    Of whole days `end` is the last one. `zone` is "" where none is named: then it is each reader's own time.
    `repetition` is None for an event that takes place once.
    """

    start: datetime
    end: datetime
    is_day: bool
    zone: str
    repetition: Repetition | None
    location: str


def appointment(source: bytes, reader: Reader, event: Event) -> Appointment | None:
    """Return when and where an event takes place (a series: its first occurrence); None where that cannot be read."""
    try:
        start, length, name = reader.times(event)
        repeats = _repetition(source, event, start)
        end = _end(start, length)
        zone = "" if start.is_day else _zone_name(start, name)
    except (UnreadableCalendar, OverflowError):
        return None
    return Appointment(start.wall, end, start.is_day, zone, repeats, text_of(source, event, b"LOCATION"))


def _end(start: Moment, length: timedelta) -> datetime:
    if start.is_day:
        return start.wall + max(length - timedelta(days=1), timedelta(0))
    if start.zone is None:
        return start.wall + length
    return (start.utc() + length).astimezone(start.zone).replace(tzinfo=None)


def _repetition(source: bytes, event: Event, start: Moment) -> Repetition | None:
    rules = [value for line in event.named(b"RRULE") if (value := value_of(source, line)).strip()]
    if changes_all_that_follow(source, event):
        return Repetition()
    if event.named(b"RECURRENCE-ID") or not (rules or event.named(b"RDATE")):
        return None
    try:
        return repetition(rules[0], start) if len(rules) == 1 and not event.named(b"RDATE") else Repetition()
    except UnreadableCalendar:
        return Repetition()


def _zone_name(start: Moment, name: str) -> str:
    """Return what a time zone is called: by IANA's name, or as the calendar calls it, with its distance from UTC."""
    if start.zone is UTC:
        return "UTC"
    known: tzinfo | None = known_zone(name)
    if isinstance(known, ZoneInfo):
        return known.key
    shown = "" if "://" in name else " ".join(name.replace("\\", "").split())[:_LONGEST_ZONE_NAME]
    offset = start.zone.utcoffset(start.wall) if start.zone is not None else None
    if offset is None:
        return shown
    minutes = round(offset.total_seconds() / 60)
    distance = f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{shown}, {distance}" if shown else distance
