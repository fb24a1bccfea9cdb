"""From a stored calendar object to the iTIP request that tells its attendees (RFC 5546 section 3.2.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from migrations_app.rewriting import people
from migrations_app.rewriting.content_lines import Calendar, Event, events_of, parse, unescaped, value_of
from migrations_app.rewriting.people import Person
from migrations_app.rewriting.rewrite import highest_sequence


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the message around a request is made of."""

    organizer: Person | None
    recipients: list[Person]
    """Every attendee that mail can reach, once, without the organizer (R24)."""
    sequence: int
    """The revision that the object is at."""
    description: str
    html: str
    request: bytes
    """The object as a REQUEST: every line as stored, METHOD apart. All components go along, overrides too, because
    a request replaces what the attendee has of the series (section 3.2.2.1)."""


def read(body: bytes, own: Collection[str]) -> Invitation:
    """Read a stored object for its update. ``own`` are the organizer's addresses in lower case, whom nobody mails;
    the one that the object names counts as well. All addresses are ASCII."""
    calendars = parse(body)
    events = events_of(calendars)
    organizer = people.organizer(body, events)
    apart = {*own, organizer.address.lower()} if organizer else set(own)
    master = people.master_first(events)[0]
    return Invitation(
        organizer=_reachable(organizer),
        recipients=[
            reachable
            for person in people.attendees(body, events)
            if person.address.lower() not in apart and (reachable := _reachable(person))
        ],
        sequence=highest_sequence(body, events),
        description=_text(body, master, b"DESCRIPTION"),
        html=_text(body, master, b"X-ALT-DESC"),
        request=_request(body, calendars[0]),
    )


def _request(body: bytes, calendar: Calendar) -> bytes:
    """Stored objects have no METHOD by RFC 4791 section 4.1, but files that people saved may."""
    for start, end in calendar.header:
        line = body[start:end]
        if line[:7].upper() in {b"METHOD:", b"METHOD;"}:
            return body[:start] + b"METHOD:REQUEST" + line[len(line.rstrip()) :] + body[end:]
    begin = calendar.header[0][1]
    ending = b"\r\n" if body[:begin].endswith(b"\r\n") else b"\n"
    return body[:begin] + b"METHOD:REQUEST" + ending + body[begin:]


def _reachable(person: Person | None) -> Person | None:
    address = ascii_address(person.address) if person else ""
    return Person(person.name, address) if person and address else None


def _text(body: bytes, event: Event, name: bytes) -> str:
    line = next(iter(event.named(name)), None)
    return unescaped(value_of(body, line)) if line else ""


def ascii_address(address: str) -> str:
    """The address as every mail server takes it; "" where it has none (RFC 5891; no SMTPUTF8 is presumed)."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}" if local.isascii() else ""
    except UnicodeError:
        return ""
