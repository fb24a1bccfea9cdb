"""What a calendar object says, apart from its revision and from how a server writes it down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from migrations_app.calendars.content_lines import Event, all_events, unescaped, unfold, value_start
from migrations_app.calendars.revision import SEQUENCES

_OF_THE_REVISION = SEQUENCES | {b"DTSTAMP", b"LAST-MODIFIED", b"CREATED", b"X-MS-OLK-APPTSEQTIME"}
_WITH_PARAMETERS = frozenset([b"DTSTART", b"DTEND", b"DUE", b"RECURRENCE-ID", b"EXDATE", b"RDATE"])
"""Of others the parameters say nothing that is to be told, such as which attendees have answered."""


def content_of(body: bytes) -> str:
    """A digest that is the same for two texts of an object whose events say the same, whatever their revision is.

    Order, folds, escapes and white space do not count. Raises ``UnreadableCalendar``.
    """
    events = sorted("\n".join(sorted(_lines(body, event))) for event in all_events(body))
    return hashlib.blake2b("\n\n".join(events).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def plain(value: bytes) -> str:
    """A value without its escapes, with one blank for white space."""
    return " ".join(unescaped(value).split())


def _lines(body: bytes, event: Event) -> Iterable[str]:
    for line in event.lines:
        if line.name not in _OF_THE_REVISION:
            unfolded = unfold(body[line.start : line.end])
            start = value_start(unfolded)
            name = line.name.decode("ascii", "replace")
            if line.name in _WITH_PARAMETERS:
                parameters = unfolded[: start - 1].upper().replace(b'"', b"").split(b";")[1:]
                name += b";".join(sorted(parameters)).decode("utf-8", "surrogateescape")
            yield f"{name}:{plain(unfolded[start:])}"
