"""Whether anybody has changed a meeting since: a digest of what its organizer says in it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from migrations_app.calendars.content_lines import MOST_LINES, Edit, Event, Line, all_events, unfold
from migrations_app.rewriting.components import DESCRIPTIONS, MACHINE_READ, recurrence_id_of

_NOT_THE_ORGANIZERS = frozenset([b"SEQUENCE", b"DTSTAMP", b"LAST-MODIFIED", b"CREATED", b"ATTENDEE", b"REQUEST-STATUS"])
"""What changes when attendees answer, and with every revision."""
_NEXT_LINE = re.compile(rb"\n(?![ \t])")


def digest_of(body: bytes) -> str:
    """Return the digest of an object's meaning, as 32 characters: the same however its lines are folded and ordered.

    The stamps of a revision do not count, nor do attendees and their answers, alarms, and what calendar programs keep
    for themselves in properties of their own (X-). Raises UnreadableCalendar.
    """
    said = []
    for event in all_events(body):
        place = _place(body, event)
        said += [_said(place, body[line.start : line.end]) for line in event.lines if _counts(line.name)]
    return _digest(said)


def digest_after(source: bytes, events: Sequence[Event], edits: Sequence[Edit], body: bytes) -> str:
    """Return the digest of `body`, which is `source`, with these `events`, after these `edits`.

    The same as that of :func:`digest_of`, but takes only the lines that changed apart once more. Raises
    UnreadableCalendar.
    """
    said: list[bytes] | None = None
    if len(body) <= MOST_LINES:  # a larger one may have become too large to be read
        said = _said_after(source, events, edits)
    return digest_of(body) if said is None else _digest(said)


def _said_after(source: bytes, events: Sequence[Event], edits: Sequence[Edit]) -> list[bytes] | None:
    """Return what counts after the edits; None where one does more than change one line, or take it out."""
    left = sorted(edits, reverse=True)
    said = []
    for event in events:
        place = _place(source, event)
        for line in event.lines:
            raw = source[line.start : line.end]
            if left and left[-1].start < line.following:
                its_own = []
                while left and left[-1].start < line.following:
                    its_own.append(left.pop())
                if its_own == [(line.start, line.following, b"")]:
                    continue
                changed = _changed(source, line, its_own)
                if changed is None:
                    return None
                raw = changed
            if _counts(line.name):
                said.append(_said(place, raw))
    return None if left else said


def _changed(source: bytes, line: Line, edits: Sequence[Edit]) -> bytes | None:
    """Return a line after edits; None where it may have become another one, or more than one.

    RECURRENCE-ID says which event it is, so none is returned for that.
    """
    raw, pieces, position = source[line.start : line.end], [], line.start
    for start, end, replacement in edits:
        if start < position or end > line.end:
            return None
        around = source[max(start - 1, line.start) : start], source[end : min(end + 1, line.end)]
        if _NEXT_LINE.search(replacement.join(around)):
            return None
        pieces += [source[position:start], replacement]
        position = end
    changed = b"".join([*pieces, source[position : line.end]])
    head = len(line.name) + 1
    has_its_name = raw[:head].upper() in (line.name + b":", line.name + b";") and raw[:head] == changed[:head]
    return changed if has_its_name and line.name != b"RECURRENCE-ID" and b":" in changed else None


@lru_cache(maxsize=1024)
def _counts(name: bytes) -> bool:
    is_own = name.startswith(b"X-") and name not in DESCRIPTIONS and name not in MACHINE_READ
    return bool(name) and name not in _NOT_THE_ORGANIZERS and not is_own


def _place(source: bytes, event: Event) -> bytes:
    return recurrence_id_of(source, event).encode("utf-8", "surrogateescape") + b"\n"


def _said(place: bytes, raw: bytes) -> bytes:
    return place + unfold(raw).rstrip(b"\r\n")


def _digest(said: Sequence[bytes]) -> str:
    return blake2b(b"\n".join(sorted(said)), digest_size=16).hexdigest()
