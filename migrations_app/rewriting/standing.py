"""Whether a rewrite stands in an object, which a server may have stored in a form of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from migrations_app.calendars.content import plain
from migrations_app.calendars.content_lines import events_of, parse, unfold, value_start
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.components import DESCRIPTIONS, recurrence_id_of
from migrations_app.rewriting.spans import Span


class Standing(Enum):
    """What stands in the object."""

    BEFORE = "before"
    """All that the rewrite was to replace, and nothing that it was to write."""
    AFTER = "after"
    """All that the rewrite was to write."""
    UNCLEAR = "unclear"
    """Neither the one nor the other, or some of both."""


def standing(body: bytes, spans: Iterable[Span]) -> Standing:
    """Tell which side of the ``spans`` of one rewrite stands in the object now."""
    try:
        values = _values(body)
    except UnreadableCalendar:
        return Standing.UNCLEAR
    found = {side for span in spans if (side := _side(span, values.get((span.recurrence_id, span.property), ())))}
    return found.pop() if len(found) == 1 else Standing.UNCLEAR


def _values(body: bytes) -> Mapping[tuple[str, str], Sequence[str]]:
    values: dict[tuple[str, str], list[str]] = {}
    for event in events_of(parse(body)):
        recurrence_id = recurrence_id_of(body, event)
        for line in event.lines:
            unfolded = unfold(body[line.start : line.end])
            key = recurrence_id, line.name.decode("ascii", "replace")
            values.setdefault(key, []).append(plain(unfolded[value_start(unfolded) :]))
    return values


def _side(span: Span, values: Sequence[str]) -> Standing | None:
    """None where the two sides read the same."""
    is_piece = span.property.encode("ascii", "replace") in DESCRIPTIONS
    before, after = (_plain(text, is_piece=is_piece) for text in (span.before, span.after))
    if before == after:
        return None
    has_before, has_after = (_has(text, values, is_piece=is_piece) for text in (before, after))
    if has_before and has_after:  # one of them is a piece of the other
        has_before, has_after = after in before, before in after
    if has_before == has_after:
        return Standing.UNCLEAR
    return Standing.BEFORE if has_before else Standing.AFTER


def _plain(text: str, *, is_piece: bool) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    return plain(octets if is_piece else octets[value_start(octets) :])


def _has(text: str, values: Sequence[str], *, is_piece: bool) -> bool:
    if not text:
        return not any(values)
    return any(text in value if is_piece else text == value for value in values)
