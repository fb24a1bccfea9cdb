"""R117, R118: text, files, parts and times of messages at the target."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.chat.archive.records import ChatFile, Message, MessageKind
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import Limits
from migrations_app.chat.conversion.splitting import is_boundary
from tests.support.chat_conversion import BEGIN, PEOPLE, converted, message, outgoing, person

FILES = {
    "f1": ChatFile("f1", "r1", "plan.pdf", bytes=10, sha256="ab" * 32),
    "f2": ChatFile("f2", "r1", "lost.txt", is_missing=True),
    "f3": ChatFile("f3", "r1", "more.txt", bytes=5, sha256="cd" * 32),
}


@pytest.mark.parametrize(
    ("text", "plain", "html"),
    [
        ("just text", "just text", None),
        ("a < b && c > d", "a < b && c > d", None),
        ("<b>no markup</b>", "<b>no markup</b>", None),
        ('<script>alert("x")</script>', '<script>alert("x")</script>', None),
        (
            '<a href="https://example.org/x?a=1&amp;b=2">here</a>!',
            "here (https://example.org/x?a=1&b=2)!",
            '<a href="https://example.org/x?a=1&amp;b=2">here</a> (https://example.org/x?a=1&amp;b=2)!',
        ),
        (
            "<A HREF='mailto:ann@contoso.com' class=x>mailto:ann@contoso.com</A>",
            "mailto:ann@contoso.com",
            '<a href="mailto:ann@contoso.com">mailto:ann@contoso.com</a>',
        ),
        ('<a href="javascript:alert(1)">click</a>', "click (javascript:alert(1))", None),
        ('<a href=" jAvAsCrIpT:alert(1)">click</a>', "click (jAvAsCrIpT:alert(1))", None),
        ('<a href="data:text/html,x">x</a>', "x (data:text/html,x)", None),
        ('<a href="https://a.example/&quot;onclick=&quot;x">x</a>', 'x (https://a.example/"onclick="x)', None),
        ('<a href="https://a.example"><b onclick=x>bold</b></a>', "bold (https://a.example)", ...),
        ("<a name=x>no link</a>", "no link", None),
        ('<a href="https://open.example">never closed', '<a href="https://open.example">never closed', ...),
        (
            "see https://example.org/a_(b). Then",
            "see https://example.org/a_(b). Then",
            'see <a href="https://example.org/a_(b)">https://example.org/a_(b)</a>. Then',
        ),
        ("(http://example.org)", "(http://example.org)", '(<a href="http://example.org">http://example.org</a>)'),
        ("one\r\ntwo\rthree", "one\ntwo\nthree", None),
        ("\u05e9\u05dc\u05d5\u05dd 厨房 \U0001f373", "\u05e9\u05dc\u05d5\u05dd 厨房 \U0001f373", None),
        ("(y) :-) \t tab", "(y) :-) \t tab", None),
    ],
)
def test_r117_links_become_links_and_nothing_else_is_markup(text: str, plain: str, html: object) -> None:
    (made,) = converted(message(1, text))
    assert made.text == plain
    if html is not ...:
        assert made.html == html
    assert "<script" not in (made.html or "")
    assert "onclick=x" not in (made.html or "")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>a \"'=/hrefscriptonclick:&;{}\\\n", max_size=200))
def test_r117_html_holds_no_tags_but_ours_whatever_is_written(text: str) -> None:
    (made,) = converted(message(1, f'<a href="https://example.org">x</a>{text}'))
    assert made.html is not None
    rest = made.html
    for ours in ("<br>", "</a>"):
        rest = rest.replace(ours, "")
    tags = rest.split("<")[1:]
    assert all(tag.startswith('a href="') and ">" in tag for tag in tags)


RTF = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil Segoe UI;}}{\colortbl ;\red0\green0\blue0;}"
    r"\viewkind4\uc1\pard\cf1\f0\fs20 %s\par}"
)


@pytest.mark.parametrize(
    ("text", "rtf", "html"),
    [
        ("be bold now", RTF % r"be \b bold\b0  now", "be <strong>bold</strong> now"),
        ("all of it", RTF % r"\b\i\ul all of it\ulnone\i0\b0", "<strong><em><u>all of it</u></em></strong>"),
        ("café €", RTF % r"caf\'e9 {\i \u8364?}", "café <em>€</em>"),
        ("two\nlines", RTF % r"{\b two}\par lines", "<strong>two</strong><br>lines"),
        ("\U0001f600!", RTF % r"\u-10179?\u-8704?{\b !}", "\U0001f600<strong>!</strong>"),
        (
            "a link",
            RTF % r'a {\field{\*\fldinst{HYPERLINK "https://example.org/"}}{\fldrslt{\ul link}}}',
            'a <a href="https://example.org/"><u>link</u></a>',
        ),
        ("a link", RTF % r'a {\field{\*\fldinst{HYPERLINK "javascript:x"}}{\fldrslt{\ul link}}}', "a <u>link</u>"),
        ("no style", RTF % "no style", None),
    ],
)
def test_r117_rtf_formats_what_says_the_same(text: str, rtf: str, html: str | None) -> None:
    (made,) = converted(message(1, text, rtf=rtf))
    assert (made.text, made.html) == (text, html)


@pytest.mark.parametrize(
    "rtf",
    [
        RTF % r"\b says something else",
        RTF % r"\b the plain {\v hidden}text",
        RTF % r"\b the plain text{\pict 0102}",
        RTF % r"\b the plain text\bin4 abcd",
        "{\\rtf1\\b the plain text",
        "{\\rtf1" + "{" * 200 + "\\b the plain text" + "}" * 201,
        r"{\rtf1\b the plain text}} more",
        r"{\rtf1\b the plain text\u99999?}",
        r"{\rtf1\ansicpg9999\b the plain text}",
        "not rtf at all",
    ],
)
def test_r117_other_rtf_leaves_the_plain_text_and_is_counted(rtf: str) -> None:
    converter = Converter(outgoing(), PEOPLE, Limits())
    (made,) = converter.convert(message(1, "the plain text", rtf=rtf))
    assert (made.text, made.html) == ("the plain text", None)
    assert converter.counts.formatting_lost == 1


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="{}\\'bpar*u-019 xé\n", max_size=200))
def test_r117_no_rtf_makes_it_fail(rtf: str) -> None:
    (made,) = converted(message(1, "text", rtf="{\\rtf1" + rtf))
    assert made.text == "text"


@pytest.mark.parametrize(
    ("text", "plain", "html"),
    [
        ("[STORY]Title\nbody of it", "Title\n\nbody of it", "<strong>Title</strong><br><br>body of it"),
        ("[STORY]Only a title", "Only a title", "<strong>Only a title</strong>"),
        ("[STORY][TITLE]A title[/TITLE]\nbody[/STORY]", "A title\n\nbody", "<strong>A title</strong><br><br>body"),
        ("no mark\nbody", "no mark\n\nbody", "<strong>no mark</strong><br><br>body"),
    ],
)
def test_r117_a_story_has_title_and_body(text: str, plain: str, html: str) -> None:
    (made,) = converted(message(1, text, kind=MessageKind.STORY))
    assert (made.text, made.html) == (plain, html)


def test_r117_an_alert_is_marked() -> None:
    (made,) = converted(message(1, "down at five", kind=MessageKind.ALERT))
    assert (made.text, made.html) == ("[Alert] down at five", "<strong>[Alert]</strong> down at five")
    (made,) = converted(message(1, "down", kind=MessageKind.ALERT), limits=Limits(formats=False), language="it")
    assert (made.text, made.html) == ("[Avviso] down", None)


@pytest.mark.parametrize(
    ("text", "file", "plain", "has_file"),
    [
        ("ma-filelink:abc/plan.pdf", "f1", "plan.pdf", True),
        ('<a href="ma-filelink:abc">the plan</a>', "f1", "plan.pdf", True),
        ("see ma-filelink:abc/plan.pdf please", "f1", "see plan.pdf please", True),
        (" ", "f1", "plan.pdf", True),
        ("words", "f1", "words\nplan.pdf", True),
        ("ma-filelink:abc/lost.txt", "f2", "[File “lost.txt” was not found]", False),
        ("ma-filelink:abc/my%20old.doc", "f9", "[File “my old.doc” was not found]", False),
        ("ma-filelink:abc/other.doc", "", "[File “other.doc” was not found]", False),
    ],
)
def test_r117_a_file_link_points_to_the_file_or_says_that_it_was_not_found(
    text: str, file: str, plain: str, has_file: bool
) -> None:
    converter = Converter(outgoing(), PEOPLE, Limits(), files=FILES)
    (made,) = converter.convert(message(1, text, file=file, kind=MessageKind.FILE))
    assert made.text == plain
    assert made.file == (FILES["f1"] if has_file else None)
    assert (converter.counts.files, converter.counts.files_missing) == ((1, 0) if has_file else (0, 1))


def test_r117_several_files_of_a_message_become_parts() -> None:
    first, second = converted(message(1, "two files", file="f1", more={"files": ["f1", "f3"]}), files=FILES)
    assert (first.file, second.file) == (FILES["f1"], FILES["f3"])
    assert (first.key, second.key) == ("r1/1/1", "r1/1/2")
    assert second.text == "(2/2) more.txt"


def test_r117_forbidden_characters_are_replaced_visibly_and_counted() -> None:
    converter = Converter(outgoing(), PEOPLE, Limits(forbidden="[\x00-\x08]"))
    (made,) = converter.convert(message(1, "a\x00b\x07c"))
    assert (made.text, converter.counts.replaced, converter.counts.with_replaced) == ("a\ufffdb\ufffdc", 2, 1)
    (kept,) = converted(message(1, "a\x07c"))
    assert kept.text == "a\x07c"
    (half,) = converted(message(1, "a\ud800c"))
    assert half.text == "a\ufffdc"


def test_r117_an_empty_message_says_so() -> None:
    converter = Converter(outgoing(), PEOPLE, Limits())
    (made,) = converter.convert(Message(1, BEGIN, "ann"))
    assert (made.text, converter.counts.empty) == ("(empty message)", 1)


def test_r117_a_long_message_is_split_at_a_line_end() -> None:
    made = converted(message(1, "first line\nsecond line\nthird line"), limits=Limits(message_characters=30))
    assert [each.text for each in made] == ["(1/2) first line\nsecond line", "(2/2) third line"]
    assert [(each.key, each.part, each.parts) for each in made] == [("r1/1/1", 1, 2), ("r1/1/2", 2, 2)]


FAMILY, FLAG, THUMB = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd"
CHARACTERS = ["a", "b", " ", "\n", "é", "e\u0301", "厨", "\U0001f373", FAMILY, FLAG, THUMB]
TEXT = st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=300).map("".join)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.one_of(st.none(), st.integers(80, 200)), st.one_of(st.none(), st.integers(60, 200)))
def test_r117_parts_are_short_enough_lose_nothing_and_break_no_character(
    text: str, octets: int | None, characters: int | None
) -> None:
    text = text.strip() or "a"
    made = converted(message(1, text), limits=Limits(message_bytes=octets, message_characters=characters))
    bare = []
    for each in made:
        assert octets is None or len(each.text.encode()) <= octets
        assert characters is None or len(each.text) <= characters
        bare.append(each.text if each.parts == 1 else each.text.split(" ", 1)[1])
    # What stands between two parts is one space, or ends of lines.
    at = 0
    for number, part in enumerate(bare):
        start = text.index(part, at)
        assert set(text[at:start]) <= {" ", "\n"}
        assert number == 0 or is_boundary(text, start)
        at = start + len(part)
    assert set(text[at:]) <= {" ", "\n"}


def test_r117_html_is_split_with_its_text_and_fits_in_json() -> None:
    limits = Limits(message_json_bytes=400)
    text = '<a href="https://example.org/">link</a> ' + 'quote "this" & that\n' * 60
    made = converted(message(1, text), limits=limits)
    assert len(made) > 3
    for each in made:
        told = [json.dumps(form, ensure_ascii=False).encode() for form in (each.text, each.html) if form is not None]
        assert sum(map(len, told)) <= 400
    assert 'href="https://example.org/"' in (made[0].html or "")


def test_r118_author_and_time_begin_the_message_where_they_are_not_kept() -> None:
    for limits, line in (
        (Limits(keeps_author=False, keeps_time=False), "Ann, 2014-03-02 10:00:01 UTC:\nhello"),
        (Limits(keeps_author=False), "Ann:\nhello"),
        (Limits(keeps_time=False), "2014-03-02 10:00:01 UTC:\nhello"),
        (Limits(), "hello"),
    ):
        converter = Converter(outgoing(), PEOPLE, limits)
        (made,) = converter.convert(message(1, "hello"))
        assert made.text == line
        assert converter.counts.author_in_text == (not limits.keeps_author)
        assert converter.counts.time_in_text == (not limits.keeps_time)


def test_r118_each_part_of_a_split_message_says_by_whom_and_when() -> None:
    made = converted(
        message(1, "word " * 40), limits=Limits(keeps_author=False, keeps_time=False, message_characters=90)
    )
    assert len(made) > 2
    assert all(each.text.startswith("Ann, 2014-03-02 10:00:01 UTC:\n(") for each in made)


def test_r118_people_without_an_account_are_named_where_only_accounts_can_be_authors() -> None:
    people = {**PEOPLE, "gone": person("gone", account=None)}
    converter = Converter(outgoing(), people, Limits(authors_need_accounts=True))
    (by_ann,) = converter.convert(message(1, "hello"))
    (by_gone,) = converter.convert(message(2, "hello", author="gone"))
    assert (by_ann.text, by_gone.text) == ("hello", "Gone, 2014-03-02 10:00:02 UTC:\nhello")
    assert converter.counts.author_in_text == 1


def test_r116_an_author_who_is_not_known_is_named_by_the_number() -> None:
    (made,) = converted(message(1, "hello", author="4711"))
    assert made.author.shown == "Unknown person 4711"


UNIQUE = Limits(times_are_unique=True)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1, 2, 3], [0, 0, 0]),
        ([1, 1, 1], [0, 1, 2]),
        ([1, 1.0004, 1.001], [0, 1, 1]),
        ([1, 1, 1.001, 1.002, 5], [0, 1, 1, 1, 0]),
        ([2, 1.5, 1.999], [0, 501, 3]),
    ],
)
def test_r118_a_later_message_moves_by_a_millisecond_where_times_are_unique(
    seconds: list[float], expected: list[int]
) -> None:
    messages = [message(n, seconds=at) for n, at in enumerate(seconds, 1)]
    made = converted(*messages, limits=UNIQUE)
    assert len({each.at for each in made}) == len(made)
    whole = [each.at.replace(microsecond=each.at.microsecond // 1000 * 1000) for each in messages]
    assert [
        round((there.at - ours) / timedelta(milliseconds=1)) for there, ours in zip(made, whole, strict=True)
    ] == expected
    assert converted(*messages)[-1].at == whole[-1]


def test_r118_no_message_moves_by_more_than_a_second() -> None:
    converter = Converter(outgoing(), PEOPLE, UNIQUE)
    for n in range(1, 1_003):
        converter.convert(message(n, seconds=1))
    assert converter.counts.not_kept == 1


def test_r118_after_a_break_it_goes_on_with_the_same_times() -> None:
    messages = [message(n, seconds=1 + n // 4) for n in range(1, 20)]
    whole = converted(*messages, limits=UNIQUE)
    first = Converter(outgoing(), PEOPLE, UNIQUE)
    made = [each for one in messages[:7] for each in first.convert(one)]
    second = Converter(outgoing(), PEOPLE, UNIQUE, last_at=first.last_at)
    assert made + [each for one in messages[7:] for each in second.convert(one)] == whole


@pytest.mark.parametrize(
    "hostile",
    [
        "<a " * 100_000,
        "<a href=x>" * 40_000,
        '<a href="x" ' * 40_000 + ">",
        "<a x>" + "href=" * 60_000,
        "https://" * 40_000,
        "ma-filelink:)" * 30_000,
        "http://a" + ")" * 300_000,
        "[STORY]" * 40_000,
        "e" + "\u0301" * 100_000,
        "[/STORY] " * 40_000,
    ],
)
def test_r117_hostile_text_takes_no_longer_than_other_text(hostile: str) -> None:
    """Ends at all: each of these was, or would be, minutes of work for a pattern that looks back."""
    made = converted(message(1, hostile, kind=MessageKind.STORY), limits=Limits(message_bytes=20_000))
    assert sum(len(each.text) for each in made) > 50_000


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_r118_no_time_makes_it_fail(at: datetime) -> None:
    for limits in (UNIQUE, Limits(keeps_time=False)):
        converter = Converter(outgoing(), PEOPLE, limits)
        made = [each for n in range(1, 4) for each in converter.convert(Message(n, at, "ann", text="x"))]
        assert len(made) == 3
        assert all(each.shifted >= timedelta(0) for each in made)
