"""Where a block is cut out of HTML, tidy or not, and where it is left to a person (R20, R21)."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.markup import Cut, block_range, is_quoted
from migrations_app.rewriting.shown_html import body_start, shows_nothing, targets, visible_text
from tests.support.samples import escape

JOIN = '<a href="https://meet.contoso.com/anna/OLD1KEY2">Join</a>'
OPEN, CLOSE = "«", "»"
"""They mark where a row starts and ends, and are no part of the document."""
SHORT = {"ROW": OPEN + "_" * 80 + CLOSE, "JOIN": JOIN, "71": "." * 71, "66": "." * 66}
INSIDE_MARKUP = "inside markup"
CUT_IN_TWO = "starts outside the block and ends inside it"
SAME_PARAGRAPH = "same paragraph"
SPREAD = "cells of a table, a list or a link"


def document(short: str) -> tuple[str, list[int]]:
    """A document written out, and the places where its rows start and end."""
    whole = re.sub("ROW|JOIN|71|66", lambda found: SHORT[found[0]], short)
    pieces = re.split(f"[{OPEN}{CLOSE}]", whole)
    ends = [sum(map(len, pieces[:count])) for count in range(1, len(pieces))]
    return "".join(pieces), ends


def cut(short: str, *, escaped: bool = False) -> tuple[bytes, Cut]:
    """A document written out, and where its block is cut out of it. Raises Declined."""
    html, ends = document(short)
    pieces = [html[start:end] for start, end in zip([0, *ends], [*ends, None], strict=True)]
    raw = [(escape(piece) if escaped else piece).encode() for piece in pieces]
    value = b"".join(raw)
    at = [sum(map(len, raw[:count])) for count in range(1, len(raw))]
    made = block_range(value, body_start(value), (at[0], at[1]), (at[2], at[3]))
    assert made.start <= at[0] <= at[3] <= made.end
    return value, made


def remainder(short: str, *, escaped: bool = False) -> str:
    """What is left of a document around its block, which stands as {}. Raises Declined."""
    value, made = cut(short, escaped=escaped)
    return (value[: made.start] + made.before + b"{}" + made.after + value[made.end :]).decode()


@pytest.mark.parametrize("escaped", [False, True], ids=["raw", "escaped"])
@pytest.mark.parametrize(
    ("short", "left"),
    [
        # Tidy.
        ("ROWJOINROW", "{}"),
        ("Hi<br>ROW<br>JOIN<br>ROW<br>Bye", "Hi<br>{}<br>Bye"),
        ("<p>Hi</p><p>ROW</p><p>JOIN</p><p>ROW</p><p>Bye</p>", "<p>Hi</p>{}<p>Bye</p>"),
        (
            "<body style='a;\nb'><div><p>ROW</p>JOIN<div><b>ROW</b>\n</div></div></body>",
            "<body style='a;\nb'><div>{}</div></body>",
        ),
        ("<p>Hi<p>ROW<p>JOIN<p>ROW<p>Bye", "<p>Hi{}<p>Bye"),
        ("<ul><li>Hi<li>Ho</ul><div>ROWJOINROW</div>", "<ul><li>Hi<li>Ho</ul><div>{}</div>"),
        ("<table><tr><td>Hi<td><p>ROW</p>JOIN<p>ROW</p></table>", "<table><tr><td>Hi<td>{}</table>"),
        ("<P>Hi</P><P>ROW</P>JOIN<P>ROW</P>", "<P>Hi</P>{}"),
        # Rows over more than one element.
        ("<p><span>«71</span><span>66»</span></p>JOIN<p><span>«71</span><span>66»</span></p>", "{}"),
        ("<p>Hi</p><p><b>«71</b><br><i>66»</i></p>JOIN<div>«71<br>66»<o:p></o:p></div>Bye", "<p>Hi</p>{}Bye"),
        ("<p>«71<span>66»</span><br>JOIN<br><span>«71</span>66»</p>", "{}"),
        # Never closed before the block.
        ("<font>Hi<p>ROW</p>JOIN<p>ROW</p>Bye", "<font>Hi{}Bye"),
        ("<b>Hi<div>ROW</div>JOIN<div>ROW</div></div>Bye", "<b>Hi{}</div>Bye"),
        ("<p><b><i>Hi</p><p>ROW</p>JOIN<p>ROW</p><p>Bye</p>", "<p><b><i>Hi</p>{}<p>Bye</p>"),
        ("<p><font>Hi</p><p>ROW</p>JOIN<p>ROW</p><table></table>", "<p><font>Hi</p>{}<table></table>"),
        ("<p><span>Hi</p><p>ROW</p>JOIN<p>ROW</p><span>Bye</span>", "<p><span>Hi</p>{}<span>Bye</span>"),
        ("<div><div>Hi<p>ROW</p>JOIN<p>ROW</p></div>Bye", "<div><div>Hi{}</div>Bye"),
        ("<table><tr><td>Hi<div>ROW</div>JOIN<div>ROW</div>", "<table><tr><td>Hi{}"),
        ("<p><font>Hi<div>ROW</div>JOIN<div>ROW</div></font>", "<p><font>Hi{}</font>"),
        ("<a name=top><div><p>Hi</p><p>ROW</p>JOIN<p>ROW</p>", "<a name=top><div><p>Hi</p>{}"),
        ("<b/>Hi<div/><p>ROW</p>JOIN<p>ROW</p>", "<b/>Hi<div/>{}"),
        ("<p>Hi<o:p/></p><svg/><p>ROW</p>JOIN<p>ROW</p>", "<p>Hi<o:p/></p><svg/>{}"),
        # Misnested before the block, or around it.
        ("<b><i>Hi</b></i><p>ROW</p>JOIN<p>ROW</p>", "<b><i>Hi</b></i>{}"),
        ("<b><p>Hi</b></p><p>ROW</p>JOIN<p>ROW</p>", "<b><p>Hi</b></p>{}"),
        ("<p><b>Hi</p></b><p>ROW</p>JOIN<p>ROW</p>", "<p><b>Hi</p></b>{}"),
        ("<p><b>Hi</p><p>ROW</p>JOIN<p>ROW</p><p>Bye</b></p>", "<p><b>Hi</p>{}<p>Bye</b></p>"),
        ("<b><i>Hi<p>ROW</p>JOIN<p>ROW</p></b>Bye</i>", "<b><i>Hi{}</b>Bye</i>"),
        ("<b><div>Hi</b><p>ROW</p>JOIN<p>ROW</p></div>", "<b><div>Hi</b>{}</div>"),
        ("<font><table><tr><td>Hi</font><p>ROW</p>JOIN<p>ROW</p></table>", "<font><table><tr><td>Hi</font>{}</table>"),
        ("<ul><li><b>Hi</ul></b><p>ROW</p>JOIN<p>ROW</p>", "<ul><li><b>Hi</ul></b>{}"),
        ("<h1>Hi</h2><p>ROW</p>JOIN<p>ROW</p>", "<h1>Hi</h2>{}"),
        # End tags of nothing.
        ("</span></div></b>Hi</p><p>ROW</p>JOIN<p>ROW</p></i>", "</span></div></b>Hi</p>{}</i>"),
        ("Hi<p>ROW</p></span>JOIN</div></b></td><p>ROW</p>", "Hi{}"),
        ("Hi</ ><p>ROW</p>JOIN<p>ROW</p>", "Hi</ >{}"),
        # Unclosed or misnested in the block, but closed at its end.
        ("<div>Hi<p>ROW<span></p>JOIN<div><span>ROW</div></div>", "<div>Hi{}</div>"),
        ("<div>Hi</div><div><p>ROW</p>JOIN<p>ROW</div>Bye", "<div>Hi</div><div>{}</div>Bye"),
        ("<b><p>ROW</b></p>JOIN<p>ROW</p>", "{}"),
        ("<b><p>ROW</b>JOIN ROW</p>Bye", "{}Bye"),
        ("<p>ROW</p>JOIN<p><b><i>ROW</b></p></i>Bye", "{}Bye"),
        ("<p>ROW</p><b><i>JOIN</b></i><p>ROW</p>Bye", "{}Bye"),
        # Never closed, and nothing follows.
        ("<div>Hi<div>ROW</div>JOIN<div>ROW", "<div>Hi{}"),
        ("<body><div>Hi<font><p>ROW<b>JOIN ROW\n</body></html>", "<body><div>Hi<font>{}<p></body></html>"),
        # Wrappers of mail clients.
        ('<p>Hi</p><div class="x_me-email-text">ROWJOINROW\n</div>Bye', "<p>Hi</p>{}Bye"),
        ("<font>Hi<div class=me-email-text><p>ROWJOIN<p>ROW</div>Bye", "<font>Hi<div class=me-email-text>{}</div>Bye"),
        ("<font>Hi<div class=me-email-text><p>ROW</p>JOIN<p>ROW</p></div>Bye", "<font>Hi{}Bye"),
        (
            "<div class=me-email-text>Hi<p>ROW</p>JOIN<p>ROW</p></div>",
            "<div class=me-email-text>Hi{}</div>",
        ),
        ("<body><div class=me-email-text>ROWJOINROW</body>", "<body>{}</body>"),
        # Tags that hold more than names and values.
        ('<p style="font-family:"Segoe UI"">ROW</p>JOIN<p width=10">ROW</p>', "{}"),
        ("<p title='a>b'>Hi</p><!--><p>--><p>ROW</p>JOIN<p>ROW</p>", "<p title='a>b'>Hi</p><!--><p>-->{}"),
        ("<![if !mso]><b>Hi<![endif]><p>ROW</p>JOIN<p>ROW</p>", "<![if !mso]><b>Hi<![endif]>{}"),
        ("<style><p></style><!-- <div> -->Hi<p>ROW</p>JOIN<p>ROW</p>", "<style><p></style><!-- <div> -->Hi{}"),
    ],
)
def test_r21_what_is_left_around_the_block(short: str, left: str, escaped: bool) -> None:
    assert remainder(short, escaped=escaped) == (escape(left) if escaped else left)


@pytest.mark.parametrize(
    ("short", "detail"),
    [
        # Formatting or layout that starts on one side and ends on the other.
        ("<b>Hi<p>ROW</b></p>JOIN<p>ROW</p>", CUT_IN_TWO),
        ("<b>Hi<div><p>ROW</p>JOIN<p>ROW</b></p></div>", CUT_IN_TWO),
        ("<p><b>Hi</p><p>ROW</b></p>JOIN<p>ROW</p>", CUT_IN_TWO),
        ("<p><b><i>Hi</p><p>ROW</p></i>JOIN<p>ROW</p>Bye", CUT_IN_TWO),
        ("<p>ROW<b></p>JOIN<p>ROW</p>Bye", CUT_IN_TWO),
        ("<div><p>ROW<font></p>JOIN<p>ROW</p></div>Bye", CUT_IN_TWO),
        ("<div>ROW</div>JOIN<div>ROW<p>Bye", CUT_IN_TWO),
        ("<span>Hi<div>ROW</span>JOINROW</div>", CUT_IN_TWO),
        ("<font>Hi<table><tr><td><div>ROW</font></div>JOIN<p>ROW</table>", CUT_IN_TWO),
        ("<h1>Hi<h2>ROW</h2>JOIN<p>ROW</p>Bye", CUT_IN_TWO),
        ("<body>Hi<p>ROW</p></body><body>JOIN<p>ROW</p>", CUT_IN_TWO),
        ("<p><font>Hi</p>ROW<br>JOIN<br>ROW<table></table>", "never closed"),
        # Content from outside in what would have to go.
        ("<p>Hi ROW</p>JOIN<p>ROW</p>", SAME_PARAGRAPH),
        ("<p>ROW</p>JOIN<p>ROW Bye</p>", SAME_PARAGRAPH),
        ("<b>Hi<p>ROW</p>JOIN</b><p>ROW</p>", SAME_PARAGRAPH),
        ("<p>ROW</p>JOIN<font><p>ROW</p>Bye</font>", SAME_PARAGRAPH),
        ("<p>ROW</p>JOIN<p>ROW<img src=cid:1></p>", SAME_PARAGRAPH),
        ("<p>ROW</p>JOIN<p>ROW<!--[if vml]><v:shape></v:shape><![endif]--></p>", SAME_PARAGRAPH),
        # Places where a block cannot stand.
        ("<table><tr><td>ROW</td></tr><tr><td>JOIN</td></tr><tr><td>ROW</td></tr></table>", SPREAD),
        ("<table><tr><td>ROW<td>JOIN<td>ROW</table>", SPREAD),
        ("<ul><li>ROW<li>JOIN<li>ROW</ul>", SPREAD),
        ("<a href=x>ROWJOINROW</a>", SPREAD),
        ("<a name=top>Hi<p>ROW</p>JOIN<p>ROW</p>", SPREAD),
        ("<a href=x><div>ROW<br>ROW</div></a>", SPREAD),
        ("<svg>ROWJOINROW</svg>", SPREAD),
        # Rows that are no text.
        ("<p title='ROW'>JOIN</p><p>ROW</p>", INSIDE_MARKUP),
        ("<p ROW>JOIN</p><p>ROW</p>", INSIDE_MARKUP),
        ("<p>ROW</p>JOIN<p title=ROW>", INSIDE_MARKUP),
        ("<!-- ROW -->JOIN<p>ROW</p>", INSIDE_MARKUP),
        ("<!-- ROWJOINROW", INSIDE_MARKUP),
        ("<style>ROW</style>JOIN<p>ROW</p>", INSIDE_MARKUP),
        ("<style>ROWJOINROW", INSIDE_MARKUP),
        ("<textarea>ROWJOINROW</textarea>", INSIDE_MARKUP),
        ("<a title='Hi <p>ROW</p>JOIN<p>ROW</p>", INSIDE_MARKUP),
        ("<a title='Hi <p class='x'>ROW</p>JOIN<p>ROW</p>", INSIDE_MARKUP),
        ("<a <b>Hi</b><p>ROW</p>JOIN<p>ROW</p>", INSIDE_MARKUP),
        ("<div><p>ROW</p>JOIN<p>ROW</p", INSIDE_MARKUP),
    ],
)
def test_r20_what_cannot_be_cut_out_by_itself_is_left_to_a_person(short: str, detail: str) -> None:
    with pytest.raises(Declined) as caught:
        remainder(short)
    assert detail in caught.value.detail
    assert caught.value.reason == "needs-review"


MANY = 300_000
BLOCK = "<div>ROW</div>JOIN<div>ROW</div>"


def many(piece: str, share: float = 1.0) -> str:
    return piece * int(MANY * share / len(piece))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (many("<b>"), ""),
        (many("</b>"), ""),
        (many("<B>"), ""),
        (many("<p><b>"), ""),
        (many("<b>", 0.5), many("</b>", 0.5)),
        (many("<b><i></b></i>"), ""),
        (many("<div>", 0.3) + many("<b>", 0.3) + many("</div>", 0.3), many("</b>", 0.3)),
        (many("<b><div>", 0.5) + many("</b>", 0.5), many("</div>", 0.5)),
        (many("<span><div>", 0.5) + many("</span>", 0.5), ""),
        ("<span><div>" + many("<i>", 0.5) + many("</span>", 0.5), ""),
        (many("<u><s><b><i>", 0.5) + "<div>" + many("</b></i></u></s>", 0.5), ""),
        (many("<table><tr><td>"), ""),
        (many("<b><table><tr><td>", 0.5) + many("</b>", 0.5), ""),
        ("<table><tr><td>" + many("<p><b>", 0.5) + "</table>" + many("</b>", 0.5), ""),
        (many("<li><div>"), ""),
        (many("<h1><h2>"), ""),
        (many("<o:p/>"), ""),
        (many("<style></style>"), ""),
        (many("<!---->"), ""),
        (many("<"), ""),
        (many("< "), ""),
        ("<p " + many("a=b ") + ">", ""),
        ("<p " + many('a=b" ') + ">", ""),
        (many('<i b="x"">'), ""),
        (many("<blockquote class=gmail_quote>"), ""),
        ("<div>", many("<p><b>")),
        ("<p>Hi", many("<p>") + "Bye" + many("</p>")),
        ("<div>", many("</p></b></i>")),
    ],
    ids=lambda value: value[:40],
)
def test_r21_hostile_repetitions_are_answered(before: str, after: str) -> None:
    assert remainder(before + BLOCK + after) == before + "{}" + after


@pytest.mark.parametrize(
    ("short", "detail"),
    [
        (many('<a ="') + BLOCK, INSIDE_MARKUP),
        (many("<a ='\">") + BLOCK, INSIDE_MARKUP),
        (many('<p a=b" ') + BLOCK, INSIDE_MARKUP),
        (many("<a =     ") + BLOCK, INSIDE_MARKUP),
        (many("<!--") + BLOCK, INSIDE_MARKUP),
        (many("<style>") + BLOCK, INSIDE_MARKUP),
        (many("<svg><path/>") + "ROWJOINROW", SPREAD),
        (many("<p><b>") + "<p>ROW</b></p>JOIN<p>ROW</p>", CUT_IN_TWO),
        ("<p>ROW" + many("<b>", 0.5) + "</p>JOIN<p>ROW</p>" + many("</b>", 0.4) + "Bye", CUT_IN_TWO),
        ("<div>ROW</div>JOIN<div>ROW" + many("<div>", 0.4) + "Bye" + many("</div>", 0.5), SAME_PARAGRAPH),
    ],
    ids=lambda value: value[:40],
)
def test_r20_hostile_repetitions_are_refused(short: str, detail: str) -> None:
    with pytest.raises(Declined) as caught:
        remainder(short)
    assert detail in caught.value.detail


@pytest.mark.parametrize(
    ("before", "after", "quoted"),
    [
        ("<p>Hi</p>", "", False),
        ("<blockquote><p>", "</p></blockquote>", True),
        ("<BLOCKQUOTE type=cite>", "</BLOCKQUOTE>", True),
        ("<blockquote>Hi</blockquote>", "", False),
        ("<b><blockquote></b><p>Hi</span>", "", True),
        ("<blockquote><table><tr><td></blockquote>", "</table>", True),
        ("<p>&lt;blockquote></p><!-- <blockquote> -->", "</blockquote>", False),
        ('<div class="gmail_quote">', "</div>", True),
        ("<div class='x_gmail_quote gmail_quote_container'>", "</div>", True),
        ('<div id=x class="a gmail_quote">', "</div>", True),
        ("<div class=gmail_quote>", "</div>", True),
        (r"<div class=\"gmail_quote\">", "</div>", True),
        ("<div class=gmail_quote>Hi</div><div>", "</div>", False),
        ("<div class=gmail_quotes><p title=gmail_quote>gmail_quote", "</div>", False),
        ("", "<blockquote>", False),
        ("<!-- <blockquote>", "-->", False),
    ],
)
def test_r20_a_place_in_a_quotation_is_told(before: str, after: str, quoted: bool) -> None:
    head = "<html><head><style>blockquote {}</style></head><body><blockquote></blockquote>"
    for start in ("", head):
        value = (start + before + "x" + after).encode()
        assert is_quoted(value, body_start(value), len(start + before)) is quoted


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hi,&nbsp;<b>all</b></p>", "Hi, all"),
        ('<p style="font-family:"Segoe UI"">Hi</p>', "Hi"),
        ("<!-- Hi --><p title='a>b'>\u200b</p>", ""),
        ("1 < 2 <3", "1 < 2 <3"),
    ],
)
def test_visible_text_is_what_a_reader_sees(html: str, text: str) -> None:
    assert visible_text(escape(html).encode()) == text
    assert shows_nothing(escape(html).encode()) is (text == "")


def test_targets_are_the_links_in_their_order() -> None:
    html = "<a href=\"https://contoso.com/?a=1&amp;b=2\">x</a><a title=y href='z;'>z</a>"
    assert targets(escape(html).encode()) == ["https://contoso.com/?a=1&b=2", "z;"]


VOID = {"br", "hr", "img"}
FORMATTING = {"a", "b", "font", "i"}
BLOCKS = {"blockquote", "center", "div", "hr", "li", "p", "table", "ul"}
SPECIAL = BLOCKS | VOID | {"td", "tr"}
CELL = "<table><tr><td>"
CELL_END = "</td></tr></table>"


class Reader(HTMLParser):
    """The elements around each word, by the simplest reading of browsers' rules: a list that is searched and cut."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, int]] = []
        self.around: dict[str, list[str]] = {}
        self.count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS:
            self.close("p", {"table", "td"})
        if tag == "li":
            self.close("li", SPECIAL - {"div", "p", "li"})
        if tag not in VOID:
            self.count += 1
            self.open.append((tag, self.count))

    def handle_endtag(self, tag: str) -> None:
        if tag in FORMATTING:
            self.end_formatting(tag)
        elif tag in ("table", "tr", "td"):
            self.close(tag, {"table"} - {tag})
        elif tag in SPECIAL:
            self.close(tag, {"table", "td"} | ({"ul"} if tag == "li" else set()))
        else:
            self.close(tag, SPECIAL)

    def close(self, tag: str, bounds: set[str]) -> None:
        """Close the last element of that name, and in it what is not formatting, unless a bound comes before it."""
        at = self.last(tag, bounds)
        if at is not None:
            self.open[at:] = [each for each in self.open[at + 1 :] if each[0] in FORMATTING and tag != "td"]

    def end_formatting(self, tag: str) -> None:
        at = self.last(tag, {"td"})
        if at is not None:
            inner = self.open[at + 1 :]
            has_block = any(name in SPECIAL for name, _ in inner)
            self.open[at:] = [each for each in inner if has_block or each[0] in FORMATTING]

    def last(self, tag: str, bounds: set[str]) -> int | None:
        for at in reversed(range(len(self.open))):
            if self.open[at][0] == tag:
                return at
            if self.open[at][0] in bounds:
                return None
        return None

    def handle_data(self, data: str) -> None:
        for word in re.findall(r"word\d+", data):
            self.around[word] = [name for name, _ in self.open]


def read(*pieces: str) -> tuple[dict[str, list[str]], list[set[tuple[str, int]]]]:
    """The elements around each word, and the elements that are open after each piece."""
    reader = Reader()
    states = []
    for piece in pieces:
        reader.feed(piece)
        states.append(set(reader.open))
    return reader.around, states


NAMES = st.sampled_from(["a", "b", "font", "i", "span", "o:p", "p", "p", "div", "div", "center", "blockquote"])
LEAVES = st.sampled_from([["word"], ["word"], ["<br>"], ["<hr>"], []])


def joined(lists: list[list[str]]) -> list[str]:
    return [each for one in lists for each in one]


def element(content: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    several = st.lists(content, max_size=3).map(joined)
    items = st.lists(content, min_size=1, max_size=3).map(
        lambda them: ["<ul>", *joined([["<li>", *one, "</li>"] for one in them]), "</ul>"]
    )
    return st.one_of(
        st.builds(lambda name, inner: [f"<{name}>", *inner, f"</{name}>"], NAMES, several),
        several.map(lambda inner: [CELL, *inner, CELL_END]),
        items,
    )


TREES = st.recursive(LEAVES, element, max_leaves=6)
ROWS = st.one_of(
    st.just(["ROW"]),
    NAMES.map(lambda name: [f"<{name}>", "ROW", f"</{name}>"]),
    NAMES.map(lambda name: [f"<p><{name}>", "ROW", f"</{name}></p>"]),
)
INNER = st.lists(st.sampled_from(["JOIN", "<p>", "</p>", "<b>", "</b>", "<div>x</div>", "</span>"]), max_size=4)


@st.composite
def broken_documents(draw: st.DrawFn) -> str:
    """A tree of elements with a block in it, some of whose tags are lost, doubled or in the wrong place."""
    block = [*draw(ROWS), "JOIN", *draw(INNER), *draw(ROWS)]
    if draw(st.booleans()):
        name = draw(NAMES)
        block = [f"<{name}>", *block, f"</{name}>"]
    tokens = [*joined(draw(st.lists(TREES, max_size=3))), *block, *joined(draw(st.lists(TREES, max_size=3)))]
    tokens = ["<div>", *tokens, "</div>"]
    for _ in range(draw(st.integers(0, 4))):
        tags = [at for at, token in enumerate(tokens) if token not in ("ROW", "word")]
        if not tags:
            break
        token = tokens.pop(draw(st.sampled_from(tags)))
        for _ in range(draw(st.integers(0, 2))):
            tokens.insert(draw(st.integers(0, len(tokens))), token)
    return "".join(f"word{at} " if token == "word" else token for at, token in enumerate(tokens))


@given(broken_documents())
def test_r21_no_word_outside_the_block_changes_its_elements(short: str) -> None:
    try:
        value, made = cut(short)
    except Declined:
        return
    before, block, after = (
        value[start:end].decode() for start, end in ((0, made.start), (made.start, made.end), (made.end, None))
    )
    around, (at_start, at_end, _) = read(before, block, after)
    # A new block is a <div>, so it ends a paragraph; where it stands in one that goes on after it, nothing else does.
    ended = {name for name, _ in at_start - at_end} & {"p"}
    new = "<div></div>" if ended or made.before or made.after else ""
    left, _ = read(before + made.before.decode(), new, made.after.decode() + after)
    assert left == {word: names for word, names in around.items() if word not in block.split()}
