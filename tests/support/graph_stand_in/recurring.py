"""Series: RRULE and Graph's recurrence (resources patternedrecurrence, recurrencepattern, recurrencerange)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from tests.support.graph_stand_in.errors import bad_request
from tests.support.graph_stand_in.world import Event

_WINDOWS = {"UTC": "UTC"}
for _name, _olson in WINDOWS_TO_OLSON.items():
    _WINDOWS.setdefault(_olson, _name)
_DAYS = {
    "MO": "monday", "TU": "tuesday", "WE": "wednesday", "TH": "thursday", "FR": "friday", "SA": "saturday",
    "SU": "sunday",
}  # fmt: skip
_SHORTEST_MONTH = 28
_ORDER = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"}


def windows(zone: str) -> str:
    """The name that Exchange has for a zone."""
    return _WINDOWS.get(zone, zone)


def zone_of(name: str) -> ZoneInfo:
    """The zone of either name (resource datetimetimezone: Windows and further names). 400 for others."""
    try:
        return ZoneInfo(WINDOWS_TO_OLSON.get(name, name))
    except (KeyError, ValueError, OSError) as bad:
        raise bad_request(
            f"A valid TimeZone value must be specified: '{name}'.", "TimeZoneNotSupportedException"
        ) from bad


def told(moment: datetime, zone: str) -> dict[str, str]:
    """A dateTimeTimeZone, with the seven digits that Graph writes."""
    return {"dateTime": moment.astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M:%S.%f0"), "timeZone": zone}


def recurrence(event: Event) -> dict[str, Any] | None:
    """The ``recurrence`` of a series; None of all others."""
    if not event.rrule:
        return None
    parts = dict(part.split("=", 1) for part in event.rrule.upper().split(";"))
    begins = event.starts_at.astimezone(zone_of(event.zone))
    days = [day for day in parts.get("BYDAY", "").split(",") if day]
    index = next((day[:-2] for day in days if day[:-2]), "") or parts.get("BYSETPOS", "")
    kind = {"DAILY": "daily", "WEEKLY": "weekly"}.get(parts["FREQ"], "")
    if not kind:
        kind = ("relative" if index else "absolute") + parts["FREQ"].capitalize()
    weekdays = [_DAYS[day[-2:]] for day in days] or (
        [list(_DAYS.values())[begins.weekday()]] if kind == "weekly" else []
    )
    pattern = {
        "type": kind,
        "interval": int(parts.get("INTERVAL", "1")),
        "month": int(parts.get("BYMONTH", begins.month)) if "Yearly" in kind else 0,
        "dayOfMonth": int(parts.get("BYMONTHDAY", begins.day)) if "absolute" in kind else 0,
        "daysOfWeek": weekdays if "absolute" not in kind else [],
        "firstDayOfWeek": _DAYS[parts.get("WKST", "SU" if kind != "weekly" else "MO")],
        "index": _ORDER.get(index, "first"),
    }
    bounds: dict[str, Any] = {
        "type": "noEnd",
        "startDate": begins.date().isoformat(),
        "endDate": "0001-01-01",
        "recurrenceTimeZone": windows(event.zone),
        "numberOfOccurrences": 0,
    }
    if "COUNT" in parts:
        bounds |= {"type": "numbered", "numberOfOccurrences": int(parts["COUNT"])}
    elif "UNTIL" in parts:
        until = datetime.strptime(parts["UNTIL"][:8], "%Y%m%d").replace(tzinfo=UTC).date()
        if "T" in parts["UNTIL"]:
            moment = datetime.strptime(parts["UNTIL"].rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            until = moment.astimezone(zone_of(event.zone)).date()
        bounds |= {"type": "endDate", "endDate": until.isoformat()}
    return {"pattern": pattern, "range": bounds}


def starts(series: Event, after: datetime, before: datetime) -> Iterator[datetime]:
    """When the series has its occurrences in a window, deleted ones among them, in UTC."""
    zone = zone_of(series.zone)
    local = series.starts_at.astimezone(zone).replace(tzinfo=None)
    margin = timedelta(days=1)
    for found in _rule(series.rrule, local, series.zone).xafter(after.astimezone(zone).replace(tzinfo=None) - margin):
        moment = found.replace(tzinfo=zone).astimezone(UTC)
        if moment >= before:
            return
        if moment >= after:
            yield moment


@lru_cache(maxsize=512)
def _rule(rule: str, local: datetime, zone: str) -> Any:
    parts = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name.upper() == "UNTIL" and value.endswith("Z"):
            until = datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(zone_of(zone))
            value = until.strftime("%Y%m%dT%H%M%S")
        if name.upper() == "BYMONTHDAY" and value.isdigit() and int(value) > _SHORTEST_MONTH:
            # resource recurrencepattern: in a shorter month it is the last day
            value = ",".join(str(day) for day in range(_SHORTEST_MONTH, int(value) + 1)) + ";BYSETPOS=-1"
        parts.append(f"{name}={value}")
    return rrulestr(";".join(parts), dtstart=local, cache=True)
