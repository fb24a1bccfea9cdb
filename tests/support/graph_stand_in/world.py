"""What there is: a directory with applications and users, mailboxes with calendars and events, meetings, mails."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migrations_app.mailboxes.exchange.events import Kind, Person
from tests.support.graph_stand_in.clock import Clock

PUBLIC_STRINGS = "{00020329-0000-0000-c000-000000000046}"
ALL_ROLES = ("Calendars.ReadWrite", "User.Read.All", "OnlineMeetings.ReadWrite.All", "Organization.Read.All")
AUDIO_CONFERENCING_PLAN = "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40"
"""Service plan MCOMEETADV (licensing service plan reference)."""


SEQUENCE_ID = "Integer {00062002-0000-0000-c000-000000000046} Id 0x8201"
"""PidLidAppointmentSequence."""


def property_id(name: str) -> str:
    """By which id Graph knows a named property of the strings' set."""
    return f"String {PUBLIC_STRINGS} Name {name}"


@dataclass
class Application:
    """An app registration with its consented application permissions."""

    client_id: str
    secrets: dict[str, datetime | None] = field(default_factory=dict)
    """Client secrets, and until when each is good."""
    certificates: list[bytes] = field(default_factory=list)
    """DER."""
    roles: tuple[str, ...] = ALL_ROLES
    scope: set[str] | None = None
    """Object ids of the mailboxes in its management scope; None: all."""


@dataclass
class User:
    """A user of the directory; ``id`` is the object id."""

    id: str
    upn: str
    name: str
    mail: str
    language: str | None = None
    licensed: bool = True
    """With audio conferencing."""
    enabled: bool = True
    teams_policy: bool = True
    """Whether the Teams application access policy was granted for this user."""
    has_mailbox: bool = True
    denied: bool = False
    """Whether an application access policy keeps applications from the mailbox."""


@dataclass
class Calendar:
    id: str
    name: str
    is_default: bool = False
    can_edit: bool = True


@dataclass
class Event:
    """An event as the mailbox keeps it. What is None of an exception is the series'."""

    key: str
    """The immutable id."""
    calendar: str
    uid: str
    kind: Kind
    starts_at: datetime
    ends_at: datetime
    subject: str | None = ""
    organizer: Person | None = None
    attendees: tuple[Person, ...] | None = ()
    body: str | None = ""
    is_html: bool = True
    location: str | None = ""
    properties: dict[str, str] | None = field(default_factory=dict)
    """By their whole id."""
    zone: str = "UTC"
    is_all_day: bool = False
    is_cancelled: bool = False
    is_organizer: bool = True
    is_unsent: bool = False
    """Changed by its organizer, who has not sent that yet (``isDraft``); the next update sends it."""
    sensitivity: str = "normal"
    join_url: str | None = ""
    provider: str | None = "unknown"
    lost_url: str = ""
    """Behaviour "alternating": the link that comes back with the next update."""
    sequence: int = 0
    rrule: str = ""
    excluded: tuple[datetime, ...] = ()
    recurrence_id: datetime | None = None
    master: Event | None = None
    exceptions: list[Event] = field(default_factory=list)
    version: int = 1
    moved: int = 0
    other: dict[str, Any] = field(default_factory=dict)
    """Properties that are kept and given back, nothing more."""

    @property
    def series(self) -> Event:
        return self.master or self

    @property
    def change_key(self) -> str:
        """One for the whole series: exceptions are kept inside the master's item (event-list-instances: all instances
        of the example carry the same ETag)."""
        digest = hashlib.sha256(f"{self.series.key}:{self.series.version}".encode()).digest()
        return base64.b64encode(digest[:24]).decode()

    def said(self, name: str) -> Any:
        """A value of its own, or the series'."""
        value = getattr(self, name)
        return getattr(self.master, name) if value is None and self.master is not None else value

    @property
    def rest_id(self) -> str:
        """The id without the header: another one, and a new one when the event moves (outlook-immutable-id)."""
        return "AAMk" + opaque(f"{self.key}:{self.series.moved}")


@dataclass(frozen=True)
class Mail:
    """An update that the server sent to attendees; ``of`` is the immutable id."""

    mailbox: str
    of: str
    uid: str
    subject: str
    recipients: tuple[str, ...]


@dataclass
class Mailbox:
    user: User
    calendars: dict[str, Calendar] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    """Single events, series and exceptions by their immutable id."""
    by_rest_id: dict[str, str] = field(default_factory=dict)
    occurrences: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """Of which series and when is what was given out under this id, which nobody has changed."""

    def register(self, event: Event) -> None:
        self.events[event.key] = event
        self.by_rest_id[event.rest_id] = event.key

    def remove(self, event: Event) -> None:
        """Take an event away; of a series one instance."""
        if event.master is not None and event.recurrence_id is not None:
            if event in event.master.exceptions:
                event.master.exceptions.remove(event)
            event.master.excluded = (*event.master.excluded, event.recurrence_id)
            event.master.version += 1
        for one in [event, *event.exceptions]:
            self.events.pop(one.key, None)
            self.by_rest_id.pop(one.rest_id, None)

    def top(self, calendar: str = "") -> Iterator[Event]:
        """Single events and masters (event resource: "List events")."""
        return (e for e in list(self.events.values()) if e.master is None and calendar in ("", e.calendar))


class World:
    """All of it, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.clear()

    def clear(self) -> None:
        self.clock.reset()
        self.tenant = "3f0a5d4e-0000-4000-8000-00000000c0de"
        self.domains = {"contoso.com", "contoso.onmicrosoft.com"}
        self.applications: dict[str, Application] = {}
        self.users: dict[str, User] = {}
        self.groups: dict[str, list[str]] = {}
        """Object ids of members, by that of the group."""
        self.mailboxes: dict[str, Mailbox] = {}
        self.mails: list[Mail] = []
        self.meetings: dict[tuple[str, str], dict[str, Any]] = {}
        self.bridge: dict[str, Any] = {"toll": "+1 323-555-0166", "tollFree": "833-555-0123"}
        self.counter: Counter[str] = Counter()

    def number(self, name: str) -> int:
        """The next of a row of numbers."""
        with self.lock:
            self.counter[name] += 1
            return self.counter[name]

    def user(self, name: str) -> User | None:
        """By object id or user principal name."""
        wanted = name.casefold()
        found = self.users.get(wanted)
        return found or next((user for user in self.users.values() if user.upn.casefold() == wanted), None)


def opaque(text: str) -> str:
    """An id as Exchange makes them: case-sensitive, of letters, digits, "-" and "_", with "=" at its end."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest() * 2).decode()


def object_id(upn: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"user:{upn.casefold()}"))
