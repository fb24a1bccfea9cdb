"""Organizer and attendees of a calendar object, read fast and made safe to put in a mail header."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from migrations_app.calendars.content_lines import Event, Line, all_events, unfold, value_start

_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)')
_CARET = re.compile(r"\^([n^'])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# No quoted local parts and no address literals: nobody invites them, and both can carry anything. A label has 1 to 63
# characters (RFC 1035, 2.3.4); on any other domain the libraries that send mail raise errors.
_ADDRESS = re.compile(
    r"[^\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff@,;:<>()\[\]\\\"]+@\w(?:[\w-]{0,61}\w)?(?:\.\w(?:[\w-]{0,61}\w)?)*"
)
_LONGEST_ADDRESS = 320


class Person(NamedTuple):
    """Someone named in an invitation: `name` is the CN or "", `address` the bare mail address or ""."""

    name: str
    address: str


def organizer(source: bytes, events: Sequence[Event] | None = None) -> Person | None:
    """Return the organizer of the object, by its first event that names one; None when none does.

    `events` are the object's events where the caller has read them already.
    The address is "" when it is not a usable mailto: (`invalid:nomail`, malformed).
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
    """Return the person of an ORGANIZER or ATTENDEE line."""
    unfolded = unfold(source[line.start : line.end])
    start = value_start(unfolded)
    head = unfolded[:start].decode("utf-8", "surrogateescape")
    value = unfolded[start:].decode("utf-8", "surrogateescape")
    name = ""
    for found in _PARAMETER.finditer(head):
        if found[1].upper() == "CN":
            name = found[2].replace('"', "")
            break
    if "^" in name:  # RFC 6868
        name = _CARET.sub(lambda found: {"n": " ", "^": "^", "'": '"'}[found[1]], name)
    return Person(_CONTROL.sub(" ", name).strip(), _mail_address(value))


def _mail_address(value: str) -> str:
    scheme, _, rest = value.strip().partition(":")
    if scheme.lower() != "mailto":
        return ""
    address = unquote(rest.strip().partition("?")[0], errors="surrogateescape")
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
