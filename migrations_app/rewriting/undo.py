"""Put the old meeting block back where it stood."""

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from migrations_app.calendars.content_lines import (
    Edit,
    Event,
    Line,
    events_of,
    insert_lines,
    parse,
    replace_in_value,
    replace_line,
    splice,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.facts import events_not_over
from migrations_app.rewriting.components import DESCRIPTIONS, recurrence_id_of
from migrations_app.rewriting.errors import Declined, needs_review
from migrations_app.rewriting.frames import look
from migrations_app.rewriting.likeness import said
from migrations_app.rewriting.revision import renew
from migrations_app.rewriting.spans import Span
from tenants_app.sentences import sentence

_REPEATABLE = frozenset([b"CONFERENCE"])
"""Properties that an event may have several times (RFC 7986 section 5.11), so one can go back beside others."""


class Undone(NamedTuple):
    """An object as it was before a rewrite.

    `sequence` is its SEQUENCE now. `spans` are the replacements that led back: what a rewrite wrote, by what it had
    replaced.
    """

    body: bytes
    sequence: int
    spans: tuple[Span, ...]


def undo(body: bytes, spans: Iterable[Span], *, now: datetime, same_sequence: bool = False) -> Undone:
    """Return the object with what `spans` replaced put back, and its revision made newer once more (see `rewrite`).

    Overrides that are over by now stay as they are. Raises Declined (needs-review) where the replaced text does
    not stand as it was written: exactly, or in HTML at least with the same text and links, as a server may have stored
    it. Raises UnreadableCalendar when the object is no calendar.
    """
    calendars = parse(body)
    events = events_of(calendars)
    current = events_not_over(body, calendars, now)
    not_over = set(map(id, current))
    written = {recurrence_id_of(body, event): _Written(body, event) for event in events}
    edits: list[Edit] = []
    back: list[Span] = []
    for span in spans:
        component = written.get(span.recurrence_id)
        if component is None:
            raise needs_review(
                sentence("An occurrence that was changed is no longer in the invitation, so it cannot be undone.")
            )
        if id(component.event) in not_over:
            edits.append(component.put_back(span))
            back.append(turned(span))
    if not edits:
        raise needs_review(sentence("There is nothing left to undo: every occurrence that was changed is over."))
    sequence = renew(body, events, current, now, edits, same_sequence=same_sequence)
    return Undone(splice(body, edits), sequence, tuple(back))


def turned(span: Span) -> Span:
    """Return the replacement that leads back."""
    return span._replace(before=span.after, after=span.before)


def is_undone(body: bytes, spans: Iterable[Span], *, now: datetime) -> bool:
    """Tell whether the object says already what it said before the rewrite that made `spans`.

    Raises UnreadableCalendar when the object is no calendar.
    """
    try:
        undo(body, map(turned, spans), now=now, same_sequence=True)
    except Declined:
        return False
    return True


class _Written:
    """A component as a rewrite left it. Each line is put back once, also where several say the same."""

    def __init__(self, body: bytes, event: Event) -> None:
        self.event = event
        self._body = body
        self._lines: defaultdict[bytes, list[Line]] = defaultdict(list)
        self._equal: defaultdict[bytes, deque[Line]] = defaultdict(deque)
        self._equal_read: set[bytes] = set()
        for line in event.lines:
            self._lines[line.name].append(line)

    def put_back(self, span: Span) -> Edit:
        """Return the edit that undoes one replacement. Raises Declined where the text is not as it was written."""
        name = span.property.encode("ascii")
        before = span.before.encode("utf-8", "surrogateescape")
        after = span.after.encode("utf-8", "surrogateescape")
        if name in DESCRIPTIONS:
            edit = self._in_description(name, before, after)
        elif after:
            edit = self._whole_line(name, before, after)
        else:
            edit = self._removed_line(name, before)
        if edit is None:
            raise needs_review(
                sentence("The invitation was changed since the migration, so the migration cannot be undone.")
            )
        return edit

    def _in_description(self, name: bytes, before: bytes, after: bytes) -> Edit | None:
        places = []
        for line in self._lines[name]:
            unfolded = unfold(self._body[line.start : line.end])
            start = unfolded.find(after, value_start(unfolded))
            if after and start >= 0:
                places.append((line, start))
                if unfolded.find(after, start + 1) >= 0:
                    places.append((line, start))
        if not places and name != b"DESCRIPTION":
            return self._in_html(name, before, after)
        if len(places) != 1:
            return None
        line, start = places[0]
        return replace_in_value(self._body, line, start, start + len(after), before)

    def _in_html(self, name: bytes, before: bytes, after: bytes) -> Edit | None:
        """Return the edit of a block that says what was written, where a server has stored it in a form of its own."""
        edits = []
        for line in self._lines[name]:
            unfolded = unfold(self._body[line.start : line.end])
            start = value_start(unfolded)
            value = unfolded[start:]
            found = look(value, is_html=True).found
            if after and found is not None and said(value[found.cut.start : found.cut.end]) == said(after):
                first, last, opened, closed = found.cut
                text = opened + before + closed
                edits.append(replace_in_value(self._body, line, start + first, start + last, text))
        return edits[0] if len(edits) == 1 else None

    def _whole_line(self, name: bytes, before: bytes, after: bytes) -> Edit | None:
        if name not in self._equal_read:
            self._equal_read.add(name)
            for line in self._lines[name]:
                self._equal[unfold(self._body[line.start : line.end])].append(line)
        equal = self._equal[after]
        return replace_line(self._body, equal.popleft(), before) if equal else None

    def _removed_line(self, name: bytes, before: bytes) -> Edit | None:
        says_something = any(value_of(self._body, line).strip() for line in self._lines[name])
        if says_something and name not in _REPEATABLE:
            return None
        return insert_lines(self._body, self.event, [before])
