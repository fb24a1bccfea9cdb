"""Organizer and attendees of a calendar object, read fast and made safe to put in a mail header."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from migrations_app.calendars.content_lines import AS_WINDOWS_1252, Event, Line, all_events, unfold, value_start

T = TypeVar("T")

_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_CARET = re.compile(r"\^([n^'])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# No quoted local parts and no address literals: nobody invites them, and both can carry anything. A label has 1 to 63
# characters (RFC 1035, 2.3.4); on any other domain the libraries that send mail raise errors.
_ADDRESS = re.compile(
    r"[^\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff@,;:<>()\[\]\\\"]+@\w(?:[\w-]{0,61}\w)?(?:\.\w(?:[\w-]{0,61}\w)?)*"
)
_LONGEST_ADDRESS = 320
_LONGEST_REMEMBERED = 512
"""Octets of a line whose person is kept in memory."""
_PLAIN = re.compile(r"""mailto:([^\s%?<>"'/]+)""", re.IGNORECASE)
_SCHEME = re.compile(r"(?:mailto|smtp)\s*:\s*(?://)?", re.IGNORECASE)  # Exchange says SMTP: in its own lists
_BRACKETED = re.compile(r"[^<>]*<([^<>]*)>")
_QUOTES = ('""', "''")
_MOST_WRAPPERS = 4


class Person(NamedTuple):
    """Someone named in an invitation: `name` is the CN or "", `address` the bare mail address or ""."""

    name: str
    address: str


def organizer(source: bytes, events: Sequence[Event] | None = None) -> Person | None:
    """Return the organizer of the object, by its first event that names one; None when none does.

    `events` are the object's events where the caller has read them already.
    The address is "" when there is no usable one (`invalid:nomail`, a path or URN without EMAIL, malformed).
    Raises UnreadableCalendar.
    """
    for event in master_first(all_events(source) if events is None else events):
        for line in event.lines:
            if line.name == b"ORGANIZER":
                return person(source, line)
    return None


def attendees(source: bytes, events: Sequence[Event] | None = None) -> list[Person]:
    """Return everyone invited to the master or an override, once per address (case does not matter).

    `events` are the object's events where the caller has read them already.
    People without a usable mail address are left out: nobody can write to them, and nothing that could forge
    a mail header may come out. Raises UnreadableCalendar.
    """
    people: dict[str, Person] = {}
    for event in all_events(source) if events is None else events:
        for line in event.lines:
            if line.name == b"ATTENDEE":
                invited = person(source, line)
                if invited.address:
                    people.setdefault(invited.address.casefold(), invited)
    return list(people.values())


def person(source: bytes, line: Line) -> Person:
    """Return the person of an ORGANIZER or ATTENDEE line, by its value or else by EMAIL (RFC 7986 section 6.2)."""
    return _person(source[line.start : line.end])


def ill_written(source: bytes, line: Line) -> tuple[int, int, bytes] | None:
    """Return where the value of an ORGANIZER or ATTENDEE line stands in the unfolded line, and its mail address, if
    the value is not that address as a mailto: URI (RFC 6047 section 2.3). None for people without an address."""
    return _ill_written(source[line.start : line.end])


def _remembered(function: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """Remember what a line comes to: the same colleagues meet again and again. Long lines are not kept in memory."""
    known = lru_cache(maxsize=4096)(function)

    @wraps(function)
    def of_line(raw: bytes) -> T:
        return known(raw) if len(raw) <= _LONGEST_REMEMBERED else function(raw)

    return of_line


@_remembered
def _person(raw: bytes) -> Person:
    unfolded = unfold(raw)
    start = value_start(unfolded)
    head = unfolded[:start].decode("utf-8", "surrogateescape")
    value = unfolded[start:].decode("utf-8", "surrogateescape")
    name, contact = "", ""
    for found in _PARAMETER.finditer(head):
        parameter = found[1].upper()
        if parameter == "CN" and not name:
            name = found[2].replace('"', "")
        elif parameter == "EMAIL" and not contact:
            contact = found[2].replace('"', "")
    if "^" in name:  # RFC 6868
        name = _CARET.sub(lambda found: {"n": " ", "^": "^", "'": '"'}[found[1]], name)
    if not name.isascii():
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", AS_WINDOWS_1252)
    return Person(_CONTROL.sub(" ", name).strip(), _mail_address(value) or _mail_address(contact))


@_remembered
def _ill_written(raw: bytes) -> tuple[int, int, bytes] | None:
    unfolded = unfold(raw)
    start, address = value_start(unfolded), _person(raw).address
    if not address or _mailed_to(unfolded[start:]) == address:
        return None
    return start, len(unfolded), address.encode("utf-8", "surrogateescape")


def _mailed_to(value: bytes) -> str:
    """Return the address in a mailto: link that is written as it should be; "" for anything else."""
    text = value.decode("utf-8", "surrogateescape")
    return unquote(text[7:].partition("?")[0], errors="surrogateescape") if text[:7].lower() == "mailto:" else ""


def _mail_address(value: str) -> str:
    """Return the mail address that a value means; "" for any other kind of address.

    Programs write it with mailto: or without, in brackets, in quotes, after a name, or several of these.
    """
    plain = _PLAIN.fullmatch(value)
    if plain is not None and is_address(plain[1]):
        return plain[1]
    address, is_uri = value.strip(), False
    for _ in range(_MOST_WRAPPERS):
        before = address
        if (scheme := _SCHEME.match(address)) is not None:
            address = unquote(address[scheme.end() :].partition("?")[0], errors="surrogateescape")
            is_uri = True
        if (bracketed := _BRACKETED.fullmatch(address)) is not None:
            address = bracketed[1]
        elif address[:1] + address[-1:] in _QUOTES:
            address = address[1:-1]
        address = address.strip()
        if address == before:
            break
    if not is_uri:
        address = address if "@" in address else unquote(address, errors="surrogateescape")
        if "/" in address:  # a path on a calendar server may hold an address
            return ""
    return address if is_address(address) else ""


def is_address(address: str) -> bool:
    """Tell whether an address can stand in a mail header: one mailbox, at most 320 characters in lower case too."""
    if len(address.lower()) > _LONGEST_ADDRESS:  # some letters become two
        return False
    # Mail libraries decode what looks like an encoded word (RFC 2047), which makes it the address of somebody else.
    return _ADDRESS.fullmatch(address) is not None and "=?" not in address


def master_first(events: Sequence[Event]) -> list[Event]:
    """Return the events with the master, where there is one, before its overrides."""
    return sorted(events, key=lambda event: bool(event.named(b"RECURRENCE-ID")))
