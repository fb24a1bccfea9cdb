"""Where a meeting block stands in a description, and what proves that it is one.

A block is what stands between two rows of the same kind, provided that what is inside carries that kind's own
signature. Offsets are octets of the unfolded, still escaped value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from migrations_app.rewriting import links, markup
from migrations_app.rewriting.content_lines import unescaped
from migrations_app.rewriting.errors import Declined

ROW = "=" * 72
"""The row before and after a block of our own."""


class Kind(StrEnum):
    """Whose meeting block it is."""

    SKYPE = "Skype for Business"
    TEAMS = "Microsoft Teams"
    OWN = "own"


class Row(NamedTuple):
    """One row of a frame; `length` counts its dots, underscores or equals signs."""

    start: int
    end: int
    length: int


@dataclass(frozen=True, slots=True)
class Found:
    """A meeting block: `start` and `end` of what is to be replaced, rows included; `links` are those inside."""

    kind: Kind
    start: int
    end: int
    links: Sequence[str]
    join_url: str
    shared_notes_url: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What there is to see in a description.

    `rows` are its rows by kind. `join_links` are the links and marks of a meeting add-in, framed or not. `found` is
    the one intact block; where there is no such block, but something of one, `problem` says in one sentence what is
    odd about it.
    """

    rows: Mapping[Kind, Sequence[Row]]
    join_links: Sequence[str]
    found: Found | None
    problem: str


class _Framed(NamedTuple):
    kind: Kind
    opening: Row
    closing: Row
    inside: str
    links: list[str]
    join_urls: list[str]


_CHARACTER = {Kind.SKYPE: b".", Kind.TEAMS: b"_", Kind.OWN: b"="}
_USUAL = {Kind.SKYPE: 137, Kind.TEAMS: 80, Kind.OWN: len(ROW)}
_SHORTEST = {Kind.SKYPE: 60, Kind.TEAMS: 70, Kind.OWN: len(ROW)}
_SHORTEST_PIECE = 10
_FIRST_PIECE = {
    kind: character * (len(ROW) if kind is Kind.OWN else _SHORTEST_PIECE) for kind, character in _CHARACTER.items()
}
_RUN = {kind: re.compile(re.escape(character) + b"++") for kind, character in _CHARACTER.items()}
# Outlook breaks its row of 137 dots over two lines; other programs break it elsewhere, Word puts it into two spans.
_LONGEST_DOT_ROW = 140
_BLANK = rb"[ \t]|\xc2\xa0|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf"
_HTML_BLANK = _BLANK + rb"|&(?:nbsp|lrm|rlm|zwnj|zwj|#8203|#8206|#8207)\\?;"
_GAP = rb"\\[nN]|" + _BLANK
_HTML_GAP = rb"\\[nN]|[\r\n]|" + _HTML_BLANK + rb"|</?(?:span|font|b|i|u|em|strong|small|sub|sup|o:p|br)\b[^<>]*+>"
_NEXT_PIECE = {
    (kind, is_html): re.compile(
        rb"(?:" + gap + rb")++(" + re.escape(character) + rb"++)(?=\\[nN]|[<&]|" + _BLANK + rb"|$)", re.IGNORECASE
    )
    for kind, character in _CHARACTER.items()
    for is_html, gap in ((False, _GAP), (True, _HTML_GAP))
}
# What may stand on the line of a row: nothing that one sees. The n of an escaped backslash and n is no line break.
_TEXT_BEFORE = re.compile(rb"(?:^|(?<!\\)(?:\\\\)*\\[nN])(?:" + _BLANK + rb")*+$")
_TEXT_AFTER = re.compile(rb"(?:" + _BLANK + rb")*+(?:\\[nN]|$)")
_HTML_BEFORE = re.compile(rb"(?:^|\\[nN]|>)(?:" + _HTML_BLANK + rb")*+$", re.IGNORECASE)
_HTML_AFTER = re.compile(rb"(?:" + _HTML_BLANK + rb")*+(?:\\[nN]|<|$)", re.IGNORECASE)

_HINTS = (b"teams.", b"?sl=1", b"[!oc([", b"outjoinlink", b"meetup-join")
_KEY_IN_URL = re.compile(rb"/[A-Z0-9]{8}(?![A-Za-z0-9/])")
_KEY_IN_WRAPPED_URL = re.compile(rb"%2[Ff][A-Z0-9]{8}(?![A-Za-z0-9/])")
_BOOKMARK = "OutJoinLink"
_PARAGRAPH_END = re.compile(r"</(?:p|div|td|li)\b", re.IGNORECASE)
_NOTES_LINK = re.compile(r"(?:https?://|onenote:)[^\s<>\"\\]+", re.IGNORECASE)


def look(value: bytes, *, is_html: bool, own_url: str) -> Sight:
    """Return what there is to see of a meeting block in a description.

    `own_url` is the join link the meeting is about to get: a link of the same user outside any frame is a block
    that has lost its frame.
    """
    begin = markup.body_start(value) if is_html else 0
    rows = {kind: _rows(value, begin, kind, is_html) for kind in Kind}
    framed = [
        each
        for kind in Kind
        for opening, closing in pairwise(rows[kind])
        if (each := _framed(kind, opening, closing, value, is_html)) is not None
    ]
    if len(framed) > 1:
        framed = [each for each in framed if not any(_is_around(each, other) for other in framed)]
    if not framed:
        outside = _signatures(value[begin:], is_html, own_url)
        return Sight(rows, outside, None, _about_lost_frame(rows) if outside else "")
    join_links = [url for each in framed for url in each.join_urls]
    if len(framed) > 1:
        return Sight(rows, join_links, None, "The description holds more than one meeting block.")
    ((kind, opening, closing, inside, found_links, join_urls),) = framed
    outside = [
        link
        for piece in (value[begin : opening.start], value[closing.end :])
        for link in _signatures(piece, is_html, own_url)
    ]
    join_links += outside
    problem = _doubt_about_rows(kind, rows[kind], value, is_html, opening, closing) or _doubt_about_links(framed[0])
    if not problem and outside:
        problem = "The description holds another join link outside its meeting block."
    if problem:
        return Sight(rows, join_links, None, problem)
    start, end = opening.start, closing.end
    if is_html:
        try:
            start, end = markup.block_range(value, begin, opening[:2], closing[:2])
        except Declined as declined:
            return Sight(rows, join_links, None, declined.detail)
    notes = _shared_notes(inside, found_links, is_html)
    return Sight(rows, join_links, Found(kind, start, end, found_links, join_urls[0], notes), "")


def carries_signature(text: str, own_url: str) -> bool:
    """Tell whether a text that is not a description itself carries what a meeting add-in writes."""
    return bool(_signatures(text.encode("utf-8", "surrogateescape"), is_html=True, own_url=own_url))


def readable(piece: bytes, is_html: bool) -> str:
    """Return a piece of a description without the escapes of a TEXT value and, of HTML, the character references."""
    text = unescaped(piece)
    return markup.characters(text) if is_html else text


def _rows(value: bytes, begin: int, kind: Kind, is_html: bool) -> list[Row]:
    piece, next_piece = _FIRST_PIECE[kind], _NEXT_PIECE[kind, is_html]
    position = value.find(piece, begin)
    rows = []
    while position >= 0:
        run = _RUN[kind].match(value, position)
        end = run.end() if run else position
        length = end - position
        while (more := next_piece.match(value, end)) and _continues(kind, length, len(more[1])):
            length += len(more[1])
            end = more.end()
        if length == len(ROW) or (kind is not Kind.OWN and length >= _SHORTEST[kind]):
            rows.append(Row(position, end, length))
        position = value.find(piece, end)
    return rows


def _continues(kind: Kind, length: int, piece: int) -> bool:
    if length + piece == _USUAL[kind]:
        return True
    return kind is Kind.SKYPE and piece >= _SHORTEST_PIECE and length + piece <= _LONGEST_DOT_ROW


def _framed(kind: Kind, opening: Row, closing: Row, value: bytes, is_html: bool) -> _Framed | None:
    """Return what stands between two rows, provided that it carries the signature of that kind.

    `join_urls` are the join links of that kind in it, without those that are the same but for their wrapping; none
    where another mark is the proof.
    """
    inside = readable(value[opening.end : closing.start], is_html)
    found = links.links_in(inside)
    if kind is Kind.TEAMS:
        joins = [url for url in found if links.is_teams(url)]
    elif kind is Kind.OWN:
        joins = found[:1] if found and links.key_of(found[0]) else []
    else:
        web_apps = {links.web_app_link(url) for url in found} - {""}
        shaped = {link.url for url in found if (link := links.skype_link(url)) is not None}
        joins = sorted(shaped & web_apps or web_apps or shaped)
        if not joins and not links.SKYPE_MARKER.search(inside) and not (is_html and _BOOKMARK in inside):
            return None
    if not joins and kind is not Kind.SKYPE:
        return None
    distinct = {links.comparable(url): url for url in reversed(joins)}
    return _Framed(kind, opening, closing, inside, found, [*reversed(distinct.values())])


def _is_around(outer: _Framed, inner: _Framed) -> bool:
    """Tell whether rows that are no frame of their own stand around a block, as decoration or left over."""
    return (
        outer.opening.end <= inner.opening.start
        and inner.closing.end <= outer.closing.start
        and set(map(links.comparable, outer.join_urls)) <= set(map(links.comparable, inner.join_urls))
    )


def _about_lost_frame(rows: Mapping[Kind, Sequence[Row]]) -> str:
    if sum(map(len, rows.values())) == 1:
        return "The description holds a join link, but only one of the two rows that frame a meeting block."
    return "The description holds a join link or other parts of a meeting block, but no intact frame."


def _doubt_about_rows(kind: Kind, rows: Sequence[Row], value: bytes, is_html: bool, opening: Row, closing: Row) -> str:
    if opening.length != closing.length:
        return "The two rows that frame the meeting block are not of the same length."
    if kind is Kind.OWN:  # its join link comes first, so that a row before it cannot be the one that opens it
        rows = [row for row in rows if row.start >= opening.start]
    if sum(row.length == opening.length for row in rows) > 2:
        return "The frame of the meeting block cannot be told from other rows in the description."
    before, after = (_HTML_BEFORE, _HTML_AFTER) if is_html else (_TEXT_BEFORE, _TEXT_AFTER)
    for row in (opening, closing):
        if not before.search(value, max(row.start - 200, 0), row.start) or not after.match(value, row.end):
            return "A row that frames the meeting block has other text on its line."
    return ""


def _doubt_about_links(framed: _Framed) -> str:
    kind, _, _, inside, found, join_urls = framed
    if any(not links.other_form(join_urls[0], url) for url in join_urls[1:]):
        return "The meeting block carries the join links of more than one meeting."
    if kind is not Kind.OWN:
        if links.has_other_provider(inside.lower()):
            return "The meeting block holds the join link of another provider."
        if kind is Kind.SKYPE:
            mixed = any(map(links.is_teams, found))
        else:
            shaped = filter(None, map(links.skype_link, found))
            mixed = links.SKYPE_MARKER.search(inside) is not None or any(map(links.is_surely_skype, shaped))
        if mixed:
            return "The meeting block mixes a Skype for Business meeting with a Microsoft Teams meeting."
    return "" if join_urls else "The meeting block has lost its join link."


def _signatures(piece: bytes, is_html: bool, own_url: str) -> list[str]:
    """Return the join links and marks of a meeting add-in in a piece, in a frame or not."""
    lowered = piece.lower()
    wrapped = b"%2f" in lowered
    if not (
        any(hint in lowered for hint in _HINTS)
        or _KEY_IN_URL.search(piece)
        or (wrapped and _KEY_IN_WRAPPED_URL.search(piece))
        or b"urldefense" in lowered
    ):
        return []
    text = readable(piece, is_html)
    marks = [found[0] for found in [links.SKYPE_MARKER.search(text)] if found]
    if is_html and _BOOKMARK in text:
        marks.append(_BOOKMARK)
    own = links.skype_link(own_url)
    return marks + [url for url in links.links_in(text) if _joins(url, own)]


def _joins(url: str, own: links.SkypeLink | None) -> bool:
    """Tell whether a link outside any frame joins a meeting, by its own words or because it is the user's."""
    if links.is_teams(url) or links.web_app_link(url):
        return True
    link = links.skype_link(url)
    if link is None:
        return False
    return links.is_surely_skype(link) or (own is not None and (link.host, link.user) == (own.host, own.user))


def _shared_notes(inside: str, found: list[str], is_html: bool) -> str:
    """Return the link to shared notes: what stands after Outlook's bookmark for it, or any OneNote link."""
    at = inside.find("OutSharedNote") if is_html else -1
    while at >= 0:
        paragraph = _PARAGRAPH_END.split(inside[at : at + 2000], maxsplit=1)[0]
        for target in markup.hrefs(paragraph):
            if _NOTES_LINK.fullmatch(target) and not links.web_app_link(target) and not links.skype_link(target):
                return links.unwrapped(target)
        at = inside.find("OutSharedNote", at + 1)
    if "onenote" not in inside and ".one" not in inside:
        return ""
    return next(filter(None, map(links.shared_notes_in, (inside, *found))), "")
