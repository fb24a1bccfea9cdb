"""The rows that frame meeting blocks: of dots, underscores or equals signs, in one piece or broken.

Offsets are octets of the unfolded, still escaped value of a description.
"""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

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


_CHARACTER = {Kind.SKYPE: b".", Kind.TEAMS: b"_", Kind.OWN: b"="}
USUAL_LENGTH = {Kind.SKYPE: 137, Kind.TEAMS: 80, Kind.OWN: len(ROW)}
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


def rows_of(value: bytes, begin: int, kind: Kind, is_html: bool) -> list[Row]:
    """Return the rows of a kind in a description, from `begin` on."""
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
        if length == USUAL_LENGTH[kind]:
            # A line break leaves the shorter piece of underscores last; before it stands somebody's signature line.
            return last if kind is Kind.SKYPE or pieces[at].length >= pieces[last].length else None
    return None


def _end_of_short_pieces(pieces: Sequence[Row], at: int) -> int | None:
    """Return the last of some pieces of one row of dots of an unusual length; a whole row is none of them."""
    length, last = 0, None
    for place in range(at, min(at + _MOST_PIECES, len(pieces))):
        piece = pieces[place].length
        length += piece
        if not _SHORTEST_PIECE <= piece < _SHORTEST[Kind.SKYPE] or length > USUAL_LENGTH[Kind.SKYPE]:
            break
        last = place
    return last


def stands_alone(value: bytes, row: Row, is_html: bool) -> bool:
    """Tell whether nothing that one sees stands on the line of a row."""
    after = _HTML_AFTER if is_html else _TEXT_AFTER
    return _begins_line(value, row.start, is_html) and after.match(value, row.end) is not None


def _begins_line(value: bytes, at: int, is_html: bool) -> bool:
    """Tell whether nothing that one sees stands before a place on its line."""
    if is_html:
        return value[at - 1 : at] == b">" or _HTML_BEFORE.search(value, max(at - 200, 0), at) is not None
    is_usual = value[at - 2 : at] == b"\\n" and value[at - 3 : at - 2] != b"\\"
    return is_usual or _TEXT_BEFORE.search(value, max(at - 200, 0), at) is not None


def are_continued(kind: Kind, value: bytes, is_html: bool, opening: Row, closing: Row) -> bool:
    """Tell whether both rows are followed by a piece of the same length, as where a mail program breaks each line."""
    more = [_NEXT_PIECE[kind, is_html].match(value, row.end) for row in (opening, closing)]
    return len({len(piece[1]) for piece in more if piece is not None}) == 1 and None not in more
