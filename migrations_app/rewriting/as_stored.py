"""The replacements of a rewrite as a server stored them, which may write texts down in its own way as Exchange does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from migrations_app.calendars.content_lines import events_of, parse, unfold, value_start
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.components import DESCRIPTIONS, recurrence_id_of
from migrations_app.rewriting.spans import Span, span

_WIDER = 40
"""Octets by which a piece is widened that stands twice in its text."""

Place = tuple[str, str]
"""Recurrence-ID and property."""


def as_stored(before: bytes, spans: Iterable[Span], now: bytes, *, strictly: bool = False) -> tuple[Span, ...]:
    """Return what stood in the places of `spans` in `before`, and what stands there `now`, so that an undo finds it.

    `before` is the object as it was before the rewrite, `now` as it is stored. A piece of a description grows as far as
    the server has changed something around it; with `strictly` it does not, because somebody else may have.
    """
    spans = tuple(spans)
    try:
        old, new = _lines(before), _lines(now)
    except UnreadableCalendar:
        return spans
    found: list[Span] = []
    for place, some in _by_place(spans).items():
        found += _of_place(place, some, old.get(place, []), new.get(place, []), strictly=strictly)
    return tuple(found) or spans


def places_changed(before: bytes, spans: Iterable[Span], now: bytes) -> set[Place]:
    """Return the places of `spans` that say something else now than before. Raises UnreadableCalendar."""
    old, new = _lines(before), _lines(now)
    return {place for place in _by_place(spans) if old.get(place, []) != new.get(place, [])}


def only_there(before: bytes, spans: Iterable[Span], now: bytes) -> set[Place]:
    """Return the places of `spans` where nothing changed but what the rewrite was to replace.

    Raises UnreadableCalendar.
    """
    old, new = _lines(before), _lines(now)
    found = set()
    for place, some in _by_place(spans).items():
        if place[1].encode("ascii") not in DESCRIPTIONS:
            found.add(place)
        elif (values := _only(old.get(place, []), new.get(place, []))) is not None:
            start, end = _hull(values[0], some) or (0, 0)
            prefix, suffix = _common(*values)
            if end and prefix >= start and suffix >= len(values[0]) - end:
                found.add(place)
    return found


def _by_place(spans: Iterable[Span]) -> Mapping[Place, list[Span]]:
    places: dict[Place, list[Span]] = {}
    for each in spans:
        places.setdefault((each.recurrence_id, each.property), []).append(each)
    return places


def _lines(body: bytes) -> Mapping[Place, list[bytes]]:
    """The unfolded lines of each property of each event."""
    lines: dict[Place, list[bytes]] = {}
    for event in events_of(parse(body)):
        recurrence_id = recurrence_id_of(body, event)
        for line in event.lines:
            key = recurrence_id, line.name.decode("ascii", "replace")
            lines.setdefault(key, []).append(unfold(body[line.start : line.end]).rstrip(b"\r\n"))
    return lines


def _of_place(
    place: Place, spans: Sequence[Span], old: Sequence[bytes], new: Sequence[bytes], *, strictly: bool
) -> Iterator[Span]:
    recurrence_id, name = place[0], place[1].encode("ascii")
    if old == new:
        return
    if name not in DESCRIPTIONS:
        gone, come = [line for line in old if line not in new], [line for line in new if line not in old]
        if max(len(gone), len(come)) > 1:
            yield from spans
        else:
            yield span(recurrence_id, name, b"".join(gone), b"".join(come))
        return
    values = _only(old, new)
    if values is None or _replaced(values[0], spans) == values[1]:
        yield from spans
        return
    was, now = values
    prefix, suffix = _common(was, now)
    start, end = _hull(was, spans) or (prefix, len(was) - suffix)
    is_within = prefix >= start and suffix >= len(was) - end
    start, end = _whole(was, min(start, prefix), max(end, len(was) - suffix))
    while start and (now.count(now[start : len(now) - len(was) + end]) > 1 or len(now) - len(was) + end <= start):
        start, end = _whole(was, max(start - _WIDER, 0), end)
    after = now[start : len(now) - len(was) + end]
    if (strictly and not is_within) or not after:
        yield from spans
    else:
        yield span(recurrence_id, name, was[start:end], after)


def _only(old: Sequence[bytes], new: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two values of a property that stands once on either side."""
    if len(old) != 1 or len(new) != 1:
        return None
    return old[0][value_start(old[0]) :], new[0][value_start(new[0]) :]


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _replaced(value: bytes, spans: Collection[Span]) -> bytes | None:
    """The value with the replacements made; None where one of them has no place of its own in it."""
    original = value
    for each in spans:
        if original.count(_octets(each.before)) != 1 or value.count(_octets(each.before)) != 1:
            return None
        value = value.replace(_octets(each.before), _octets(each.after))
    return value


def _hull(value: bytes, spans: Collection[Span]) -> tuple[int, int] | None:
    """From where to where the replacements reach in the value before them; None where it is not known."""
    found = [(value.find(piece), len(piece)) for each in spans if (piece := _octets(each.before))]
    found = [(start, length) for start, length in found if start >= 0]
    if not found:
        return None
    return min(start for start, _ in found), max(start + length for start, length in found)


def _common(one: bytes, other: bytes) -> tuple[int, int]:
    """How many octets the values share at their beginning, and of the rest at their end."""
    prefix = _shared(one, other)
    return prefix, _shared(one[prefix:][::-1], other[prefix:][::-1])


def _shared(one: bytes, other: bytes) -> int:
    """How many octets both begin with, found by halves."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole(value: bytes, start: int, end: int) -> tuple[int, int]:
    """The same piece, but for characters and escapes that it would cut in two."""
    while 0 < start < len(value) and (value[start] & 0xC0 == 0x80 or value[start - 1 : start] == b"\\"):
        start -= 1
    while end < len(value) and (value[end] & 0xC0 == 0x80 or value[end - 1 : end] == b"\\"):
        end += 1
    return start, end
