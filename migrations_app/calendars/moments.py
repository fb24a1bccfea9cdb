"""Moments of a calendar: wall time and zone, and what they are in UTC.

Where a zone cannot be resolved the answer errs towards "later", so that no meeting is taken for past that is not.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Timezone
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

FIRST_YEAR, LAST_YEAR = 1600, 9000  # beyond, arithmetic with dates overflows
_WINDOWS_ZONES = {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}
_LONGEST_ZONE_NAME = 100
_MOST_ZONE_RULES = 60
_LONGEST_DEFINITION = 64_000
UNKNOWN_ZONE = timedelta(hours=14)
_PARAMETER = re.compile(rb';([A-Za-z0-9-]+)=("[^"]*"|[^;:]*)')
_TZID = re.compile(rb"^TZID[^:\r\n]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]")
# Zones change by the year; a rule that fires every second would be counted out from 1601 on.
_UNUSABLE_ZONE = re.compile(rb"FREQ=(?!YEARLY)|INTERVAL=(?!0*1\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date property: its wall time, its zone (None where it cannot be resolved) and whether it is a whole day."""

    wall: datetime
    zone: tzinfo | None
    is_day: bool

    def utc(self) -> datetime:
        return to_utc(self.wall, self.zone)


def to_utc(wall: datetime, zone: tzinfo | None) -> datetime:
    """Return wall time as UTC; where no zone is known it is taken for UTC already."""
    return wall.replace(tzinfo=zone or UTC).astimezone(UTC)


def end_of(start: Moment, length: timedelta) -> datetime:
    """Return when an occurrence is over, for certain."""
    end = start.utc() + length
    # A whole day or an unknown zone is over when it is over everywhere.
    return end + UNKNOWN_ZONE if start.zone is None or start.is_day else end


def zone_name_in(head: bytes) -> str:
    """Return the TZID among the parameters of a property; "" where there is none."""
    for found in _PARAMETER.finditer(head):
        if found[1].upper() == b"TZID":
            return found[2].strip(b'"').decode("utf-8", "replace").strip()
    return ""


def plain_name(name: str) -> str:
    return name.replace("\\", "").strip().lower()


def zone_id(definition: bytes) -> str:
    found = _TZID.search(_FOLD.sub(b"", definition))
    return plain_name(found[1].decode("utf-8", "replace")) if found else ""


@lru_cache(maxsize=512)
def known_zone(name: str) -> tzinfo | None:
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
def embedded_zone(definition: bytes) -> tzinfo | None:
    """Return the zone of a VTIMEZONE; None when it cannot be used.

    Never looked up by its name: every calendar may define a name of its own for itself.
    """
    if len(definition) > _LONGEST_DEFINITION:
        return None
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
