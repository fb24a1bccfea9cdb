"""From a stored calendar object to the iTIP request that tells its attendees (RFC 5546 section 3.2.2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrations_app.calendars import people
from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    events_of,
    line_ending,
    methods_of,
    one_object,
    parse,
    property_name,
    unescaped,
    value_of,
)
from migrations_app.calendars.facts import ANSWERS, events_not_over
from migrations_app.calendars.people import Person
from migrations_app.calendars.revision import highest_sequence

_LONGEST_LOCAL_PART, _LONGEST_ADDRESS = 64, 254


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the message around a request is made of."""

    organizer: Person | None
    recipients: list[Person]
    """Every attendee that mail can reach, once, without the organizer (R24), and without those who were invited only
    to occurrences that are over; nobody where the object is an attendee's answer."""
    sequence: int
    """The revision that the object is at."""
    description: str
    html: str
    request: bytes
    """The object as a REQUEST: every line as stored, METHOD apart. All events go along, overrides too, because
    a request replaces what the attendee has of the series (section 3.2.2.1); other components (to-dos) are not the
    attendees' and stay at home."""


def read(body: bytes, own: Collection[str], *, now: datetime) -> Invitation:
    """Read a stored object for its update. ``own`` are the organizer's addresses in lower case, whom nobody mails;
    the one that the object names counts as well. ``now`` is aware. All addresses are ASCII."""
    calendars = parse(body)
    events = events_of(calendars)
    organizer = people.organizer(body, events)
    apart = {*own, organizer.address.lower()} if organizer else set(own)
    master = people.master_first(events)[0]
    current = [] if methods_of(body, calendars) & ANSWERS else events_not_over(body, calendars, now)
    return Invitation(
        organizer=_reachable(organizer),
        recipients=[
            reachable
            for person in people.attendees(body, current)
            if person.address.lower() not in apart and (reachable := _reachable(person))
        ],
        sequence=highest_sequence(body, events),
        description=_text(body, master, b"DESCRIPTION"),
        html=_text(body, master, b"X-ALT-DESC"),
        request=_request(body, calendars),
    )


def _request(body: bytes, calendars: Sequence[Calendar]) -> bytes:
    """Stored objects have no METHOD by RFC 4791 section 4.1, but files that people saved may."""
    members = [(calendar, event) for calendar in calendars for event in calendar.events]
    header = [body[start:end] for start, end in members[0][0].header]
    methods = [at for at, line in enumerate(header) if property_name(line) == b"METHOD"]
    method = b"METHOD:REQUEST" + line_ending(body)
    if methods:
        header[methods[0]] = method
        header = [line for at, line in enumerate(header) if at not in methods[1:]]
    else:
        header.insert(1, method)
    return one_object(body, members, header)


def _reachable(person: Person | None) -> Person | None:
    address = ascii_address(person.address) if person else ""
    return Person(person.name, address) if person and address else None


def _text(body: bytes, event: Event, name: bytes) -> str:
    line = next(iter(event.named(name)), None)
    return unescaped(value_of(body, line)) if line else ""


def ascii_address(address: str) -> str:
    """The address as every mail server takes it; "" where it has none (RFC 5891; no SMTPUTF8 is presumed).

    At most 64 octets before the @ and 254 in all (RFC 5321 section 4.5.3.1)."""
    local, _, domain = address.rpartition("@")
    try:
        encoded = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ""
    fits = len(local) <= _LONGEST_LOCAL_PART and len(encoded) <= _LONGEST_ADDRESS
    # Encoding may bring characters in that were not there: a digit one with a full stop becomes "1.".
    return encoded if fits and encoded.isascii() and people.is_address(encoded) else ""
