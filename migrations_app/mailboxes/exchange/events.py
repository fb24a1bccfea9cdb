"""An event of an Exchange mailbox, as Graph and EWS tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PROPERTIES = (
    "OnlineMeetingExternalLink",
    "OnlineMeetingInternalLink",
    "OnlineMeetingConfLink",
    "OnlineMeetingInformation",
    "ConferenceTelURI",
    "OnlineMeetingConferenceId",
    "OnlineMeetingTollNumber",
    "SkypeTeamsMeetingUrl",
    "SkypeTeamsProperties",
    "SchedulingServiceUpdateUrl",
    "SchedulingServiceMeetingOptionsUrl",
)
"""Named properties (PS_PUBLIC_STRINGS) that carry join link and numbers. As lines of a calendar object each is called
``X-MICROSOFT-`` and the name in capitals."""


FIRST_YEAR, LAST_YEAR = 1601, 4501
"""Years that Exchange can name; what is said to be in another is no time of a meeting."""


class Kind(StrEnum):
    """What an event is of its series."""

    SINGLE = "single"
    SERIES = "series"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody named in an event; ``answer`` is a PARTSTAT of RFC 5545, ``role`` a ROLE, ``is_room`` of resources."""

    address: str
    name: str = ""
    answer: str = "NEEDS-ACTION"
    role: str = "REQ-PARTICIPANT"
    is_room: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeEvent:
    """An event with all that MMS reads of it. Times are aware UTC."""

    id: str
    """Graph: the immutable id. EWS: the ItemId."""
    change_key: str
    """What the next write is conditional on: the ETag, or the ChangeKey."""
    uid: str
    """iCalUId: the same for a series and its exceptions."""
    kind: Kind
    subject: str
    organizer: Person | None
    starts_at: datetime
    ends_at: datetime
    body: str
    """Exactly as the server gave it."""
    body_is_html: bool = True
    zone: str = "UTC"
    """IANA name of the zone in which the series recurs."""
    is_all_day: bool = False
    is_cancelled: bool = False
    is_organizer: bool = True
    """What the server says: also true where a delegate organized on behalf of the owner."""
    is_unsent: bool = False
    """Its organizer has not sent the invitation, or what was changed last: an update would send it."""
    attendees: tuple[Person, ...] = ()
    location: str = ""
    """The display name of the (first) location."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Those of :data:`PROPERTIES` that the event has."""
    join_url: str = ""
    """``onlineMeeting.joinUrl``: where the server itself says that the meeting is; empty where it says nothing."""
    sequence: int = 0
    rrule: str = ""
    """The value of an RRULE (RFC 5545); empty but for a series."""
    excluded: tuple[datetime, ...] = ()
    """Starts of occurrences that were deleted from the series."""
    recurrence_id: datetime | None = None
    """Of an exception: when the series had it."""
    exceptions: tuple[ExchangeEvent, ...] = ()
    """Of a series, by their ``recurrence_id``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing tells of an event without its text."""

    id: str
    change_key: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written of one event: None and missing names are left as they are; an empty property goes away."""

    event_id: str
    change_key: str
    kind: Kind
    body: str | None = None
    body_is_html: bool = True
    location: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
