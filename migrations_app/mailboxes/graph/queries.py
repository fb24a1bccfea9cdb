"""What is asked of Graph about calendars: paths, filters, and which properties of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from migrations_app.mailboxes.exchange.events import PROPERTIES
from migrations_app.microsoft.client import segment

PUBLIC_STRINGS = "{00020329-0000-0000-C000-000000000046}"
"""The set of the named properties that add-ins use (PS_PUBLIC_STRINGS)."""
PROPERTY_IDS: Mapping[str, str] = {name: f"String {PUBLIC_STRINGS} Name {name}" for name in PROPERTIES}
"""How Graph calls each named property; always in this one form."""
SEQUENCE_ID = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201"
"""PidLidAppointmentSequence, the SEQUENCE of what was last sent to the attendees."""

IN_UTC_AS_HTML = ('outlook.timezone="UTC"', 'outlook.body-content-type="html"')
"""``Prefer``: without the first times would still be UTC, but only as long as nobody changes the default."""

CALENDARS = {"$select": "id,name,canEdit,owner,isDefaultCalendar", "$top": "100"}
"""Which calendars there are."""
_LISTED = "id,type,recurrence,changeKey"
ON_A_PAGE = 500
_READ = (
    "id,changeKey,iCalUId,type,subject,body,start,end,isAllDay,isCancelled,isDraft,isOrganizer,organizer,attendees,"
    "location,onlineMeeting,onlineMeetingUrl,originalStart,originalStartTimeZone,recurrence,seriesMasterId"
)
_WANTED = " or ".join(f"id eq '{name}'" for name in (*PROPERTY_IDS.values(), SEQUENCE_ID))
EVENT = {"$select": _READ, "$expand": f"singleValueExtendedProperties($filter={_WANTED})"}
"""All that MMS reads of an event."""
ONLINE = " or ".join(
    f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY_IDS[name]}' and startswith(ep/value,'http'))"
    for name in ("OnlineMeetingExternalLink", "SkypeTeamsMeetingUrl")
)
"""Which events carry the link of an online meeting in their properties."""

_A_DAY = timedelta(days=1)
LONGEST_WINDOW = timedelta(days=1825)
"""The server expands no longer time than this, five years, in one question."""
_LONGEST_AGO = 4 * LONGEST_WINDOW
"""What was longer ago is not asked for."""


def user_path(upn: str) -> str:
    """Where a user's mailbox is."""
    return f"/users/{segment(upn)}"


def calendar_events_path(upn: str, calendar: str) -> str:
    """Where the events of one calendar are listed: single ones and series masters."""
    return f"{user_path(upn)}/calendars/{segment(calendar)}/events"


def event_path(upn: str, event: str) -> str:
    """Where an event is, whichever of the user's calendars has it."""
    return f"{user_path(upn)}/events/{segment(event)}"


def instances_path(upn: str, event: str) -> str:
    """Where the occurrences and exceptions of a series are listed."""
    return f"{event_path(upn, event)}/instances"


def to_come(now: datetime) -> Mapping[str, str]:
    """Single events that end after ``now``, and every series. A day is added, because of what lasts whole days the
    server compares dates without their zone; the end of a series' master is that of its first occurrence."""
    return {
        "$filter": f"end/dateTime ge '{_moment(now - _A_DAY)}' or type eq 'seriesMaster'",
        "$select": _LISTED,
        "$top": str(ON_A_PAGE),
    }


def online(now: datetime) -> Mapping[str, str]:
    """The same, but of these only what carries the link of an online meeting in its properties."""
    everything = to_come(now)
    return {**everything, "$filter": f"({everything['$filter']}) and ({ONLINE})"}


def windows(starts_at: datetime, now: datetime) -> Sequence[tuple[datetime, datetime]]:
    """From when to when it is asked what a series consists of, which began at ``starts_at``: from its beginning on, as
    far as the server looks ahead. What is over belongs to it: a series of which exceptions vanished as time goes by
    would look as if somebody had changed it, and what a run did to it could not be undone."""
    begin = max(min(starts_at, now), now - _LONGEST_AGO) - _A_DAY
    end = now - _A_DAY + LONGEST_WINDOW
    found = []
    while begin < end:
        found.append((begin, min(begin + LONGEST_WINDOW, end)))
        begin += LONGEST_WINDOW
    return found


def instances(begin: datetime, end: datetime) -> Mapping[str, str]:
    """What a series consists of in a window: without texts, because most of these are occurrences, which have that of
    the series."""
    return {
        "startDateTime": _moment(begin),
        "endDateTime": _moment(end),
        "$select": "id,type,originalStart,start",
        "$top": str(ON_A_PAGE),
    }


def with_query(path: str, params: Mapping[str, str]) -> str:
    """A path for a batch, whose requests are given as text."""
    return f"{path}?{'&'.join(f'{name}={quote(value, safe=_PLAIN)}' for name, value in params.items())}"


_PLAIN = "$,;:()'/"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
