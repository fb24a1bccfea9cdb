"""What is sent to Exchange differs from what was read in the meeting block alone, whatever else the bodies hold."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.mailboxes.exchange.as_calendar import changes, to_calendar
from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent, Kind
from migrations_app.mailboxes.exchange.values import body_from_value, body_to_value, from_value, to_value
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite, write
from migrations_app.rewriting.spans import Span, pack, unpack
from migrations_app.rewriting.undo import undo
from tests.rewriting.test_stays_in_service import BRIDGE, GIVEN, NEW, looked_at
from tests.support import samples
from tests.support.exchange_events import event_of
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NOW
from tests.support.strategies import HTML_AROUND, PROSE

CATALOGUE = Path(__file__).parents[2] / "catalogue"
INVITATIONS = sorted(path for path in CATALOGUE.glob("*/*.ics") if path.parent.name != "current")
STAYING = sorted((CATALOGUE / "current").glob("*-both-*.ics"))
TARGETS = ("current", "link", "teams")

# --- of the catalogue -----------------------------------------------------------------------------------


def now_of(change: Change, event: ExchangeEvent) -> ExchangeEvent:
    """One event as it is once a change was written."""
    properties = {name: value for name, value in {**event.properties, **change.properties}.items() if value}
    location = event.location if change.location is None else change.location
    body = event.body if change.body is None else change.body
    return replace(event, body=body, location=location, properties=properties, change_key=f"{event.change_key}+")


def applied(event: ExchangeEvent, found: Mapping[str, Change]) -> ExchangeEvent:
    """An event with its exceptions as they are once some changes were written."""
    exceptions = tuple(now_of(found[each.id], each) if each.id in found else each for each in event.exceptions)
    return replace(now_of(found[event.id], event) if event.id in found else event, exceptions=exceptions)


def text_of(span: Span, event: ExchangeEvent) -> tuple[str, str]:
    """What a replacement in a description took out of a body, and what it put there."""
    before, after = (
        body_from_value(each.encode("utf-8", "surrogateescape"), event.body, is_html=event.body_is_html)
        for each in (span.before, span.after)
    )
    return before, after


def check(event: ExchangeEvent, made: Rewrite) -> ExchangeEvent:
    """The event after a rewrite, of which nothing but what it replaced differs, and which can be undone."""
    found = {each.event_id: each for each in changes(event, made.body)}
    in_bodies = [span for span in made.spans if span.property in ("DESCRIPTION", "X-ALT-DESC")]
    bodies = [each for each in (*event.exceptions, event) if each.id in found and found[each.id].body is not None]
    assert len(bodies) == len(in_bodies)
    for each in bodies:
        pieces = [text_of(span, each) for span in in_bodies]
        assert found[each.id].body in [each.body.replace(*piece, 1) for piece in pieces if piece[0] in each.body]
    now = applied(event, found)
    assert changes(now, to_calendar(now)) == []
    back = {each.event_id: each for each in changes(now, undo(to_calendar(now), made.spans, now=NOW).body)}
    undone = applied(now, back)
    for was, restored in zip((event, *event.exceptions), (undone, *undone.exceptions), strict=True):
        assert replace(restored, change_key=was.change_key, exceptions=()) == replace(was, exceptions=())
    return now


def events_in(path: Path) -> Iterator[ExchangeEvent]:
    """The event as HTML and as plain text, where it has both."""
    for is_html in (True, False):
        with suppress(ValueError, UnreadableCalendar):
            yield event_of(path.read_bytes(), is_html=is_html)


def test_r21_of_every_invitation_of_the_catalogue_the_block_alone_changes() -> None:
    rewritten = 0
    for path in INVITATIONS:
        for event in events_in(path):
            try:
                made = rewrite(to_calendar(event), BLOCK, now=NOW)
            except (Declined, UnreadableCalendar):
                continue
            now = check(event, replace(made, spans=unpack(pack(made.spans))))
            with pytest.raises(Declined) as again:
                rewrite(to_calendar(now), BLOCK, now=NOW)
            assert again.value.reason == "already-current"
            rewritten += 1
    assert rewritten > 200


# --- generated ------------------------------------------------------------------------------------------

_SIGNATURE = re.compile(r"://|\[!OC\(|OutJoinLink|([._=])\1{9}|-{3}|\*~\*")
NASTY = (
    "\r\n", "\r", "\n", "\r\r\n", "\n\r", "\0", "\t", "\x0b", "\x0c", "\x1f", "\x85", "\u2028", "\u2029",
    "\ud800", "\udfff", "\ud83d\ude00", "\U0001f600", "\udcc3\udca9", "\ufeff", "\xa0", "\\", "\\n", "\\N", "\\r\\n",
    "\\;", "\\\\,", ";", ",", ":", '"', "'", "&", "&amp;", "x" * 2_000, "é" * 40, "END:VEVENT", "\r\n X:1", "=" * 9,
)  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(NASTY), PROSE, st.text(max_size=5)), max_size=6).map("".join)
ODD = TEXT.filter(lambda text: not _SIGNATURE.search(text))
AROUND = {
    True: st.one_of(ODD.map(lambda text: f"<p>{html.escape(text, quote=False)}</p>"), HTML_AROUND),
    False: ODD.map(lambda text: f"\n{text}\n"),
}
LINE_BREAKS = st.sampled_from(["\n", "\r\n", "\r"])


@given(TEXT)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert from_value(to_value(text)) == text
    for is_html in (True, False):
        assert body_from_value(body_to_value(text, is_html=is_html), text, is_html=is_html) == text


@given(TEXT, TEXT, st.booleans())
def test_an_event_that_says_anything_is_read_back_unchanged(body: str, other: str, is_html: bool) -> None:
    event = replace(event_of(STAYING[0].read_bytes()), body=body, subject=other, location=other, body_is_html=is_html)
    event = replace(event, properties={"OnlineMeetingConfLink": other})
    assert changes(event, to_calendar(event)) == []


def made_of(text: bytes, target: str) -> Rewrite:
    examined = looked_at(text)
    meeting = {"link": replace(NEW, join_url="https://meet.contoso.com/anna/ABCDEFGH"), "teams": NEW}.get(target)
    made = {each.recurrence_id: meeting for each in examined.meetings} if meeting else {}
    return write(examined, BRIDGE, made, now=NOW, ids=GIVEN)


def body_after(event: ExchangeEvent, target: str) -> str | None:
    found = changes(event, made_of(to_calendar(event), target).body)
    return found[0].body


@given(
    st.sampled_from(STAYING),
    st.sampled_from([*product((True, False), TARGETS)]),
    LINE_BREAKS,
    st.data(),
)
def test_r21_r40_whatever_stands_around_a_block_is_sent_as_it_was_read(
    path: Path, form: tuple[bool, str], line_break: str, data: st.DataObject
) -> None:
    is_html, target = form
    event = event_of(path.read_bytes(), is_html=is_html)
    start, end = ("<html><body>", "</body></html>") if is_html else ("", "")
    core = event.body.removeprefix(start).removesuffix(end).replace("\n", line_break)
    before, after = data.draw(AROUND[is_html]), data.draw(AROUND[is_html])
    if not is_html and data.draw(st.booleans()):
        before, after = (re.sub(r"\r\n|\r|\n", line_break, each) for each in (before, after))
    body = start + before + core + after + end
    note(repr(body))
    # The same kinds of line breaks, so that the block gets the same ones.
    kinds = "".join(each for each in ("\r\n", "\n", "\r") if each in body) if not is_html else ""
    assume(is_html or line_break != "\r" or kinds == "\r")
    alone = body_after(replace(event, body=start + core + kinds + end), target)
    assert alone is not None
    core_after = alone.removeprefix(start).removesuffix(end).removesuffix(kinds)
    event = replace(event, body=body, change_key="CQ")
    made = made_of(to_calendar(event), target)
    assert changes(event, made.body)[0].body == start + before + core_after + after + end
    check(event, made)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_line_breaks_that_only_the_old_block_had_come_back_with_it(line_break: str) -> None:
    event = replace(event_of(STAYING[-1].read_bytes()), body=samples.teams_html().replace("\n", line_break))
    assert line_break not in check(event, rewrite(to_calendar(event), BLOCK, now=NOW)).body


EXCEPTIONS = [datetime(2030, 4, day, 10, tzinfo=UTC) for day in (1, 8, 15, 22)]


@given(st.sampled_from(STAYING), st.sampled_from([*product((True, False), TARGETS)]), st.data())
def test_r23_exceptions_keep_what_is_their_own(path: Path, form: tuple[bool, str], data: st.DataObject) -> None:
    is_html, target = form
    event = replace(event_of(path.read_bytes(), is_html=is_html), exceptions=())
    marked = event.body.replace("<body>", "<body><p>Room 12</p>") if is_html else f"Room 12\n{event.body}"
    texts = (event.body, marked, "", "<p>By phone</p>" if is_html else "By phone")
    bodies = data.draw(st.lists(st.sampled_from(texts), min_size=1, max_size=4))
    exceptions = tuple(
        replace(event, id=f"E{number}", kind=Kind.EXCEPTION, recurrence_id=at, starts_at=at, ends_at=at, body=body)
        for number, (at, body) in enumerate(zip(EXCEPTIONS, bodies, strict=False))
    )
    series = replace(event, kind=Kind.SERIES, rrule="FREQ=WEEKLY;UNTIL=20300601T000000Z", exceptions=exceptions)
    made = made_of(to_calendar(series), target)
    now = check(series, made)
    for was, each in zip(exceptions, now.exceptions, strict=True):
        assert (each.body == was.body) is (was.body in texts[2:])
    assert [each.event_id for each in changes(series, made.body)][-1] == series.id
