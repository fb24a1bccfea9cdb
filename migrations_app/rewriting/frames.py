"""Where a meeting block stands in a description, and what proves that it is one.

A block is what stands between two rows of the same kind, provided that what is inside carries that kind's own
signature. Offsets are octets of the unfolded, still escaped value.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from migrations_app.calendars.content_lines import unescaped
from migrations_app.rewriting import links, markup
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.labels import LABELS
from migrations_app.rewriting.rows import USUAL_LENGTH, Kind, Row, are_continued, rows_of, stands_alone
from migrations_app.rewriting.shown_html import body_start, characters, hrefs, targets, visible_text
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class Found:
    """A meeting block: where it is cut out, rows included, and what stands between them; `links` are those inside.

    `joins` are the join links, by a form in which links to one meeting are equal; the first comes first. All join the
    same meeting: Teams names it by a short link and by a long one, its "System reference".
    """

    kind: Kind
    cut: markup.Cut
    inside: tuple[int, int]
    links: Sequence[str]
    joins: Mapping[str, str]
    shared_notes_url: str

    @property
    def join_url(self) -> str:
        """The join link that comes first."""
        return next(iter(self.joins.values()))

    @property
    def names(self) -> Set[str]:
        """What tells its meeting from others."""
        return self.joins.keys()

    @property
    def thread(self) -> str:
        """The thread of a Teams meeting: the short join link does not name it, the meeting options do."""
        options = (options[1] for options in map(links.meeting_options, self.links) if options is not None)
        return next(filter(None, (*map(links.teams_thread, self.joins.values()), *options)), "")


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
    joins: dict[str, str]


_MOST_FRAMES = 10  # beyond, there is more than one block in any case
# What the add-ins write besides the join link, so that rows of any length are known to be theirs.
_SECOND_MARK = {
    Kind.SKYPE: re.compile(r"\?sl=1\b|\bdialin\.|\bSkype\b|\bLync\b", re.IGNORECASE),
    Kind.TEAMS: re.compile(r"aka\.ms/JoinTeamsMeeting|Microsoft Teams", re.IGNORECASE),
}
_TEAMS_SERVICE = re.compile(r"/meetingOptions/|\bdialin\.teams\.|/pstnconferencing", re.IGNORECASE)
_HTML_IN_TEXT = re.compile(rb"<(?:br|/(?:p|div|b|i|a|span|html|body|ul|li|font))\b[^<>]{0,20}>", re.IGNORECASE)

# What a block says of the phone and of its IDs, on one line: a number with what is dialled after it; of Teams three
# groups of three digits that an ID is made of, or that a passcode follows. Signatures have neither.
_DIALLED = re.compile(r",,\s?\d{4}|\btel:\+?\d", re.IGNORECASE)
_ID = {
    Kind.SKYPE: re.compile(r"[:：]\s?\d{5,10}(?!\d)"),
    Kind.TEAMS: re.compile(
        r"\bid\b[^:：]{0,30}[:：]\s?\d{3} \d{3} \d{3}(?!\d)"
        r"|[:：]\s?\d{3} \d{3} \d{3}(?: \d{1,4})?#? [^:：]{2,40}[:：]\s?(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{6,8}(?!\w)",
        re.IGNORECASE,
    ),
}
_PRODUCT = {
    Kind.SKYPE: re.compile(r"\bSkype Web App\b|\bSkype for Business\b|\bLync\b"),
    Kind.TEAMS: re.compile(r"\bTeams\b"),
}
_OWN_LABELS = tuple(labels["join"] for labels in LABELS.values())

# The last is how a link begins in base64.
_HINTS = (b"teams.", b"?sl=1", b"[!oc([", b"outjoinlink", b"meetup-join", b"ahr0c")
_KEY_IN_URL = re.compile(rb"/[A-Z0-9]{8}(?![A-Za-z0-9/])")
_KEY_IN_WRAPPED_URL = re.compile(rb"%2[Ff][A-Z0-9]{8}(?![A-Za-z0-9/])")
_BOOKMARK = "OutJoinLink"
_MOST_BOOKMARKS = 20
_PARAGRAPH_END = re.compile(r"</(?:p|div|td|li)\b", re.IGNORECASE)
_OWN_NOTES = re.compile(
    rf"^(?:{'|'.join(re.escape(labels['shared_notes']) for labels in LABELS.values())}) <([^<>\s]+)>", re.MULTILINE
)
_LINK_IN_HTML = re.compile(rb"<a\b[^<>]*+>(.{0,500}?)</a\b", re.IGNORECASE | re.DOTALL)
_NOTES_LABELS = frozenset(labels["shared_notes"] for labels in LABELS.values())
_NOTES_LINK = re.compile(r"(?:https?://|onenote:)[^\s<>\"\\]+", re.IGNORECASE)


def look(value: bytes, *, is_html: bool, own_place: str = "") -> Sight:
    """Return what there is to see of a meeting block in a description.

    `own_place` is where the organizer's `Link` links begin: such a link outside any frame is a block that has lost its
    frame.
    """
    begin = body_start(value) if is_html else 0
    rows = {kind: rows_of(value, begin, kind, is_html) for kind in Kind}
    framed = [
        each
        for kind in Kind
        for opening, closing in pairwise(rows[kind])
        if (each := _framed(kind, opening, closing, value, is_html)) is not None
    ]
    if 1 < len(framed) <= _MOST_FRAMES:
        framed = [each for each in framed if not any(_is_around(each, other) for other in framed)]
    if not framed:
        outside = _signatures(value[begin:], is_html, own_place)
        problem = _about_lost_frame(rows) if outside else _about_lost_links(rows, value, is_html)
        return Sight(rows, outside, None, problem)
    join_links = [url for each in framed for url in each.joins.values()]
    if len(framed) > 1:
        return Sight(rows, join_links, None, sentence("The description holds more than one meeting block."))
    ((kind, opening, closing, _, found_links, joins),) = framed
    outside = [
        link
        for piece in (value[begin : opening.start], value[closing.end :])
        for link in _signatures(piece, is_html, own_place)
    ]
    join_links += outside
    problem = (
        _doubt_about_rows(framed[0], rows[kind], value, is_html)
        or _doubt_about_marks(framed[0], is_html)
        or _doubt_about_links(framed[0])
    )
    if not problem and kind is not Kind.OWN and any(row.start >= closing.end for row in rows[Kind.OWN]):
        problem = sentence(
            "A row like those of this service's own blocks stands below, so that the new block could not be told."
        )
    if not problem and kind is not Kind.OWN and not is_html and len(_HTML_IN_TEXT.findall(value)) > 1:
        problem = sentence(
            "The plain-text description is written in HTML, so the meeting block cannot be cut out of it as text."
        )
    if not problem and outside:
        problem = sentence("The description holds another join link outside its meeting block.")
    if problem:
        return Sight(rows, join_links, None, problem)
    cut = markup.Cut(opening.start, closing.end)
    if is_html:
        try:
            cut = markup.block_range(value, begin, opening[:2], closing[:2])
        except Declined as declined:
            return Sight(rows, join_links, None, declined.detail)
    notes = _shared_notes(framed[0], value[opening.end : closing.start], is_html)
    inside = (opening.end, closing.start)
    return Sight(rows, join_links, Found(kind, cut, inside, found_links, joins, notes), "")


def carries_signature(text: str, own_place: str) -> bool:
    """Tell whether a text that is not a description itself carries what a meeting add-in writes."""
    return bool(_signatures(text.encode("utf-8", "surrogateescape"), is_html=True, own_place=own_place))


def readable(piece: bytes, is_html: bool) -> str:
    """Return a piece of a description without the escapes of a TEXT value and, of HTML, the character references."""
    text = unescaped(piece)
    return characters(text) if is_html else text


def _framed(kind: Kind, opening: Row, closing: Row, value: bytes, is_html: bool) -> _Framed | None:
    """Return what stands between two rows, provided that it carries the signature of that kind.

    `joins` are the join links of that kind in it, without those that are the same but for their wrapping; none
    where another mark is the proof.
    """
    inside = readable(value[opening.end : closing.start], is_html)
    found = links.links_in(inside)
    if kind is Kind.TEAMS:
        joins = [url for url in found if links.is_teams(url)]
    elif kind is Kind.OWN:
        # The join link comes first. The frame says who wrote the block, not whose meeting stands behind it.
        joins = [url for url in found[:1] if (key := links.key_of(url)) and not key.isdigit()]
        joins = joins or [url for url in found if links.is_teams(found[0]) and links.is_teams(url)]
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
    distinct: dict[str, str] = {}
    for url in joins:
        distinct.setdefault(links.comparable(url), url)
    return _Framed(kind, opening, closing, inside, found, distinct)


def _is_around(outer: _Framed, inner: _Framed) -> bool:
    """Tell whether rows that are no frame of their own stand around a block, as decoration or left over."""
    return (
        outer.opening.end <= inner.opening.start
        and inner.closing.end <= outer.closing.start
        and outer.joins.keys() <= inner.joins.keys()
    )


def _about_lost_frame(rows: Mapping[Kind, Sequence[Row]]) -> str:
    if sum(map(len, rows.values())) == 1:
        return sentence("The description holds a join link, but only one of the two rows that frame a meeting block.")
    return sentence("The description holds a join link or other parts of a meeting block, but no intact frame.")


def _about_lost_links(rows: Mapping[Kind, Sequence[Row]], value: bytes, is_html: bool) -> str:
    for kind in Kind:
        for opening, closing in pairwise(rows[kind]):
            if opening.length == closing.length and _says_what_a_block_says(
                kind, _shown(value[opening.end : closing.start], is_html)
            ):
                return sentence(
                    "Two rows frame what a meeting block says, but no link between them leads into a meeting: a "
                    "mail filter may have rewritten or removed the links."
                )
    return ""


def _says_what_a_block_says(kind: Kind, text: str) -> bool:
    """Tell whether a text without join links is all that is left of a block: its product and how to get in by phone."""
    if kind is Kind.OWN:
        return any(label in text for label in _OWN_LABELS)
    is_of_family = _PRODUCT[kind].search(text) and not links.names_other_provider(text.lower())
    return bool(is_of_family and (_DIALLED.search(text) or _ID[kind].search(text)))


def _shown(piece: bytes, is_html: bool) -> str:
    """Return what a reader sees of a piece, and where its links lead in text, on one line."""
    return visible_text(piece) if is_html else " ".join(unescaped(piece).split())


def _doubt_about_rows(framed: _Framed, rows: Sequence[Row], value: bytes, is_html: bool) -> str:
    kind, opening, closing, _, _, _ = framed
    if opening.length != USUAL_LENGTH[kind] and are_continued(kind, value, is_html, opening, closing):
        return sentence("The rows around the meeting block are broken into pieces that cannot be put together.")
    if opening.length != closing.length:
        return sentence("The two rows that frame the meeting block are not of the same length.")
    if kind is Kind.OWN:  # its join link comes first, so that a row before it cannot be the one that opens it
        rows = [row for row in rows if row.start >= opening.start]
    alike = [row for row in rows if row.length == opening.length]
    if len(alike) > 2:
        below = value[closing.end : alike[-1].start]
        if alike[0] != opening or not _is_complete(framed, below, is_html):
            return sentence("The frame of the meeting block cannot be told from other rows in the description.")
    if not all(stands_alone(value, row, is_html) for row in (opening, closing)):
        return sentence("A row that frames the meeting block has other text on its line.")
    return ""


def _is_complete(framed: _Framed, below: bytes, is_html: bool) -> bool:
    """Tell whether a block ends at its closing row although further rows stand below, none of it before them."""
    kind, _, _, inside, _, _ = framed
    if kind is Kind.OWN:
        return False
    ends_with = links.SKYPE_MARKER if kind is Kind.SKYPE else _TEAMS_SERVICE
    text = _shown(below, is_html)
    return ends_with.search(inside) is not None or not (_DIALLED.search(text) or _ID[kind].search(text))


def _doubt_about_marks(framed: _Framed, is_html: bool) -> str:
    """Rows of any length may be somebody's own lines above and below a link; the add-ins leave more than a link."""
    kind, opening, _, inside, _, _ = framed
    if opening.length == USUAL_LENGTH[kind] or _SECOND_MARK[kind].search(inside):
        return ""
    if kind is Kind.TEAMS and _TEAMS_SERVICE.search(inside):
        return ""
    if kind is Kind.SKYPE and (links.SKYPE_MARKER.search(inside) or (is_html and _BOOKMARK in inside)):
        return ""
    return sentence(
        "The rows around the join link are not as long as the add-in makes them, and nothing else shows its hand."
    )


def _doubt_about_links(framed: _Framed) -> str:
    kind, _, _, inside, found, joins = framed
    forms = [*map(links.is_short_teams, joins.values())] if len(joins) > 1 else []
    if len(set(forms)) < len(forms):
        return sentence("The meeting block carries the join links of more than one meeting.")
    if kind is not Kind.OWN:
        if links.has_other_provider(inside.lower()):
            return sentence("The meeting block holds the join link of another provider.")
        if kind is Kind.SKYPE:
            mixed = any(map(links.is_teams, found))
        else:
            shaped = filter(None, map(links.skype_link, found))
            mixed = links.SKYPE_MARKER.search(inside) is not None or any(map(links.is_surely_skype, shaped))
        if mixed:
            return sentence("The meeting block mixes a Skype for Business meeting with a Microsoft Teams meeting.")
    return "" if joins else sentence("The meeting block has lost its join link.")


def _signatures(piece: bytes, is_html: bool, own_place: str) -> list[str]:
    """Return the join links and marks of a meeting add-in in a piece, in a frame or not."""
    lowered = piece.lower()
    wrapped = b"%2f" in lowered
    if not (
        any(map(lowered.__contains__, _HINTS))
        or _KEY_IN_URL.search(piece)
        or (wrapped and _KEY_IN_WRAPPED_URL.search(piece))
        or b"urldefense" in lowered
    ):
        return []
    text = readable(piece, is_html)
    marks = [found[0] for found in [links.SKYPE_MARKER.search(text)] if found]
    if is_html and _BOOKMARK in text:
        marks.append(_BOOKMARK)
    return marks + [url for url in links.links_in(text) if _joins(url, own_place)]


def _joins(url: str, own_place: str) -> bool:
    """Tell whether a link outside any frame joins a meeting, by its own words or because it is the user's."""
    if links.is_teams(url) or links.web_app_link(url):
        return True
    link = links.skype_link(url)
    if link is None:
        return False
    return links.is_surely_skype(link) or (own_place != "" and links.same_place(link.url, own_place + link.key))


def _shared_notes(framed: _Framed, piece: bytes, is_html: bool) -> str:
    """Return the link to shared notes: what stands after Outlook's bookmark for it, or any OneNote link.

    `piece` is what stands between the rows, escaped. In a text of our own the link has its label; any other OneNote
    link is one of the tenant's.
    """
    if framed.kind is Kind.OWN and not is_html:
        own = _OWN_NOTES.search(framed.inside)
        return own[1] if own else ""
    first = piece.find(b"OutSharedNote") if is_html else -1
    html = unescaped(piece[first:]) if first >= 0 else ""
    at = html.find("OutSharedNote")
    for _ in range(_MOST_BOOKMARKS):
        if at < 0:
            break
        paragraph = _PARAGRAPH_END.split(html[at : at + 2000], maxsplit=1)[0]
        for target in map(characters, hrefs(paragraph)):
            if _NOTES_LINK.fullmatch(target) and not links.web_app_link(target) and not links.skype_link(target):
                return links.unwrapped(target)
        at = html.find("OutSharedNote", at + 1)
    if framed.kind is Kind.OWN:  # a way over RTF costs links their names
        named = (found for found in _LINK_IN_HTML.finditer(piece) if visible_text(found[1]) in _NOTES_LABELS)
        found_targets = (target for found in named for target in targets(found[0]) if _NOTES_LINK.fullmatch(target))
        return next(map(links.unwrapped, found_targets), "")
    if "onenote" not in framed.inside and ".one" not in framed.inside:
        return ""
    return next(filter(None, map(links.shared_notes_in, (framed.inside, *framed.links))), "")
