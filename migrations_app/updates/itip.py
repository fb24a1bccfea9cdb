"""From a stored calendar object to the iTIP request that tells its attendees (RFC 5546 section 3.2.2)."""

from __future__ import annotations

import re
from collections.abc import Collection

from migrations_app.rewriting import people
from migrations_app.rewriting.content_lines import all_events, unescaped, value_of
from migrations_app.rewriting.people import Person

_METHOD = re.compile(rb"^METHOD[;:][^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE)
_BEGIN = re.compile(rb"^BEGIN:VCALENDAR[ \t]*(\r?\n)", re.IGNORECASE | re.MULTILINE)


def request(body: bytes) -> bytes:
    """The object as a REQUEST: every line as stored, METHOD apart.

    All components go along, overrides too, because a request replaces what the attendee has of the series
    (section 3.2.2.1). Stored objects have no METHOD by RFC 4791 section 4.1, but files that people saved may.
    """
    if _METHOD.search(body):
        return _METHOD.sub(b"METHOD:REQUEST", body, count=1)
    return _BEGIN.sub(lambda match: match[0] + b"METHOD:REQUEST" + match[1], body, count=1)


def recipients(body: bytes, organizers: Collection[str]) -> list[Person]:
    """Whom to tell: every attendee that mail can reach, once, without the organizer (R24).

    ``organizers`` are the user's own addresses in lower case; the one that the object names counts as well.
    """
    own = set(organizers)
    organizer = people.organizer(body)
    if organizer:
        own.add(organizer.address.lower())
    others = (person for person in people.attendees(body) if person.address.lower() not in own)
    return [Person(person.name, address) for person in others if (address := ascii_address(person.address))]


def ascii_address(address: str) -> str:
    """The address as every mail server takes it; "" where it has none (RFC 5891; no SMTPUTF8 is presumed)."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}" if local.isascii() else ""
    except UnicodeError:
        return ""


def texts(body: bytes) -> tuple[str, str]:
    """The meeting's plain and HTML description as people read them, of the master where there is one."""
    event = min(all_events(body), key=lambda event: bool(event.named(b"RECURRENCE-ID")))
    found = [
        unescaped(value_of(body, line)) if line else ""
        for line in (next(iter(event.named(name)), None) for name in (b"DESCRIPTION", b"X-ALT-DESC"))
    ]
    return found[0], found[1]
