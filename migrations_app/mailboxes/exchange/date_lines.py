"""When an event takes place, as lines of a calendar object: in the zone in which the series recurs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from migrations_app.calendars.moments import known_zone
from migrations_app.mailboxes.exchange.events import ExchangeEvent

_UTC = "%Y%m%dT%H%M%SZ"
_WALL = "%Y%m%dT%H%M%S"
_DAY = "%Y%m%d"
_SHORTEST_MONTH = 28
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+./ -]+")


def dates(event: ExchangeEvent, series: ExchangeEvent) -> Iterator[bytes]:
    """The lines about dates of an event, which is the series or one of its exceptions."""
    zone = _zone(series)
    if event is not series:
        yield b"RECURRENCE-ID" + (b";VALUE=DATE:" if series.is_all_day else b":") + recurrence_id(event, series)
    if event.is_all_day:
        start, end = _day(event.starts_at, zone), _day(event.ends_at, zone)
        yield f"DTSTART;VALUE=DATE:{start:{_DAY}}".encode()
        yield f"DTEND;VALUE=DATE:{max(end, start + timedelta(days=1)):{_DAY}}".encode()
    else:
        yield b"DTSTART" + _moment(event.starts_at, zone, series.zone)
        yield b"DTEND" + _moment(max(event.ends_at, event.starts_at), zone, series.zone)
    if event.rrule:
        yield b"RRULE:" + "".join(event.rrule.split()).encode()
    if event.excluded:
        days = b";VALUE=DATE:" if event.is_all_day else b":"
        yield b"EXDATE" + days + b",".join(sorted(_id(each, series) for each in event.excluded))


def by_day_of_month(day: int) -> str:
    """The part of an RRULE for a day of the month. In a month without it Exchange takes the last one, where RFC 5545
    would pass over the month."""
    if day <= _SHORTEST_MONTH:
        return f"BYMONTHDAY={day}"
    days = ",".join(str(each) for each in range(_SHORTEST_MONTH, day + 1))
    return f"BYMONTHDAY={days};BYSETPOS=-1"


def recurrence_id(event: ExchangeEvent, series: ExchangeEvent) -> bytes:
    """The value of an exception's RECURRENCE-ID: in UTC, of a series of whole days the day."""
    return _id(event.recurrence_id or event.starts_at, series)


def _id(moment: datetime, series: ExchangeEvent) -> bytes:
    if series.is_all_day:
        return f"{_day(moment, _zone(series)):{_DAY}}".encode()
    return moment.astimezone(UTC).strftime(_UTC).encode()


def _moment(moment: datetime, zone: tzinfo, name: str) -> bytes:
    moment = moment.astimezone(UTC)
    wall = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    # An hour that a clock shows twice is told in UTC.
    if zone is UTC or wall.replace(tzinfo=zone).astimezone(UTC) != moment:
        return b":" + moment.strftime(_UTC).encode()
    return f";TZID={name}:{wall:{_WALL}}".encode()


def _zone(event: ExchangeEvent) -> tzinfo:
    """The zone of an event; UTC where its name is not one that calendars know."""
    return (known_zone(event.zone) or UTC) if _ZONE_NAME.fullmatch(event.zone) else UTC


def _day(moment: datetime, zone: tzinfo) -> date:
    """The day that a boundary of whole days stands for: midnight in UTC, or in the zone, as servers write it."""
    moment = moment.astimezone(UTC)
    return moment.date() if moment.time() == time.min else moment.astimezone(zone).date()
