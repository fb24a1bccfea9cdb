"""Who is invited to an event, as lines of a calendar object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from migrations_app.mailboxes.exchange.events import ExchangeEvent, Person

_NOT_IN_PARAMETER = re.compile(r"[\x00-\x1f\x7f]+")
_TOKEN = re.compile(r"[A-Z0-9-]+")
_CARETS = str.maketrans({"^": "^^", '"': "^'"})  # RFC 6868


def people(event: ExchangeEvent) -> Iterator[bytes]:
    """The lines of organizer and attendees."""
    if event.organizer is not None:
        yield b"ORGANIZER" + _name(event.organizer) + b":" + _address(event.organizer)
    for each in event.attendees:
        kind = b";CUTYPE=" + (b"RESOURCE" if each.is_room else b"INDIVIDUAL")
        role = b";ROLE=" + _token(each.role, "REQ-PARTICIPANT")
        answer = b";PARTSTAT=" + _token(each.answer, "NEEDS-ACTION")
        yield b"ATTENDEE" + _name(each) + kind + role + answer + b":" + _address(each)


def _name(person: Person) -> bytes:
    name = _NOT_IN_PARAMETER.sub(" ", person.name).strip().translate(_CARETS)
    return b';CN="' + name.encode("utf-8", "surrogatepass") + b'"' if name else b""


def _address(person: Person) -> bytes:
    """The address as a URI; people whom mail cannot reach have an address of Exchange's directory, or none."""
    address = person.address.strip()
    return b"mailto:" + quote(address, safe="@", errors="surrogatepass").encode() if address else b"invalid:nomail"


def _token(text: str, otherwise: str) -> bytes:
    text = text.upper()
    return (text if _TOKEN.fullmatch(text) else otherwise).encode()
