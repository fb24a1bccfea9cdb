"""Writing iCalendar text the ways Outlook and Exchange do: content lines, folding, time zones (RFC 5545).

The demo writes its own lines instead of using a library, because it has to look like what other programs
wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_LIMIT = 75


def text(value: str) -> str:
    """The value as TEXT (RFC 5545, section 3.3.11): backslash, semicolon, comma and line break escaped."""
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def fold(line: str, indent: str = " ") -> bytes:
    """The content line with CRLF, at most 75 octets a line, no character split (RFC 5545, section 3.1).

    ``indent`` begins the continuation lines: a space as Exchange does it, a tab as Outlook does.
    """
    octets = line.encode()
    if len(octets) <= _LIMIT:
        return octets + b"\r\n"
    pieces, start, room = [], 0, _LIMIT
    while start < len(octets):
        end = start + room
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(octets[start:end])
        start, room = end, _LIMIT - 1
    return (b"\r\n" + indent.encode()).join(pieces) + b"\r\n"


@dataclass(frozen=True)
class _Zone:
    """A time zone: its tz database name, its offsets from UTC, and when they change (rule, local time)."""

    iana: str
    standard: str
    daylight: str = ""
    to_standard: tuple[str, str] = ("", "")
    to_daylight: tuple[str, str] = ("", "")


_EU_WEST = ("BYDAY=-1SU;BYMONTH=10", "T020000"), ("BYDAY=-1SU;BYMONTH=3", "T010000")
_EU_CENTRAL = ("BYDAY=-1SU;BYMONTH=10", "T030000"), ("BYDAY=-1SU;BYMONTH=3", "T020000")
_US = ("BYDAY=1SU;BYMONTH=11", "T020000"), ("BYDAY=2SU;BYMONTH=3", "T020000")
_ISRAEL = (
    ("BYDAY=-1SU;BYMONTH=10", "T020000"),
    ("BYDAY=FR;BYMONTHDAY=23,24,25,26,27,28,29;BYMONTH=3", "T020000"),
)

# Under the names of Windows, as Outlook and Exchange write them, and under those of the tz database.
_ZONES = {
    "Pacific Standard Time": _Zone("America/Los_Angeles", "-0800", "-0700", *_US),
    "Eastern Standard Time": _Zone("America/New_York", "-0500", "-0400", *_US),
    "America/Chicago": _Zone("America/Chicago", "-0600", "-0500", *_US),
    "GMT Standard Time": _Zone("Europe/London", "+0000", "+0100", *_EU_WEST),
    "Europe/London": _Zone("Europe/London", "+0000", "+0100", *_EU_WEST),
    "Romance Standard Time": _Zone("Europe/Paris", "+0100", "+0200", *_EU_CENTRAL),
    "Europe/Madrid": _Zone("Europe/Madrid", "+0100", "+0200", *_EU_CENTRAL),
    "W. Europe Standard Time": _Zone("Europe/Berlin", "+0100", "+0200", *_EU_CENTRAL),
    "Europe/Rome": _Zone("Europe/Rome", "+0100", "+0200", *_EU_CENTRAL),
    "Arab Standard Time": _Zone("Asia/Riyadh", "+0300"),
    "Israel Standard Time": _Zone("Asia/Jerusalem", "+0200", "+0300", *_ISRAEL),
}

# The first is the one most of the organizers with that language use; "" writes times in UTC.
TIME_ZONES_OF = {
    "en-US": ("Pacific Standard Time", "Eastern Standard Time", "America/Chicago", ""),
    "en-GB": ("GMT Standard Time", "Europe/London", ""),
    "es-ES": ("Romance Standard Time", "Europe/Madrid"),
    "it-IT": ("W. Europe Standard Time", "Europe/Rome"),
    "de-DE": ("W. Europe Standard Time", ""),
    "fr-FR": ("Romance Standard Time",),
    "ar-SA": ("Arab Standard Time",),
    "he-IL": ("Israel Standard Time",),
}


def zone_info(tzid: str) -> ZoneInfo:
    """The zone that a TZID of the demo means; "" is UTC."""
    return ZoneInfo(_ZONES[tzid].iana if tzid else "UTC")


def vtimezone(tzid: str) -> list[str]:
    """The VTIMEZONE of the zone as content lines; none for UTC."""
    if not tzid:
        return []
    zone = _ZONES[tzid]
    lines = ["BEGIN:VTIMEZONE", f"TZID:{tzid}"]
    lines += _observance("STANDARD", zone.daylight or zone.standard, zone.standard, *zone.to_standard)
    if zone.daylight:
        lines += _observance("DAYLIGHT", zone.standard, zone.daylight, *zone.to_daylight)
    return [*lines, "END:VTIMEZONE"]


def _observance(name: str, offset_from: str, offset_to: str, rule: str, time: str) -> list[str]:
    return [
        f"BEGIN:{name}",
        f"DTSTART:16010101{time or 'T000000'}",
        f"TZOFFSETFROM:{offset_from}",
        f"TZOFFSETTO:{offset_to}",
        *([f"RRULE:FREQ=YEARLY;{rule}"] if rule else []),
        f"END:{name}",
    ]


def utc(moment: datetime) -> str:
    """The moment as UTC DATE-TIME."""
    return f"{moment.astimezone(ZoneInfo('UTC')):%Y%m%dT%H%M%SZ}"


def date_line(name: str, moment: datetime, tzid: str, *, all_day: bool = False) -> str:
    """A property such as DTSTART in the zone's local time; with ``all_day`` only its date."""
    local = moment.astimezone(zone_info(tzid))
    if all_day:
        return f"{name};VALUE=DATE:{local:%Y%m%d}"
    if not tzid:
        return f"{name}:{utc(moment)}"
    return f"{name};TZID={tzid}:{local:%Y%m%dT%H%M%S}"


def trigger(before: timedelta) -> list[str]:
    """A VALARM that shows a reminder so long before the start."""
    minutes = int(before.total_seconds()) // 60
    return [
        "BEGIN:VALARM",
        f"TRIGGER:-PT{minutes}M",
        "ACTION:DISPLAY",
        "DESCRIPTION:Reminder",
        "END:VALARM",
    ]
