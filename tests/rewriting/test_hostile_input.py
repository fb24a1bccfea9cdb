"""Whatever stands in a mailbox is rewritten, declined or told to be unreadable, each in one sentence, and in time.

What is quadratic in its input does not finish here: nothing is timed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.objects import split_objects
from migrations_app.calendars.people import attendees, organizer
from migrations_app.rewriting.block import render_html
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.undo import undo
from tests.support import samples
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NO_PHONE, NOW, calendar, document, event
from tests.support.strategies import CONTENT_LINES, HTML_SOUP, PLAIN_MARKUP, RECURRENCES, TEXT_SOUP


def read_invitation(source: bytes) -> itip.Invitation:
    return itip.read(source, ["anna@contoso.com"], now=NOW)


READERS: tuple[Callable[[bytes], object], ...] = (split_objects, read_facts, attendees, organizer, read_invitation)


def answer(work: Callable[[], object]) -> object:
    """What a function returns; None where it refuses in one sentence."""
    try:
        return work()
    except UnreadableCalendar as error:
        sentence = str(error)
    except Declined as declined:
        sentence = declined.detail
    assert re.fullmatch(r"[A-Z][^\x00-\x1f\x7f-\x9f\u2028\u2029]*\.", sentence)
    assert not re.search(r"[.!?] [A-Z]", re.sub("“.*”", "", sentence)), "one sentence"
    return None


def read_everything(source: bytes) -> None:
    """Read, rewrite, rewrite again and undo; a rewrite that came about has to be a right one."""
    for read in READERS:
        answer(lambda read=read: read(source))  # type: ignore[misc]
    made = answer(lambda: rewrite(source, BLOCK, now=NOW, belongs_to_someone_else=lambda user: user == "someone"))
    if made is None:
        return
    with pytest.raises(Declined, match="already-current"):
        rewrite(made.body, BLOCK, now=NOW)
    assert rewrite(made.body, NO_PHONE, now=NOW).spans
    back = undo(made.body, made.spans, now=NOW).body
    # DTSTAMP and SEQUENCE are written anew where they are missing.
    assert set(samples.without_stamps(back)) == set(samples.without_stamps(source))


# --- text, HTML, content lines --------------------------------------------------------------------------


@given(TEXT_SOUP)
def test_any_text(text: str) -> None:
    read_everything(calendar(event(text=text)))


@given(HTML_SOUP)
def test_any_html(html: str) -> None:
    read_everything(calendar(event(html=html)))


class Visible(HTMLParser):
    """The text that a reader sees, without white space."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self.feed(html)
        self.close()

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        return self.parse_bogus_comment(i)  # as browsers do; the parser itself raises errors

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self._pieces.append(data)

    def __str__(self) -> str:
        return "".join("".join(self._pieces).split())


@given(PLAIN_MARKUP, PLAIN_MARKUP, st.sampled_from([samples.skype_html, samples.teams_html]))
def test_r21_no_visible_text_around_a_block_is_lost(before: str, after: str, make: Callable[[], str]) -> None:
    old = make()
    source = calendar(event(html=document(before, old, after)))
    made = answer(lambda: rewrite(source, BLOCK, now=NOW))
    if made is None:
        return
    was, became = (str(Visible(samples.value(body, "X-ALT-DESC"))) for body in (source, made.body))
    ours, theirs = str(Visible(render_html(BLOCK))), str(Visible(old))
    assert became == was.replace(theirs, ours, 1)


@given(CONTENT_LINES)
@example(b"")
@example(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR")
@example(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID\nDESCRIPTION\nX;=:\n\n:\nEND:VEVENT\nEND:VCALENDAR")
def test_any_content_lines(source: bytes) -> None:
    read_everything(source)


@given(RECURRENCES)
def test_any_dates_and_rules(lines: list[str]) -> None:
    source = calendar(event(*lines, text=samples.skype_text()))
    facts = answer(lambda: read_facts(source))
    if facts is not None:
        assert facts.starts_at.tzinfo is UTC
        assert facts.ends_at is None or datetime.max.replace(tzinfo=UTC) > facts.ends_at
    read_everything(source)


SERIES = calendar(
    event("RRULE:FREQ=WEEKLY;COUNT=9", text="Hi\n" + samples.skype_text(), html=document(samples.skype_html())),
    event("RECURRENCE-ID:20300308T100000Z", text=samples.skype_text()),
)
TEAMS = calendar(event(text=samples.teams_text(), html=document(samples.teams_html())))
FRAGMENTS = (
    b"", b"\n", b"\r\n ", b'"', b"'", b"<", b">", b":", b";", b"\\", b"=", b"\xff", b"\xc3", b"<!--", b"</p>",
    b"</div>", b"<blockquote>", b"." * 60, b"_" * 80, b"=" * 72, b"END:VEVENT\r\n", b"BEGIN:VEVENT\r\n",
    b"[!OC([1033])!]", samples.SKYPE_URL.encode(), samples.TEAMS_URL.encode(), b"OutJoinLink",
)  # fmt: skip


@given(st.sampled_from([SERIES, TEAMS]), st.randoms(use_true_random=False), st.integers(1, 4))
def test_whatever_is_damaged_is_declined_or_rewritten_never_worse(
    source: bytes, dice: random.Random, cuts: int
) -> None:
    for _ in range(cuts):
        at = dice.randrange(len(source))
        source = source[:at] + dice.choice(FRAGMENTS) + source[at + dice.choice([0, 1, 5, 80]) :]
    read_everything(source)


# --- repetition -----------------------------------------------------------------------------------------

LARGE = (1_000_000, 4_000_000) if settings.get_current_profile_name() == "nightly" else (20_000, 150_000)
"""Octets of an invitation, about."""
PIECES = (
    "<a ", "<a x='", '<a x="', '<a href="', "<a =\\n ", "<!--", "<!", "<", ">", "</", "<b>", "<p>", "<div>", "</div>",
    "<table><tr><td>", "<ul><li>", "<b><i></b></i>", "</i>", "<style>", "<blockquote>", "<textarea><", "<![endif]-->",
    "<!--[if", "<div class=x_x_", "<a name=OutSharedNoteLink>", "OutSharedNote ", 'href="', "href = ",
    "&#", "&#" + "9" * 5000 + ";", "&lrm;", "&", ".", "_", "=", "." * 10 + " ", "." * 9 + "\n", "." * 59 + "x",
    "_" * 69 + " ", "_" * 79 + " ", "=" * 71 + "\n", "____\n", "<span>" + "." * 10 + "</span>", "." * 71 + "<br>",
    "-----", "-----a ", "-----a b-----\n", "-----a-----\nA: b\nB: c\n", "*~", "*~*~*~", "https://",
    "https://a'b", "https://a''", "https://a.,;", "https://a' b=", "'", '"', "/ABCD2345", "ABCD2345/", "%2FABCD2345",
    "https://a.safelinks.protection.outlook.com/?url=", "https://urldefense.com/v3/__", "__;", "v3/__*__;IyM!",
    "https://urldefense.com/v2/url?u=", "https://teams.microsoft.com/meet/", "teams.", "https://a.teams.microsoft.com/",
    "19_meeting_", "19_meeting_a@threa", '"Oid":', "webex.com/", "webex.com/j.ph", "onenote:", "onenote:a'",
    "https://a.sharepoint.com/", ".one", "[!OC(", "[!OC([1033", "focus:id:", "tel:", "tel:+1,,2#", "[https://a ",
    "\\", "\\n", "\\\\n", "\\;", "\n", " ", "\t", "\xa0", "\u200b", "é", "\U0001f600", "\x00", "\r", "HTTPS://a ",
    "A: b\n", "OutJoinLink", "-", "&nbsp;",
)  # fmt: skip


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_repetition_is_answered(piece: str, size: int) -> None:
    hostile = piece * (size // 5 // len(piece))
    for text, html in (
        (f"{hostile}\n{samples.skype_text(inside=hostile)}", document(hostile, samples.skype_html(inside=hostile))),
        (f"Hi\n{samples.teams_text()}\n{hostile}", document(samples.teams_html(), hostile)),
        (hostile, hostile),
    ):
        source = calendar(event(text=text, html=html))
        answer(lambda source=source: read_invitation(source))  # type: ignore[misc]
        made = answer(lambda source=source: rewrite(source, BLOCK, now=NOW))  # type: ignore[misc]
        if made is not None:
            undo(made.body, made.spans, now=NOW)


def override(number: int, *lines: str) -> list[str]:
    moment = f"2030{number % 12 + 1:02}{number // 12 % 28 + 1:02}T{number // 336 % 24:02}{number // 8064 % 60:02}00Z"
    return [
        "BEGIN:VEVENT",
        "UID:meeting-1@contoso.com",
        f"RECURRENCE-ID:{moment}",
        f"DTSTART:{moment}",
        *lines,
        "END:VEVENT",
    ]


def observance(number: int, rule: str) -> list[str]:
    return [
        "BEGIN:STANDARD",
        f"DTSTART:1601{number % 12 + 1:02}{number // 12 % 28 + 1:02}T{number // 336 % 24:02}0000",
        f"RRULE:FREQ=YEARLY;{rule}",
        f"TZOFFSETFROM:+0{number % 2}00",
        f"TZOFFSETTO:+0{number % 2 + 1}00",
        "END:STANDARD",
    ]


TEXT = samples.skype_text()
EXTERNAL_LINK = f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}"
DAY = "20300302T100000Z"
# Each makes the components of an invitation, given how many octets there should be.
STRUCTURES: dict[str, Callable[[int], list[list[str]]]] = {
    "attendees": lambda size: [
        event(*(f"ATTENDEE;CN=P{n}:mailto:p{n}@contoso.com" for n in range(size // 40)), text=TEXT)
    ],
    "parameters": lambda size: [event(f"ATTENDEE{';X=a' * (size // 4)}:mailto:bo@contoso.com", text=TEXT)],
    "quoted parameters": lambda size: [event("ATTENDEE" + ';X="a:b"' * (size // 8) + ":mailto:bo@contoso.com")],
    "open quotes": lambda size: [event("ATTENDEE" + ';CN="' * (size // 5) + ":mailto:bo@contoso.com", text=TEXT)],
    "an address of dots": lambda size: [event(f"ATTENDEE:mailto:bo@{'a.' * (size // 2)}", text=TEXT)],
    "overrides": lambda size: [event(text=TEXT), *(override(n, EXTERNAL_LINK) for n in range(size // 200))],
    "join properties": lambda size: [event(*[EXTERNAL_LINK] * (size // 80), text=TEXT)],
    "links in URL": lambda size: [event(*[f"URL:{samples.SKYPE_URL}"] * (size // 45), text=TEXT)],
    "labels in LOCATION": lambda size: [event(*["LOCATION:Skype Meeting"] * (size // 24), text=TEXT)],
    "blocks of our own": lambda size: [
        event(text=f"{samples.OWN_ROW}\nJoin <https://example.org/a/ABCD2345>\n" * (size // 110))
    ],
    "old blocks": lambda size: [event(text=f"{TEXT}\n" * (size // 700))],
    "numbers": lambda size: [event(*["CONFERENCE:tel:+12065550111,1234567#"] * (size // 40), text=TEXT)],
    "links": lambda size: [event(text="".join(f"https://example.org/{n} " for n in range(size // 25)) + f"\n{TEXT}")],
    "links in HTML": lambda size: [
        event(html=document(samples.skype_html(inside='<a href="https://example.org">a</a>' * (size // 35))))
    ],
    "Skype links in a block": lambda size: [
        event(
            text=samples.skype_text(inside="".join(f"https://dialin.a{n}.org/x/ABCD2345\n" for n in range(size // 34)))
        )
    ],
    "links in a link": lambda size: [
        event(text=f"https://a.example/?{'u=https%3A%2F%2Fb.example%2F&' * (size // 27)}\n{TEXT}")
    ],
    "wrapped links": lambda size: [
        event(text="".join(f"https://a.example/{n}/https%3A%2F%2Fb.example%2F{n}\n" for n in range(size // 50)) + TEXT)
    ],
    "lines of stars": lambda size: [event(text="When: now\n\n*~*~*~*\n\n" * (size // 26) + TEXT)],
    "headers": lambda size: [event(text="-----A-----\nFrom: Bo\nTo: Cy\n" * (size // 34) + TEXT)],
    "rows below": lambda size: [event(text=f"{samples.teams_text()}\n" + f"{samples.BAR}\nBye\n" * (size // 87))],
    "lines without a name": lambda size: [
        event(*["ATTENDEE:mailto:bo@contoso.com", "o:cy@contoso.com", "nothing"] * (size // 60), text=TEXT)
    ],
    "descriptions that are cut off": lambda size: [event(*["DESCRIPTION:Hi", "and bye"] * (size // 24), text=TEXT)],
    "occurrences with guests": lambda size: [
        event("RRULE:FREQ=DAILY", text=TEXT),
        *(override(n, f"ATTENDEE:mailto:p{n}@contoso.com") for n in range(size // 200)),
    ],
    "shared notes": lambda size: [
        event(html=document(samples.skype_html(inside="<a name=OutSharedNoteLink></a>" * (size // 30))))
    ],
    "descriptions": lambda size: [event(*[f"DESCRIPTION:{samples.escape(TEXT)}"] * (size // 700))],
    "short lines": lambda size: [event(*["X:"] * (size // 4), text=TEXT)],
    "alarms": lambda size: [event(*["BEGIN:VALARM", "END:VALARM"] * (size // 28), text=TEXT)],
    "components in components": lambda size: [
        event(*["BEGIN:X-A"] * (size // 20), *["END:X-A"] * (size // 20), text=TEXT)
    ],
    "meetings": lambda size: [event(text="Hi", uid=f"{n}@contoso.com") for n in range(size // 400)],
    "RDATE": lambda size: [event(f"RDATE:{','.join([DAY] * (size // 17))}", text=TEXT)],
    "EXDATE": lambda size: [
        event("RRULE:FREQ=DAILY;COUNT=10000", f"EXDATE:{','.join([DAY] * (size // 17))}", text=TEXT)
    ],
    "TZID": lambda size: [event(f"RDATE;TZID={'Europe/' * (size // 7)}:20300302T100000", text=TEXT)],
    "BYMONTH": lambda size: [event(f"RRULE:FREQ=DAILY;COUNT=3;BYMONTH={','.join('1' * (size // 2))}", text=TEXT)],
    "BYDAY": lambda size: [event(f"RRULE:FREQ=YEARLY;COUNT=300;BYDAY={','.join(['1MO'] * (size // 4))}", text=TEXT)],
    "BYSETPOS": lambda size: [
        event(f"RRULE:FREQ=YEARLY;COUNT=9;BYDAY=MO,TU;BYSETPOS={','.join('1' * (size // 2))}", text=TEXT)
    ],
    "parts of a rule": lambda size: [event(f"RRULE:FREQ=DAILY{';BYDAY=MO' * (size // 9)}", text=TEXT)],
    "unknown parts of a rule": lambda size: [event(f"RRULE:FREQ=DAILY;{'TZID=' * (size // 5)}", text=TEXT)],
    "observances": lambda size: [
        ["BEGIN:VTIMEZONE", "TZID:Own"]
        + [line for n in range(size // 150) for line in observance(n, "BYMONTH=3;BYDAY=1SU")]
        + ["END:VTIMEZONE"],
        event("RDATE;TZID=Own:20300302T100000", text=TEXT),
    ],
    "time zones": lambda size: (
        [["BEGIN:VTIMEZONE", f"TZID:Own{n}", *observance(n, "BYMONTH=3"), "END:VTIMEZONE"] for n in range(size // 200)]
        + [event(*(f"RDATE;TZID=Own{n}:20300302T100000" for n in range(size // 200)), text=TEXT)]
    ),
}


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("name", STRUCTURES)
def test_an_endless_list_is_answered(name: str, size: int) -> None:
    source = calendar(*STRUCTURES[name](size))
    for read in READERS:
        answer(lambda read=read: read(source))  # type: ignore[misc]
    made = answer(lambda: rewrite(source, BLOCK, now=NOW))
    if made is not None:
        undo(made.body, made.spans, now=NOW)


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("fold", [b"\r\n ", b"\n\t", b"\r\n \n\t", b"\r\r\n "], ids=ascii)
def test_endless_folds_are_answered(fold: bytes, size: int) -> None:
    folds = fold * (size // len(fold) // 3)
    source = calendar(event(text=f"Hi\n{TEXT}\nAnna"), width=100_000)
    for place in (b"DESCRIPTION:", b"DESC", b"." * 70, b"END:VEV"):
        hostile = source.replace(place, place + folds, 1)
        answer(lambda hostile=hostile: read_facts(hostile))  # type: ignore[misc]
        made = answer(lambda hostile=hostile: rewrite(hostile, BLOCK, now=NOW))  # type: ignore[misc]
        if made is not None:
            undo(made.body, made.spans, now=NOW)
