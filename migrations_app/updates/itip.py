"""From a stored calendar object to the iTIP request that tells its attendees (RFC 5546 section 3.2.2)."""

from __future__ import annotations

import re
from collections.abc import Collection

from migrations_app.rewriting import people
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
    return [person for person in people.attendees(body) if person.address.lower() not in own]
