"""Whether a rewrite stands in an object, which a server may have stored in a form of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from migrations_app.calendars.content import plain
from migrations_app.calendars.content_lines import events_of, parse, unfold, value_start
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.components import DESCRIPTIONS, recurrence_id_of
from migrations_app.rewriting.likeness import said
from migrations_app.rewriting.spans import Span

_HTML = frozenset({"X-ALT-DESC", "STYLED-DESCRIPTION"})


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
    found = set[Standing]()
    for span in spans:
        there = values.get((span.recurrence_id, span.property), ())
        side = _side(span, list(map(plain, there)))
        if side is Standing.UNCLEAR and span.property in _HTML:
            side = _side_of_html(span, there)
        found |= set() if side is None else {side}
    return found.pop() if len(found) == 1 else Standing.UNCLEAR


def _values(body: bytes) -> Mapping[tuple[str, str], Sequence[bytes]]:
    values: dict[tuple[str, str], list[bytes]] = {}
    for event in events_of(parse(body)):
        recurrence_id = recurrence_id_of(body, event)
        for line in event.lines:
            unfolded = unfold(body[line.start : line.end])
            key = recurrence_id, line.name.decode("ascii", "replace")
            values.setdefault(key, []).append(unfolded[value_start(unfolded) :])
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


def _side_of_html(span: Span, values: Sequence[bytes]) -> Standing:
    """As it reads, where a server has stored HTML in a form of its own."""
    before, after = (said(text.encode("utf-8", "surrogateescape")) for text in (span.before, span.after))
    has_before, has_after = (any(side.is_in(said(value)) for value in values) for side in (before, after))
    if has_before is has_after or not before.text or not after.text:
        return Standing.UNCLEAR
    return Standing.BEFORE if has_before else Standing.AFTER


def _plain(text: str, *, is_piece: bool) -> str:
    octets = text.encode("utf-8", "surrogateescape")
    return plain(octets if is_piece else octets[value_start(octets) :])


def _has(text: str, values: Sequence[str], *, is_piece: bool) -> bool:
    if not text:
        return not any(values)
    return any(text in value if is_piece else text == value for value in values)
