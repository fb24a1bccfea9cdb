"""What holds for every invitation there may be."""

import random

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from migrations_app.rewriting.block import render_text
from migrations_app.rewriting.content_lines import split_objects
from migrations_app.rewriting.errors import Declined, UnreadableCalendar
from migrations_app.rewriting.facts import read_facts
from migrations_app.rewriting.people import attendees, organizer
from migrations_app.rewriting.rewrite import rewrite, undo
from migrations_app.rewriting.spans import pack, unpack
from tests.rewriting import samples
from tests.rewriting.samples import BLOCK, NO_PHONE, NOW, calendar, document, event, paragraph

EOL = st.sampled_from([b"\r\n", b"\n"])
SPACE = st.sampled_from([b" ", b"\t"])
WIDTH = st.integers(8, 200)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e")).filter(
    lambda text: not any(row in text for row in ("....", "____", "====", "://"))
)
OLD = st.sampled_from([samples.skype_text(), samples.skype_text(row=samples.DOTS), samples.teams_text()])
OLD_HTML = st.sampled_from([samples.skype_html(), samples.teams_html()])


@given(TEXT, TEXT, OLD, EOL, SPACE, WIDTH)
@settings(max_examples=200)
def test_r21_everything_around_the_text_block_stays(
    before: str, after: str, old: str, eol: bytes, space: bytes, width: int
) -> None:
    source = calendar(event(text=f"{before}\n{old}\n{after}"), eol=eol, space=space, width=width)
    made = rewrite(source, BLOCK, now=NOW)
    assert samples.value(made.body, "DESCRIPTION") == f"{before}\n{render_text(BLOCK)}\n{after}"
    assert samples.unfolded(made.body) == samples.unfolded(
        calendar(event(text=f"{before}\n{render_text(BLOCK)}\n{after}", sequence=4)).replace(
            b"20291201T080000Z", b"20300110T120000Z"
        )
    )
    back = undo(made.body, unpack(pack(made.spans)), now=NOW)
    assert samples.without_stamps(back) == samples.without_stamps(source)
    try:
        rewrite(made.body, BLOCK, now=NOW)
        raise AssertionError("A second run changed something.")
    except Declined as declined:
        assert declined.reason == "already-current"  # noqa: PT017 - the other branch fails by itself


@given(TEXT, TEXT, OLD_HTML, EOL, SPACE, WIDTH)
@settings(max_examples=150)
def test_r21_everything_around_the_html_block_stays(
    before: str, after: str, old: str, eol: bytes, space: bytes, width: int
) -> None:
    intro, outro = (paragraph(text.replace("&", "&amp;").replace("<", "&lt;")) for text in (before, after))
    source = calendar(event(html=document(intro, old, outro)), eol=eol, space=space, width=width)
    made = rewrite(source, BLOCK, now=NOW)
    again = rewrite(made.body, NO_PHONE, now=NOW)
    for body in (made.body, again.body):
        html = samples.value(body, "X-ALT-DESC")
        start, end = document(intro, "|", outro).split("|") if "|" not in intro + outro else ("", "")
        assert html.startswith(start)
        assert html.endswith(end)
    back = undo(undo(again.body, again.spans, now=NOW), made.spans, now=NOW)
    assert samples.without_stamps(back) == samples.without_stamps(source)


SERIES = calendar(
    event("RRULE:FREQ=WEEKLY;COUNT=9", text="Hi\n" + samples.skype_text(), html=document(samples.skype_html())),
    event("RECURRENCE-ID:20300308T100000Z", text=samples.skype_text()),
)
TEAMS = calendar(event(text=samples.teams_text(), html=document(samples.teams_html())))
FRAGMENTS = [
    b"",
    b"\n",
    b"\r\n ",
    b'"',
    b"'",
    b"<",
    b">",
    b":",
    b";",
    b"\\",
    b"\xff",
    b"\xc3",
    b"<!--",
    b"</p>",
    b"=",
    b"." * 60,
    b"_" * 80,
    b"END:VEVENT\r\n",
]


@given(st.sampled_from([SERIES, TEAMS]), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=400)
def test_whatever_is_damaged_is_declined_or_rewritten_never_worse(
    source: bytes, dice: random.Random, cuts: int
) -> None:
    for _ in range(cuts):
        at = dice.randrange(len(source))
        source = source[:at] + dice.choice(FRAGMENTS) + source[at + dice.choice([0, 1, 5, 80]) :]
    for read in (split_objects, read_facts, attendees, organizer):
        try:
            read(source)
        except UnreadableCalendar as error:
            assert str(error).endswith(".")  # noqa: PT017 - both outcomes are right
    try:
        made = rewrite(source, BLOCK, now=NOW)
    except (Declined, UnreadableCalendar):
        return
    back = undo(made.body, made.spans, now=NOW)
    # DTSTAMP and SEQUENCE may be written anew where the damage took them.
    assert set(samples.without_stamps(source)) == set(samples.without_stamps(back))


@given(st.binary(max_size=300))
@example(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR")
@example(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID\nDESCRIPTION\nX;=:\n\n:\nEND:VEVENT\nEND:VCALENDAR")
def test_anything_else_is_told_to_be_no_calendar(source: bytes) -> None:
    for read in (split_objects, read_facts, attendees, organizer, lambda raw: rewrite(raw, BLOCK, now=NOW)):
        try:
            read(source)
        except (UnreadableCalendar, Declined) as error:
            assert str(error)  # noqa: PT017 - both outcomes are right


@given(
    st.sampled_from(
        [
            "<a ",
            "<!--",
            "<a x='",
            '<a x="',
            "-----",
            "." * 60,
            "_" * 70 + " ",
            "https://",
            "webex.com/",
            "19_meeting_",
            "&#" + "9" * 5000 + ";",
            "\\",
            "\\n",
            "__;",
            "https://urldefense.com/v3/__",
        ]
    ),
    OLD_HTML,
)
@settings(max_examples=60, deadline=None)
def test_hostile_repetition_is_answered(piece: str, old: str) -> None:
    hostile = piece * (60_000 // len(piece))
    for text, html in (
        (hostile, None),
        (f"{hostile}\n{samples.skype_text(inside=hostile)}", document(hostile, old, hostile)),
    ):
        try:
            made = rewrite(calendar(event(text=text, html=html)), BLOCK, now=NOW)
        except Declined:
            continue
        assume(made.spans)
        assert samples.escape(hostile).encode() in samples.unfolded(made.body)
