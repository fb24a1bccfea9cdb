"""Where a meeting block stands in a description, and what proves that it is one.

A block is what stands between two rows of the same kind, provided that what is inside carries that kind's own
signature. Offsets are octets of the unfolded, still escaped value.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from migrations_app.rewriting import links, markup
from migrations_app.rewriting.content_lines import unescaped
from migrations_app.rewriting.errors import needs_review

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


_LONGEST_DOT_ROW = 140  # Outlook breaks its row of 137 dots over two lines
_CHARACTER = {Kind.SKYPE: b".", Kind.TEAMS: b"_", Kind.OWN: b"="}
_SHORTEST = {Kind.SKYPE: 60, Kind.TEAMS: 70, Kind.OWN: len(ROW)}
_RUN = {kind: re.compile(re.escape(character) + b"++") for kind, character in _CHARACTER.items()}
_NEXT_DOTS = re.compile(rb"(?:\\[nN]|[ \t]|\xc2\xa0)++(\.{10,})(?=\\[nN]|[ \t<]|\xc2\xa0|$)")
# What may stand on the line of a row: nothing. The n of an escaped backslash and n is no line break.
_TEXT_BEFORE = re.compile(rb"(?:^|(?<!\\)(?:\\\\)*\\[nN])(?:[ \t]|\xc2\xa0)*+$")
_TEXT_AFTER = re.compile(rb"(?:[ \t]|\xc2\xa0)*+(?:\\[nN]|$)")
_HTML_BEFORE = re.compile(rb"(?:^|\\[nN]|>)(?:[ \t]|\xc2\xa0|&nbsp\\?;)*+$")
_HTML_AFTER = re.compile(rb"(?:[ \t]|\xc2\xa0|&nbsp\\?;)*+(?:\\[nN]|<|$)")

_QUOTED = re.compile(
    rb"(?<!-)-{3,}+\s*+(?:Original (?:Appointment|Message|Meeting)"
    rb"|Urspr\xc3\xbcngliche[rs]? (?:Termin|Nachricht|Besprechung)"
    rb"|Rendez-vous d'origine|Message d'origine|Cita original|Mensaje original|Appuntamento originale"
    rb"|Messaggio originale|Oorspronkelijke? (?:afspraak|bericht)|Ursprungl\S{1,8} \S{1,20})|\*~\*~\*~",
    re.IGNORECASE,
)
_HINTS = (b"teams.", b"?sl=1", b"[!oc([", b"outjoinlink", b"meetup-join")
_KEY_IN_URL = re.compile(rb"/[A-Z0-9]{8}(?![A-Za-z0-9/])")
_KEY_IN_WRAPPED_URL = re.compile(rb"%2[Ff][A-Z0-9]{8}(?![A-Za-z0-9/])")
_PARAGRAPH_END = re.compile(r"</(?:p|div|td|li)\b", re.IGNORECASE)
_NOTES_LINK = re.compile(r"(?:https?://|onenote:)[^\s<>\"\\]+", re.IGNORECASE)


def find_block(value: bytes, *, is_html: bool, own_url: str) -> Found | None:
    """Return the meeting block of a description, or None where nothing says that there is one.

    `own_url` is the join link the meeting is about to get: a link of the same user outside any frame is a block
    that has lost its frame. Raises Declined (needs-review) for everything that is neither one intact block nor
    none at all.
    """
    begin = markup.body_start(value) if is_html else 0
    candidates: list[tuple[Kind, Row, Row, str, list[str], str]] = []
    rows_of: dict[Kind, list[Row]] = {}
    for kind in Kind:
        rows = rows_of[kind] = _rows(value, begin, kind)
        for opening, closing in pairwise(rows):
            inside = _readable(value[opening.end : closing.start], is_html)
            found = links.links_in(inside)
            join_url = _signature(kind, inside, found)
            if join_url is not None:
                candidates.append((kind, opening, closing, inside, found, join_url))
    if not candidates:
        if _has_signature(value[begin:], is_html, own_url):
            raise needs_review(
                "The description holds a join link or other parts of a meeting block, but no intact frame."
            )
        return None
    if len(candidates) > 1:
        raise needs_review("The description holds more than one meeting block.")
    kind, opening, closing, inside, found, join_url = candidates[0]
    rows = rows_of[kind]
    if kind is Kind.OWN:  # its join link comes first, so that a row before it cannot be the one that opens it
        rows = [row for row in rows if row.start >= opening.start]
    _refuse_doubtful(value, is_html, rows, opening, closing)
    if kind is not Kind.OWN:
        _refuse_mixed(kind, inside, found)
    if not join_url:
        raise needs_review("The meeting block has lost its join link.")
    if _is_quoted(value, begin, opening.start):
        raise needs_review("The meeting block stands in a quoted invitation, below another message.")
    for outside in (value[begin : opening.start], value[closing.end :]):
        if _has_signature(outside, is_html, own_url):
            raise needs_review("The description holds another join link outside its meeting block.")
    start, end = opening.start, closing.end
    if is_html:
        start, end = markup.block_range(value, begin, opening[:2], closing[:2])
    return Found(kind, start, end, found, join_url, _shared_notes(inside, found, is_html))


def carries_signature(text: str, own_url: str) -> bool:
    """Tell whether a text that is not a description itself carries what a meeting add-in writes."""
    return _has_signature(text.encode("utf-8", "surrogateescape"), is_html=True, own_url=own_url)


def _rows(value: bytes, begin: int, kind: Kind) -> list[Row]:
    needle = _CHARACTER[kind] * _SHORTEST[kind]
    position = value.find(needle, begin)
    if position < 0:
        return []
    rows = []
    while position >= 0:
        run = _RUN[kind].match(value, position)
        end = run.end() if run else position
        length = end - position
        if kind is Kind.SKYPE:
            while (more := _NEXT_DOTS.match(value, end)) and length + len(more[1]) <= _LONGEST_DOT_ROW:
                length += len(more[1])
                end = more.end()
        if kind is not Kind.OWN or length == len(ROW):
            rows.append(Row(position, end, length))
        position = value.find(needle, end)
    return rows


def _readable(piece: bytes, is_html: bool) -> str:
    text = unescaped(piece)
    return markup.characters(text) if is_html else text


def _signature(kind: Kind, inside: str, found: list[str]) -> str | None:
    """Return the join link that proves the kind ("" where other evidence does); None where there is no proof."""
    if kind is Kind.TEAMS:
        return next((url for url in found if links.is_teams(url)), None)
    if kind is Kind.OWN:
        return found[0] if found and links.key_of(found[0]) else None
    web_apps = {links.web_app_link(url) for url in found} - {""}
    shaped = {link.url for url in found if (link := links.skype_link(url)) is not None}
    joins = shaped & web_apps or web_apps or shaped
    if len({links.comparable(url) for url in joins}) > 1:
        raise needs_review("The meeting block carries the join links of more than one meeting.")
    if joins:
        return min(joins)
    return "" if links.SKYPE_MARKER.search(inside) or "OutJoinLink" in inside else None


def _refuse_doubtful(value: bytes, is_html: bool, rows: list[Row], opening: Row, closing: Row) -> None:
    if opening.length != closing.length:
        raise needs_review("The two rows that frame the meeting block are not of the same kind.")
    if sum(row.length == opening.length for row in rows) > 2:
        raise needs_review("The frame of the meeting block cannot be told from other rows in the description.")
    before, after = (_HTML_BEFORE, _HTML_AFTER) if is_html else (_TEXT_BEFORE, _TEXT_AFTER)
    for row in (opening, closing):
        if not before.search(value, max(row.start - 200, 0), row.start) or not after.match(value, row.end):
            raise needs_review("A row that frames the meeting block has other text on its line.")


def _is_quoted(value: bytes, begin: int, end: int) -> bool:
    hint = value.find(b"---", begin, end) >= 0 or value.find(b"*~*", begin, end) >= 0
    return hint and _QUOTED.search(value, begin, end) is not None


def _refuse_mixed(kind: Kind, inside: str, found: list[str]) -> None:
    if links.has_other_provider(inside.lower()):
        raise needs_review("The meeting block holds the join link of another provider.")
    if kind is Kind.SKYPE:
        mixed = any(map(links.is_teams, found))
    else:
        shaped = filter(None, map(links.skype_link, found))
        mixed = links.SKYPE_MARKER.search(inside) is not None or any(map(links.is_surely_skype, shaped))
        if len({links.comparable(url) for url in found if links.is_teams(url)}) > 1:
            raise needs_review("The meeting block carries the join links of more than one meeting.")
    if mixed:
        raise needs_review("The meeting block mixes a Skype for Business meeting with a Microsoft Teams meeting.")


def _has_signature(piece: bytes, is_html: bool, own_url: str) -> bool:
    """Tell whether a piece carries a join link or marker of a meeting add-in, in a frame or not."""
    lowered = piece.lower()
    wrapped = b"%2f" in lowered
    if not (
        any(hint in lowered for hint in _HINTS)
        or _KEY_IN_URL.search(piece)
        or (wrapped and _KEY_IN_WRAPPED_URL.search(piece))
        or b"urldefense" in lowered
    ):
        return False
    text = _readable(piece, is_html)
    if links.SKYPE_MARKER.search(text) or "OutJoinLink" in text:
        return True
    own = links.skype_link(own_url)
    for url in links.links_in(text):
        if links.is_teams(url) or links.web_app_link(url):
            return True
        link = links.skype_link(url)
        if link is not None and (
            links.is_surely_skype(link) or (own is not None and (link.host, link.user) == (own.host, own.user))
        ):
            return True
    return False


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
