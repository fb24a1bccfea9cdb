"""When a series takes place: Graph's pattern and range (patternedRecurrence) as a rule of RFC 5545."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import rrulestr
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from migrations_app.mailboxes.exchange.date_lines import by_day_of_month
from migrations_app.mailboxes.graph.answers import JSON, number, objects, text, unusable

_DAYS = {
    "sunday": "SU",
    "monday": "MO",
    "tuesday": "TU",
    "wednesday": "WE",
    "thursday": "TH",
    "friday": "FR",
    "saturday": "SA",
}
_WHICH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_FREQUENCIES = {
    "daily": "DAILY",
    "weekly": "WEEKLY",
    "absolutemonthly": "MONTHLY",
    "relativemonthly": "MONTHLY",
    "absoluteyearly": "YEARLY",
    "relativeyearly": "YEARLY",
}
_ZONES = available_timezones()


def zone_of(name: str) -> str:
    """The IANA name of a zone that Exchange names, as Windows or IANA do; empty where it is neither, as for one that
    somebody made up in Outlook (``tzone://Microsoft/Custom``)."""
    if name.casefold() in ("utc", "tzone://microsoft/utc"):
        return "UTC"
    return WINDOWS_TO_OLSON.get(name) or (name if name in _ZONES else "")


def range_of(recurrence: JSON) -> JSON:
    """Over how long a series goes."""
    return objects(recurrence, "range")


def last_day(recurrence: JSON) -> date | None:
    """The last day on which a series may take place, in its own zone; None where none is named."""
    range_ = range_of(recurrence)
    if text(range_, "type").casefold() != "enddate":
        return None
    try:
        return date.fromisoformat(text(range_, "endDate")[:10])
    except ValueError as error:
        raise unusable("endDate") from error


def rule_of(recurrence: JSON, zone: str, is_all_day: bool) -> str:
    """The value of an RRULE. Where the zone is not known (empty) the series counts as a day longer.

    Raises ``Failure``.
    """
    pattern, range_ = objects(recurrence, "pattern"), range_of(recurrence)
    kind = text(pattern, "type").casefold()
    if kind not in _FREQUENCIES:
        raise unusable("recurrence.pattern.type")
    parts = [f"FREQ={_FREQUENCIES[kind]}"]
    interval = number(pattern, "interval", 1)
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    if kind == "weekly":
        first = text(pattern, "firstDayOfWeek").casefold() or "sunday"
        parts += [_by_day(pattern), f"WKST={_day(first)}"]
    if kind.endswith("yearly"):
        parts.append(f"BYMONTH={_within(number(pattern, 'month'), 12, 'month')}")
    if kind.startswith("absolute"):
        parts.append(by_day_of_month(_within(number(pattern, "dayOfMonth"), 31, "dayOfMonth")))
    if kind.startswith("relative"):
        which = text(pattern, "index").casefold() or "first"
        if which not in _WHICH:
            raise unusable("recurrence.pattern.index")
        parts += [_by_day(pattern), f"BYSETPOS={_WHICH[which]}"]
    ends = text(range_, "type").casefold()
    if ends == "numbered":
        parts.append(f"COUNT={_within(number(range_, 'numberOfOccurrences'), 1_000_000, 'numberOfOccurrences')}")
    elif ends == "enddate":
        parts.append(f"UNTIL={_until(recurrence, zone, is_all_day)}")
    elif ends != "noend":
        raise unusable("recurrence.range.type")
    return ";".join(parts)


def starts_missing(rule: str, zone: str, first: datetime, there: Collection[datetime]) -> tuple[datetime, ...]:
    """Starts by the rule that no occurrence of the series has any more, between the first and the last of those there.

    Empty where something is there that the rule does not foresee: then it says nothing about what is missing.
    """
    if not zone or not there:
        return ()
    begin, end = min(there), max(there)
    foreseen = rrulestr(rule, dtstart=first.astimezone(ZoneInfo(zone)))
    starts = {start.astimezone(UTC) for start in foreseen.between(begin, end, inc=True)}
    return tuple(sorted(starts - set(there))) if starts.issuperset(there) else ()


def _until(recurrence: JSON, zone: str, is_all_day: bool) -> str:
    day = last_day(recurrence)
    if day is None or not date.min < day < date.max - timedelta(days=2):
        raise unusable("recurrence.range.endDate")
    if is_all_day:
        return f"{day:%Y%m%d}"
    if not zone:
        day += timedelta(days=1)
    last = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=ZoneInfo(zone or "UTC"))
    return f"{last.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _by_day(pattern: JSON) -> str:
    given = pattern.get("daysOfWeek")
    if not isinstance(given, list) or not given:
        raise unusable("recurrence.pattern.daysOfWeek")
    return f"BYDAY={','.join(dict.fromkeys(_day(each) for each in given))}"


def _day(name: object) -> str:
    day = _DAYS.get(name.casefold()) if isinstance(name, str) else None
    if day is None:
        raise unusable("recurrence.pattern.daysOfWeek")
    return day


def _within(value: int, most: int, name: str) -> int:
    if not 1 <= value <= most:
        raise unusable(f"recurrence.{name}")
    return value
