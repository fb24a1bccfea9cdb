"""Put the old meeting block back where it stood."""

from collections.abc import Iterable
from datetime import datetime

from migrations_app.rewriting.components import DESCRIPTIONS, recurrence_id_of
from migrations_app.rewriting.content_lines import (
    Edit,
    Event,
    events_of,
    insert_lines,
    parse,
    replace_in_value,
    replace_line,
    splice,
    unfold,
    value_start,
)
from migrations_app.rewriting.errors import needs_review
from migrations_app.rewriting.facts import events_not_over
from migrations_app.rewriting.revision import raise_sequence
from migrations_app.rewriting.spans import Span

_REPEATABLE = frozenset([b"CONFERENCE"])
"""Properties of which an event may have several (RFC 7986 section 5.11), so that one may have gone from among them."""


def undo(body: bytes, spans: Iterable[Span], *, now: datetime) -> bytes:
    """Return the object with what `spans` replaced put back, and its SEQUENCE raised once more.

    Overrides that are over by now stay as they are. Raises Declined (needs-review) where the replaced text does
    not stand exactly as it was written, UnreadableCalendar when the object is no calendar.
    """
    calendars = parse(body)
    events = events_of(calendars)
    current = events_not_over(body, calendars, now)
    by_recurrence_id = {recurrence_id_of(body, event): event for event in events}
    edits: list[Edit] = []
    put_back: set[int] = set()
    for span in spans:
        event = by_recurrence_id.get(span.recurrence_id)
        if event is None:
            raise needs_review("An occurrence that was changed is no longer in the invitation, so it cannot be undone.")
        if event in current:
            edits.append(_put_back(body, event, span, put_back))
    if not edits:
        raise needs_review("There is nothing left to undo: every occurrence that was changed is over.")
    raise_sequence(body, events, current, now, edits)
    return splice(body, edits)


def _put_back(body: bytes, event: Event, span: Span, put_back: set[int]) -> Edit:
    """Return the edit that undoes one replacement. `put_back` are the starts of the lines that are done already."""
    name = span.property.encode("ascii")
    before = span.before.encode("utf-8", "surrogateescape")
    after = span.after.encode("utf-8", "surrogateescape")
    lines = event.named(name)
    if name in DESCRIPTIONS:
        places = []
        for line in lines:
            unfolded = unfold(body[line.start : line.end])
            start = unfolded.find(after, value_start(unfolded))
            if after and start >= 0:
                places.append((line, start))
                if unfolded.find(after, start + 1) >= 0:
                    places.append((line, start))
        if len(places) == 1:
            line, start = places[0]
            return replace_in_value(body, line, start, start + len(after), before)
    elif after:
        for line in lines:
            if line.start not in put_back and unfold(body[line.start : line.end]) == after:
                put_back.add(line.start)
                return replace_line(body, line, before)
    elif not lines or name in _REPEATABLE:
        return insert_lines(body, event, [before])
    raise needs_review("The invitation was changed since the migration, so the migration cannot be undone.")
