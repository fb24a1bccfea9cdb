"""What a server stored in its own way is found again by an undo."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from migrations_app.calendars.content_lines import escaped, events_of, folded, parse, unfold, value_start
from migrations_app.rewriting.as_stored import as_stored, only_there, places_changed
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.spans import Span
from migrations_app.rewriting.undo import undo

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PIECES = st.text("ab<>/é\\;,\n", max_size=12)
BLOCKS = st.text("bxé;\n", min_size=1, max_size=12).map(lambda text: f"<block>{text}</block>")


def meeting(text: str) -> bytes:
    lines = [
        b"BEGIN:VCALENDAR",
        b"BEGIN:VEVENT",
        b"UID:1",
        b"DTSTART:20260401T090000Z",
        b"SUMMARY:Budget",
        folded(b"DESCRIPTION:" + escaped(text), b"\r\n "),
        b"END:VEVENT",
        b"END:VCALENDAR",
        b"",
    ]
    return b"\r\n".join(lines)


def value(body: bytes) -> bytes:
    (event,) = events_of(parse(body))
    (line,) = event.named(b"DESCRIPTION")
    unfolded = unfold(body[line.start : line.end])
    return unfolded[value_start(unfolded) :].rstrip(b"\r\n")


def replaced(before: str, after: str) -> list[Span]:
    return [Span("", "DESCRIPTION", escaped(before).decode(), escaped(after).decode())]


@given(PIECES, BLOCKS, BLOCKS, PIECES, PIECES, BLOCKS)
def test_whatever_the_server_made_of_it_the_text_goes_back(
    head: str, old: str, new: str, tail: str, other_head: str, stored: str
) -> None:
    before, now = meeting(head + old + tail), meeting(other_head + stored + tail)
    spans = as_stored(before, replaced(old, new), now)
    if now == before:
        assert spans == tuple(replaced(old, new))
        return
    assert value(undo(now, spans, now=NOW).body) == value(before)


@given(PIECES, BLOCKS, BLOCKS, PIECES, PIECES, BLOCKS)
def test_what_may_be_somebodys_edit_is_never_taken_back(
    head: str, old: str, new: str, tail: str, edit: str, stored: str
) -> None:
    before, now = meeting(head + old + tail), meeting(head + stored + edit + tail)
    spans = as_stored(before, replaced(old, new), now, strictly=True)
    if places_changed(before, replaced(old, new), now) != only_there(before, replaced(old, new), now):
        try:
            undone = undo(now, spans, now=NOW).body
        except Declined:
            return
        assert value(undone).endswith(escaped(edit + tail))
