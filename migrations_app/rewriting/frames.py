"""Where a meeting block stands in a description, and what proves that it is one.

A block is what stands between two rows of the same kind, provided that what is inside carries that kind's own
signature. Offsets are octets of the unfolded, still escaped value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from migrations_app.calendars.content_lines import unescaped
from migrations_app.rewriting import links, markup
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.labels import LABELS
from migrations_app.rewriting.shown_html import body_start, characters, hrefs

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
    """A meeting block: where it is cut out, rows included; `links` are those inside."""

    kind: Kind
    cut: markup.Cut
    links: Sequence[str]
    join_url: str
    shared_notes_url: str

    @property
    def thread(self) -> str:
        """The thread of a Teams meeting: the short join link does not name it, the meeting options do."""
        options = (options[1] for options in map(links.meeting_options, self.links) if options is not None)
        return links.teams_thread(self.join_url) or next(options, "")


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
_MOST_PIECES = 6
# A carriage return before a line break is no more than a blank, raw or escaped.
_BLANK = rb"[ \t\r]|\xc2\xa0|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf|\\r(?=\\[nN])"
_HTML_BLANK = _BLANK + rb"|&(?:nbsp|shy|lrm|rlm|zwnj|zwj|ZeroWidthSpace|#8203|#x200[b-f]|#8206|#8207)\\?;"
_GAP = rb"\\[nN]|" + _BLANK
_HTML_GAP = rb"\\[nN]|[\r\n]|" + _HTML_BLANK + rb"|</?(?:span|font|b|i|u|em|strong|small|sub|sup|o:p|br|wbr)\b[^<>]*+>"
_NEXT_PIECE = {
    (kind, is_html): re.compile(
        rb"(?:" + gap + rb")++(" + re.escape(character) + rb"++)(?=\\[nN]|[<&]|" + _BLANK + rb"|$)", re.IGNORECASE
    )
    for kind, character in _CHARACTER.items()
    for is_html, gap in ((False, _GAP), (True, _HTML_GAP))
}
# Nothing visible may stand on the line of a row. In an escaped backslash followed by n, the n is no line break.
_TEXT_BEFORE = re.compile(rb"(?:^|(?<!\\)(?:\\\\)*\\[nN])(?:" + _BLANK + rb")*+$")
_TEXT_AFTER = re.compile(rb"(?:" + _BLANK + rb")*+(?:\\[nN]|$)")
_HTML_BEFORE = re.compile(rb"(?:^|\\[nN]|>)(?:" + _HTML_BLANK + rb")*+$", re.IGNORECASE)
_HTML_AFTER = re.compile(rb"(?:" + _HTML_BLANK + rb")*+(?:\\[nN]|<|$)", re.IGNORECASE)

_MOST_FRAMES = 10  # beyond, there is more than one block in any case
# What the add-ins write besides the join link, so that rows of any length are known to be theirs.
_SECOND_MARK = {
    Kind.SKYPE: re.compile(r"\?sl=1\b|\bdialin\.|\bSkype\b|\bLync\b", re.IGNORECASE),
    Kind.TEAMS: re.compile(r"aka\.ms/JoinTeamsMeeting|Microsoft Teams", re.IGNORECASE),
}
_TEAMS_SERVICE = re.compile(r"/meetingOptions/|\bdialin\.teams\.|/pstnconferencing", re.IGNORECASE)
_HTML_IN_TEXT = re.compile(rb"<(?:br|/(?:p|div|b|i|a|span|html|body|ul|li|font))\b[^<>]{0,20}>", re.IGNORECASE)

_HINTS = (b"teams.", b"?sl=1", b"[!oc([", b"outjoinlink", b"meetup-join")
_KEY_IN_URL = re.compile(rb"/[A-Z0-9]{8}(?![A-Za-z0-9/])")
_KEY_IN_WRAPPED_URL = re.compile(rb"%2[Ff][A-Z0-9]{8}(?![A-Za-z0-9/])")
_BOOKMARK = "OutJoinLink"
_MOST_BOOKMARKS = 20
_PARAGRAPH_END = re.compile(r"</(?:p|div|td|li)\b", re.IGNORECASE)
_OWN_NOTES = re.compile(
    rf"^(?:{'|'.join(re.escape(labels['shared_notes']) for labels in LABELS.values())}) <([^<>\s]+)>", re.MULTILINE
)
_NOTES_LINK = re.compile(r"(?:https?://|onenote:)[^\s<>\"\\]+", re.IGNORECASE)


def look(value: bytes, *, is_html: bool, own_url: str) -> Sight:
    """Return what there is to see of a meeting block in a description.

    `own_url` is the join link the meeting is about to get: a link of the same user outside any frame is a block
    that has lost its frame.
    """
    begin = body_start(value) if is_html else 0
    rows = {kind: _rows(value, begin, kind, is_html) for kind in Kind}
    framed = [
        each
        for kind in Kind
        for opening, closing in pairwise(rows[kind])
        if (each := _framed(kind, opening, closing, value, is_html)) is not None
    ]
    if 1 < len(framed) <= _MOST_FRAMES:
        framed = [each for each in framed if not any(_is_around(each, other) for other in framed)]
    if not framed:
        outside = _signatures(value[begin:], is_html, own_url)
        return Sight(rows, outside, None, _about_lost_frame(rows) if outside else "")
    join_links = [url for each in framed for url in each.join_urls]
    if len(framed) > 1:
        return Sight(rows, join_links, None, "The description holds more than one meeting block.")
    ((kind, opening, closing, _, found_links, join_urls),) = framed
    outside = [
        link
        for piece in (value[begin : opening.start], value[closing.end :])
        for link in _signatures(piece, is_html, own_url)
    ]
    join_links += outside
    problem = (
        _doubt_about_rows(kind, rows[kind], value, is_html, opening, closing)
        or _doubt_about_marks(framed[0], is_html)
        or _doubt_about_links(framed[0])
    )
    if not problem and kind is not Kind.OWN and any(row.start >= closing.end for row in rows[Kind.OWN]):
        problem = "A row like those of this service's own blocks stands below, so that the new block could not be told."
    if not problem and kind is not Kind.OWN and not is_html and len(_HTML_IN_TEXT.findall(value)) > 1:
        problem = "The plain-text description is written in HTML, so the meeting block cannot be cut out of it as text."
    if not problem and outside:
        problem = "The description holds another join link outside its meeting block."
    if problem:
        return Sight(rows, join_links, None, problem)
    cut = markup.Cut(opening.start, closing.end)
    if is_html:
        try:
            cut = markup.block_range(value, begin, opening[:2], closing[:2])
        except Declined as declined:
            return Sight(rows, join_links, None, declined.detail)
    notes = _shared_notes(framed[0], value[opening.end : closing.start], is_html)
    return Sight(rows, join_links, Found(kind, cut, found_links, join_urls[0], notes), "")


def carries_signature(text: str, own_url: str) -> bool:
    """Tell whether a text that is not a description itself carries what a meeting add-in writes."""
    return bool(_signatures(text.encode("utf-8", "surrogateescape"), is_html=True, own_url=own_url))


def readable(piece: bytes, is_html: bool) -> str:
    """Return a piece of a description without the escapes of a TEXT value and, of HTML, the character references."""
    text = unescaped(piece)
    return characters(text) if is_html else text


def _rows(value: bytes, begin: int, kind: Kind, is_html: bool) -> list[Row]:
    first_piece, next_piece = _FIRST_PIECE[kind], _NEXT_PIECE[kind, is_html]
    position = value.find(first_piece, begin)
    rows: list[Row] = []
    while position >= 0:
        run = _RUN[kind].match(value, position)
        end = run.end() if run else position
        pieces = [Row(position, end, end - position)]
        while kind is not Kind.OWN and (more := next_piece.match(value, end)):
            end = more.end()
            pieces.append(Row(more.start(1), end, end - more.start(1)))
        rows += _joined(kind, pieces)
        position = value.find(first_piece, end)
    return rows


def _joined(kind: Kind, pieces: Sequence[Row]) -> Iterator[Row]:
    """Yield the rows that pieces with nothing visible between them make up.

    Pieces that add up to a row of the usual length are that row; a piece that is long enough is a row by itself.
    """
    at = 0
    while at < len(pieces):
        last = _end_of_usual_row(kind, pieces, at)
        if last is None and pieces[at].length < _SHORTEST[kind] and kind is Kind.SKYPE:
            last = _end_of_short_pieces(pieces, at)
        length = sum(piece.length for piece in pieces[at : (last or at) + 1])
        if length == len(ROW) if kind is Kind.OWN else length >= _SHORTEST[kind]:
            yield Row(pieces[at].start, pieces[last or at].end, length)
        at = (last or at) + 1


def _end_of_usual_row(kind: Kind, pieces: Sequence[Row], at: int) -> int | None:
    length = 0
    for last in range(at, min(at + _MOST_PIECES, len(pieces))):
        length += pieces[last].length
        if length == _USUAL[kind]:
            # A line break leaves the shorter piece of underscores last; before it stands somebody's signature line.
            return last if kind is Kind.SKYPE or pieces[at].length >= pieces[last].length else None
    return None


def _end_of_short_pieces(pieces: Sequence[Row], at: int) -> int | None:
    """Return the last of some pieces of one row of dots of an unusual length; a whole row is none of them."""
    length, last = 0, None
    for place in range(at, min(at + _MOST_PIECES, len(pieces))):
        piece = pieces[place].length
        length += piece
        if not _SHORTEST_PIECE <= piece < _SHORTEST[Kind.SKYPE] or length > _USUAL[Kind.SKYPE]:
            break
        last = place
    return last


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
        joins = [url for url in found[:1] if (key := links.key_of(url)) and not key.isdigit()]
    else:
        web_apps = {links.web_app_link(url) for url in found} - {""}
        shaped = {link.url for link in map(links.skype_link, found) if link and not link.key.isdigit()}
        joins = sorted(shaped & web_apps or web_apps or shaped)
        if not joins and not links.SKYPE_MARKER.search(inside) and not (is_html and _BOOKMARK in inside):
            return None
    if not joins and kind is Kind.TEAMS and not _TEAMS_SERVICE.search(inside):
        return None
    if not joins and kind is Kind.OWN:
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
    if opening.length != _USUAL[kind] and _is_continued(kind, value, is_html, opening, closing):
        return "The rows around the meeting block are broken into pieces that cannot be put together."
    if opening.length != closing.length:
        return "The two rows that frame the meeting block are not of the same length."
    if kind is Kind.OWN:  # its join link comes first, so that a row before it cannot be the one that opens it
        rows = [row for row in rows if row.start >= opening.start]
    if sum(row.length == opening.length for row in rows) > 2:
        return "The frame of the meeting block cannot be told from other rows in the description."
    after = _HTML_AFTER if is_html else _TEXT_AFTER
    for row in (opening, closing):
        if not _begins_line(value, row.start, is_html) or not after.match(value, row.end):
            return "A row that frames the meeting block has other text on its line."
    return ""


def _begins_line(value: bytes, at: int, is_html: bool) -> bool:
    """Tell whether nothing that one sees stands before a place on its line."""
    if is_html:
        return value[at - 1 : at] == b">" or _HTML_BEFORE.search(value, max(at - 200, 0), at) is not None
    is_usual = value[at - 2 : at] == b"\\n" and value[at - 3 : at - 2] != b"\\"
    return is_usual or _TEXT_BEFORE.search(value, max(at - 200, 0), at) is not None


def _is_continued(kind: Kind, value: bytes, is_html: bool, opening: Row, closing: Row) -> bool:
    """Tell whether both rows are followed by a piece of the same length, as where a mail program breaks each line."""
    more = [_NEXT_PIECE[kind, is_html].match(value, row.end) for row in (opening, closing)]
    return len({len(piece[1]) for piece in more if piece is not None}) == 1 and None not in more


def _doubt_about_marks(framed: _Framed, is_html: bool) -> str:
    """Rows of any length may be somebody's own lines above and below a link; the add-ins leave more than a link."""
    kind, opening, _, inside, _, _ = framed
    if opening.length == _USUAL[kind] or _SECOND_MARK[kind].search(inside):
        return ""
    if kind is Kind.TEAMS and _TEAMS_SERVICE.search(inside):
        return ""
    if kind is Kind.SKYPE and (links.SKYPE_MARKER.search(inside) or (is_html and _BOOKMARK in inside)):
        return ""
    return "The rows around the join link are not as long as the add-in makes them, and nothing else shows its hand."


def _doubt_about_links(framed: _Framed) -> str:
    kind, _, _, inside, found, join_urls = framed
    forms = [links.is_short_teams(url) for url in join_urls]
    if len(set(forms)) < len(forms):
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


def _shared_notes(framed: _Framed, piece: bytes, is_html: bool) -> str:
    """Return the link to shared notes: what stands after Outlook's bookmark for it, or any OneNote link.

    `piece` is what stands between the rows, escaped. In a text of our own the link has its label; any other OneNote
    link is one of the tenant's.
    """
    if framed.kind is Kind.OWN and not is_html:
        own = _OWN_NOTES.search(framed.inside)
        return own[1] if own else ""
    html = unescaped(piece) if is_html and b"OutSharedNote" in piece else ""
    at = html.find("OutSharedNote")
    for _ in range(_MOST_BOOKMARKS):
        if at < 0:
            break
        paragraph = _PARAGRAPH_END.split(html[at : at + 2000], maxsplit=1)[0]
        for target in map(characters, hrefs(paragraph)):
            if _NOTES_LINK.fullmatch(target) and not links.web_app_link(target) and not links.skype_link(target):
                return links.unwrapped(target)
        at = html.find("OutSharedNote", at + 1)
    if framed.kind is Kind.OWN or ("onenote" not in framed.inside and ".one" not in framed.inside):
        return ""
    return next(filter(None, map(links.shared_notes_in, (framed.inside, *framed.links))), "")
