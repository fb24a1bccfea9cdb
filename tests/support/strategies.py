"""Hypothesis strategies: invitations with what must become of them, hostile settings, and soup of every kind."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st

from migrations_app.rewriting.block import (
    MeetingBlock,
    PhoneNumber,
    dial_uri,
    render_html,
    render_text,
    safe_url,
)
from tests.support import samples

OWN_JOIN_URL = samples.BLOCK.join_url
LOCATIONS = {"en": "Online Meeting", "es": "Reunión en línea", "it": "Riunione online"}
LANGUAGES = tuple(LOCATIONS)

# --- how an object is written ---------------------------------------------------------------------------


class Layout(NamedTuple):
    """How a producer breaks lines: folds and widths (in octets) take turns, in the middle of characters too."""

    eol: bytes
    folds: Sequence[bytes]
    widths: Sequence[int]

    def write(self, lines: Iterable[bytes]) -> bytes:
        written = []
        for line in lines:
            folds, widths = cycle(self.folds), cycle(self.widths)
            width = next(widths)
            pieces, rest = [line[:width]], line[width:]
            while rest:
                width = next(widths) - 1
                pieces += [self.eol, next(folds), rest[:width]]
                rest = rest[width:]
            written += [*pieces, self.eol]
        return b"".join(written)


LAYOUTS = st.builds(
    Layout,
    st.sampled_from([b"\r\n", b"\n"]),
    st.lists(st.sampled_from([b" ", b"\t"]), min_size=1, max_size=3),
    st.lists(st.integers(8, 200), min_size=1, max_size=4),
)

# --- what surrounds a block -----------------------------------------------------------------------------

_SIGNATURE = re.compile(r"://|\[!OC\(|OutJoinLink|([._=])\1{9}|-{3}|\*~\*")
PROSE = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60).filter(
    # What could be a block, a row of one or a quoted message is for other tests: there it is right to decline.
    lambda text: not _SIGNATURE.search(text)
)
_NEAR_ROWS = st.one_of(
    st.integers(10, 59).map("*".__mul__),
    st.integers(10, 59).map(".".__mul__),
    st.integers(10, 69).map("_".__mul__),
    st.integers(10, 71).map("=".__mul__),
    st.integers(73, 90).map("=".__mul__),
)
_LINKS = st.sampled_from(
    [
        "https://example.org/agenda?week=3&day=tue",
        "<https://www.fabrikam.com/o'brien/plan.docx>",
        "https://fabrikam.sharepoint.com/sites/budget/Shared%20Documents/Plan.xlsx",
        "https://fabrikam.sharepoint.com/sites/budget/Notes.one",
        "https://eu01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.org%2Fa&data=05",
        "https://aka.ms/JoinTeamsMeeting",
        "https://meet.contoso.com/dialin",
        "https://video.example.org/j/5550100",
        "tel:+14255550142",
    ]
)
_LINES = st.one_of(PROSE, _LINKS, _NEAR_ROWS.map(lambda row: f"Agenda\n{row}\nMinutes"))
TEXT_AROUND = st.lists(_LINES, max_size=4).map("\n".join)


def _element(name: str, attributes: str = "") -> Callable[[str], str]:
    return lambda inside: f"<{name}{attributes}>{inside}</{name}>"


_ATTRIBUTES = ("", " class=MsoNormal", ' style="color:#1F497D;margin:0"', ' title="a > b"', " title='<p>'")
_RUNS = st.one_of(
    PROSE.map(html.escape),
    PROSE.map(lambda text: html.escape(text, quote=False)),
    st.sampled_from(["<br>", "<br/>", "&nbsp;", "&#233;", "<o:p></o:p>", '<img src="cid:1" alt="">', "<!-- a > b -->"]),
    _LINKS.map(lambda link: f'<a href="{html.escape(link.strip("<>"))}">here</a>'),
)
_INLINE = st.recursive(
    _RUNS,
    lambda inner: st.builds(
        lambda name, attributes, inside: _element(name, attributes)("".join(inside)),
        st.sampled_from(["b", "i", "u", "span", "font", "sub"]),
        st.sampled_from(_ATTRIBUTES),
        st.lists(inner, max_size=3),
    ),
    max_leaves=4,
)
_PARAGRAPHS = st.one_of(
    st.lists(_INLINE, max_size=3).map("".join).map(_element("p", " class=MsoNormal")),
    _NEAR_ROWS.map(lambda row: f"<p>Agenda</p><p>{row}</p><p>Minutes</p>"),
    st.sampled_from(["<hr>", "<p>One<p>Two", "<ul><li>One<li>Two</ul>", "<!--[if gte mso 9]><xml></xml><![endif]-->"]),
    st.sampled_from(["<b><i>Misnested</b></i>", "</span>", "<div><font>Never closed</div>", "<style>p > b {}</style>"]),
)
_BLOCKS = st.recursive(
    _PARAGRAPHS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map("".join).map(_element("div")),
        st.lists(inner, max_size=2).map("".join).map(lambda inside: f"<table><tr><td>{inside}</td></tr></table>"),
    ),
    max_leaves=4,
)
HTML_AROUND = st.lists(_BLOCKS, max_size=3).map("".join)

# --- what a block of our own may say --------------------------------------------------------------------

NASTY = (
    "=" * 72, "=" * 80, "." * 137, "." * 71, "_" * 80, "_" * 32, "=", ".", "\n", "\r\n", "\r", "\t", " ", "\xa0",
    "\x00", "\x1b", "\x85", "\u2028", "\ud800", "\udcff", "\ufeff", "\u200b", "\U0001f600", "e\u0301", "\\", "\\n",
    "\\\\n", "\\;", "\\,", '"', "'", "`", "<", ">", "&", ";", ",", ":", "=", "(", ")", "[", "]", "%", "%2F", "#", "?",
    "</div>", "</a>", "<p>", "<!--", "-->", "<style>", "&amp;", "&lt;", "&#61;", "&nbsp;", "[!OC([1033])!]",
    "<a name=OutJoinLink>", "OutSharedNoteLink", '<a name="OutSharedNoteLink" href="https://notes.example.org/7">',
    "-----Original Appointment-----", "*~*~*~*", "-----Note-----\nFrom: a\nTo: b\nDate: c\n", " [https://a.b/c.png] ",
    samples.SKYPE_URL, f"{samples.SKYPE_URL}?sl=1", samples.TEAMS_URL, samples.TEAMS_OPTIONS, "/OLD1KEY2",
    "https://meet.contoso.com/anna/ELSE3KEY", "https://", "http://a", "HTTPS://A.B", "tel:+14255550142", "mailto:",
    "https://contoso.sharepoint.com/sites/a/Notes.one", "onenote:https://contoso.sharepoint.com/a.one", "onenote",
    "https://eu01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fmeet.contoso.com%2Fanna%2FOLD1KEY2",
    "https://urldefense.com/v3/__https://example.org/a__;!!b$", "{", "}", "{0}", "mms-meeting-block", "Join",
)  # fmt: skip
HOSTILE = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(NASTY), max_size=6).map("".join))
_ADDRESSES = st.one_of(
    st.just(""),
    st.sampled_from(
        ["https://help.contoso.com/", "http://example.org", "onenote:https://example.org/", "HTTPS://a/"]
    ).flatmap(lambda start: HOSTILE.map(start.__add__)),
    HOSTILE,
)
_NUMBERS = st.builds(
    PhoneNumber,
    st.one_of(st.sampled_from(["+14255550100", "+442055550123"]), HOSTILE),
    st.one_of(st.sampled_from(["+1 (425) 555-0100", ""]), HOSTILE),
    HOSTILE,
)
KEYS = st.from_regex(r"\A[A-Z0-9]{8}\Z").filter(lambda key: key not in ("OLD1KEY2", "ELSE3KEY"))
JOIN_URLS = st.builds(
    lambda start, user, key: f"{start}/{quote(user, safe='')}/{key}",
    st.sampled_from(
        ["https://meet.contoso.com", "https://example.org:8443/a/meet", "http://meet.contoso.com/fabrikam.com"]
    ),
    st.sampled_from(["anna", "o'brien", "josé", "a.b-c_d+e", "meet", "list", "x=y&z"]),
    KEYS,
)


@st.composite
def blocks(draw: st.DrawFn, join_urls: st.SearchStrategy[str] = JOIN_URLS) -> MeetingBlock:
    """A block of our own with or without a phone part, whatever a tenant's settings may contain."""
    has_phone = draw(st.booleans())
    return MeetingBlock(
        join_url=draw(join_urls),
        language=draw(st.sampled_from(LANGUAGES)),
        toll=draw(st.none() | _NUMBERS) if has_phone else None,
        toll_free=draw(st.none() | _NUMBERS) if has_phone else None,
        conference_id=draw(st.sampled_from(["7654321", ""]) | HOSTILE) if has_phone else "",
        local_numbers_url=draw(_ADDRESSES),
        help_url=draw(_ADDRESSES),
        legal_url=draw(_ADDRESSES),
        logo_url=draw(_ADDRESSES),
        footer_text=draw(HOSTILE),
        organization=draw(HOSTILE),
    )


# --- the blocks that are replaced -----------------------------------------------------------------------

NOTES = (
    "https://contoso.sharepoint.com/sites/budget/Shared%20Documents/Minutes.one",
    "https://contoso.sharepoint.com/:o:/s/o'brien/Notes.onetoc2?web=1&a=b",
    "onenote:https://contoso.sharepoint.com/sites/budget/Notes.one#Minutes&section-id={1}",
    "https://www.onenote.com/notebooks/5550100",
)


Content = bytes | Callable[[MeetingBlock | None], bytes | None]
"""A content line that stays, or what it says: with None before the rewrite, with a block after it (None: gone)."""


class OldBlock(NamedTuple):
    """A block as the add-in wrote it, text and HTML; `properties` are lines with what becomes of each."""

    text: str
    html: str
    notes: str
    properties: Sequence[Content]


def _property(name: str, before: str, after: Callable[[MeetingBlock], str] | None = None) -> Content:
    """A property that says `after` when it is rewritten, and goes where that is nothing."""

    def content(block: MeetingBlock | None) -> bytes | None:
        if block is None:
            return f"{name}:{before}".encode()
        said = after(block) if after else ""
        return f"{name}:{said}".encode("utf-8", "surrogateescape") if said else None

    return content


def _join_url(block: MeetingBlock) -> str:
    return safe_url(block.join_url)


def _location(block: MeetingBlock) -> str:
    return samples.escape(LOCATIONS[block.language])


def _first_number(block: MeetingBlock) -> str:
    number = block.toll or block.toll_free
    return samples.escape(dial_uri(number, block.conference_id)) if block.has_phone and number else ""


_SKYPE_PROPERTIES = (
    _property("X-MICROSOFT-ONLINEMEETINGEXTERNALLINK", samples.SKYPE_URL, _join_url),
    _property(
        "X-MICROSOFT-ONLINEMEETINGCONFLINK",
        "conf:sip:anna@contoso.com\\;gruu\\;opaque=app:conf:focus:id:OLD1KEY2?conversation-id=x",
    ),
    _property("X-MICROSOFT-CONFERENCETELURI", "tel:+12065550111\\,\\,1234567", _first_number),
    _property("URL", f"{samples.SKYPE_URL}?sl=1", _join_url),
    _property("CONFERENCE;VALUE=URI;FEATURE=AUDIO", samples.SKYPE_URL, _join_url),
    b"CONFERENCE;VALUE=URI:https://video.example.org/room/5",
    b"X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE",
    _property("LOCATION", "Skype Meeting", _location),
    b"LOCATION:Skype Meeting\\; Room 5",
)
_TEAMS_PROPERTIES = (
    _property("X-MICROSOFT-SKYPETEAMSMEETINGURL", samples.TEAMS_URL, _join_url),
    _property("X-MICROSOFT-SKYPETEAMSPROPERTIES", '{"cid":"19:meeting_QW5uYUNvbnRvc28x@thread.v2"\\,"private":true}'),
    _property("X-MICROSOFT-ONLINEMEETINGINFORMATION", '{"OnlineMeetingProvider":3}'),
    _property("X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL", "https://api.example.org/teams/19_meeting_x@thread.v2/0"),
    _property("URL", samples.TEAMS_URL, _join_url),
    _property("LOCATION;LANGUAGE=en-US", " Microsoft Teams Meeting ", _location),
    _property("LOCATION", samples.TEAMS_URL, lambda block: samples.escape(_join_url(block))),
    b"URL;X-KIND=agenda:https://example.org/agenda",
)


def _teams_1_text() -> str:
    return (
        f"{samples.BAR}\nJoin Microsoft Teams Meeting<{samples.TEAMS_URL}>\n"
        "+44 20 5555 0164<tel:+44 20 5555 0164,,200000087#>   United Kingdom, London (Toll)\n"
        "Conference ID: 200 000 087#\n"
        "Local numbers<https://dialin.teams.microsoft.com/usp?id=200000087> | "
        "Learn more about Teams<https://aka.ms/JoinTeamsMeeting> | "
        f"Meeting options<{samples.TEAMS_OPTIONS}>\n{samples.BAR}"
    )


def _teams_1_html(row: str = samples.BAR) -> str:
    outer = f'<div style="width:100%; height:20px"><span style="white-space:nowrap; color:gray">{row}</span></div>'
    return (
        f'{outer}\n<div class="me-email-text" style="color:#252424">\n<div style="margin-top:24px">'
        f'<a class="me-email-headline" href="{html.escape(samples.TEAMS_URL)}">Join Microsoft Teams Meeting</a></div>\n'
        f'<div><a class="me-email-link" href="{html.escape(samples.TEAMS_OPTIONS)}">Meeting options</a></div>\n</div>\n'
        f"{outer}"
    )


def _teams_2_text() -> str:
    return (
        f"{samples.BAR}\nMicrosoft Teams meeting\nJoin on your computer, mobile app or room device\n"
        f"Click here to join the meeting<{samples.TEAMS_URL}>\n\nMeeting ID: 300 000 000 149\nPasscode: aB3dE9\n"
        "Or call in (audio only)\n+44 20 5555 0164,,200000087#<tel:+442055550164,,200000087#>   United Kingdom\n"
        "Phone Conference ID: 200 000 087#\nFind a local number<https://dialin.teams.microsoft.com/usp?id=200000087>\n"
        f"Learn More<https://aka.ms/JoinTeamsMeeting> | Meeting options<{samples.TEAMS_OPTIONS}>\n{samples.BAR}"
    )


def _teams_2_word() -> str:
    """The second generation after Word has rewritten it: no class is left."""
    row = (
        "<div><p class=MsoNormal><span style='color:#5F5F5F'>"
        f"{samples.BAR}</span><span style='color:#252424'><o:p></o:p></span></p></div>"
    )
    return (
        f"{row}<div><div style='margin-top:18.0pt'><p class=MsoNormal><span style='font-size:18.0pt'>Microsoft Teams "
        f'meeting</span></p></div><div><p class=MsoNormal><a href="{html.escape(samples.TEAMS_URL)}" target="_blank">'
        "<span style='font-size:10.5pt'>Click here to join the\nmeeting</span></a><o:p></o:p></p></div></div>"
        f"{row}"
    )


def _notes_html(notes: str) -> str:
    return f'<a href="{html.escape(notes)}">Meeting notes</a>' if notes else ""


@st.composite
def skype_blocks(draw: st.DrawFn, notes: str = "") -> OldBlock:
    row = draw(st.sampled_from([samples.DOTS, samples.WRAPPED_DOTS, "." * 68]))
    html_row = draw(
        st.sampled_from(
            [
                samples.DOTS,
                "." * 68,
                f"<span>{'.' * 71}</span><span>{'.' * 66}</span>",
                f"<span>{'.' * 71}</span><br><span>{'.' * 66}</span>",
            ]
        )
    )
    footer = draw(st.sampled_from(["", "Welcome to Contoso, room 7 <https://example.org/rooms>\n"]))
    noted = f"Meeting notes <{notes}>\n" if notes else ""
    return OldBlock(
        samples.skype_text(row=row, inside=noted + footer),
        samples.skype_html(row=html_row, notes=_notes_html(notes)),
        notes,
        _SKYPE_PROPERTIES,
    )


@st.composite
def teams_blocks(draw: st.DrawFn, notes: str = "") -> OldBlock:
    generation = draw(st.sampled_from([1, 2, 3]))
    text = {1: _teams_1_text, 2: _teams_2_text, 3: samples.teams_text}[generation]()
    markup = {1: _teams_1_html, 2: _teams_2_word, 3: samples.teams_html}[generation]()
    if draw(st.booleans()):
        text = text.replace(samples.BAR, f"{'_' * 76}\n____")
    if notes:
        text = text.replace("\n+44", f"\nMeeting notes<{notes}>\n+44", 1)
        markup = markup.replace("</a>", f"</a>{_notes_html(notes)}", 1)
    return OldBlock(text, markup, notes, _TEAMS_PROPERTIES)


@st.composite
def own_blocks(draw: st.DrawFn, notes: str = "") -> OldBlock:
    """A block of our own, of the meeting that `OWN_JOIN_URL` joins, with a footer that no new block has."""
    block = draw(blocks(st.just(OWN_JOIN_URL)))
    block = replace(block, footer_text=f"The former footer\n{block.footer_text}")
    return OldBlock(render_text(block, notes), render_html(block, notes), notes, [])


OLD_BLOCKS = st.one_of(skype_blocks(), teams_blocks(), own_blocks())
OLD_BLOCKS_WITH_NOTES = st.sampled_from(NOTES).flatmap(
    lambda notes: st.one_of(skype_blocks(notes), teams_blocks(notes), own_blocks(notes))
)

# --- whole invitations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invitation:
    """An invitation and what rewrites make of it. `past` is an override that is over, octet for octet."""

    contents: Sequence[Content]
    layout: Layout
    notes: str
    past: bytes

    @property
    def source(self) -> bytes:
        return self.layout.write(self.lines())

    def lines(self, *blocks: MeetingBlock) -> list[bytes]:
        """The unfolded lines after a rewrite to each of the blocks in turn; the stamps are those before."""
        return [said[-1] for said in self.histories(*blocks) if said[-1] is not None]

    def histories(self, *blocks: MeetingBlock) -> list[list[bytes | None]]:
        """What each line says before any rewrite and after each; a property that was taken out stays out."""
        every = []
        for content in self.contents:
            said = [content if isinstance(content, bytes) else content(None)]
            for block in blocks:
                stays = isinstance(content, bytes) or said[-1] is None
                said.append(said[-1] if stays else content(block))
            every.append(said)
        return every


def _description(before: str, old: OldBlock, after: str) -> Content:
    lead, tail = before and f"{before}\n", after and f"\n{after}"

    def content(block: MeetingBlock | None) -> bytes:
        new = old.text if block is None else render_text(block, old.notes)
        return _escaped("DESCRIPTION:", f"{lead}{new}{tail}")

    return content


def _alternative(before: str, old: OldBlock, after: str) -> Content:
    def content(block: MeetingBlock | None) -> bytes:
        new = old.html if block is None else render_html(block, old.notes)
        return _escaped("X-ALT-DESC;FMTTYPE=text/html:", samples.document(before, new, after))

    return content


def _alternative_without_escapes(before: str, old: OldBlock, after: str) -> Content:
    """HTML as some producers write it: not escaped as a TEXT value has to be."""

    def content(block: MeetingBlock | None) -> bytes:
        new = old.html if block is None else render_html(block, old.notes)
        written = samples.document(before, new, after).replace("\n", " ")
        return f"X-ALT-DESC;FMTTYPE=text/html:{written}".encode("utf-8", "surrogateescape")

    return content


_WRITERS = {"text": _description, "html": _alternative, "unescaped html": _alternative_without_escapes}


def _escaped(head: str, text: str) -> bytes:
    return (head + samples.escape(text)).encode("utf-8", "surrogateescape")


_FORMS = st.sampled_from([("text",), ("html",), ("text", "html"), ("html", "text"), ("text", "unescaped html")])


@st.composite
def invitations(
    draw: st.DrawFn,
    old_blocks: st.SearchStrategy[OldBlock] = OLD_BLOCKS,
    parts: st.SearchStrategy[tuple[str, ...]] = _FORMS,
) -> Invitation:
    """A meeting or a series, with overrides that have their own block, none, or are over."""
    old = draw(old_blocks)
    kinds = draw(_FORMS)
    if "\\" in old.html or not re.search("[;,]", old.html):  # nothing could tell then that it is not escaped
        kinds = tuple(kind.removeprefix("unescaped ") for kind in kinds)
    layout = draw(LAYOUTS)

    def component(*dates: bytes, has_block: bool = True) -> list[Content]:
        lines: list[Content] = [b"BEGIN:VEVENT", b"UID:meeting-1@contoso.com", *dates]
        lines += [b"DTSTAMP:20291201T080000Z", b"SEQUENCE:3", b'ORGANIZER;CN="Lind, Anna":mailto:anna@contoso.com']
        lines += draw(st.lists(st.sampled_from(old.properties), unique=True)) if has_block and old.properties else []
        for kind in kinds if has_block else ():
            around = TEXT_AROUND if kind == "text" else HTML_AROUND
            lines.append(_WRITERS[kind](draw(around), old, draw(around)))
        lines.append(_escaped("SUMMARY:", draw(PROSE).replace("\n", " ")))
        alarm = [b"BEGIN:VALARM", b"ACTION:DISPLAY", _escaped("DESCRIPTION:", f"Soon:\n{old.text}"), b"END:VALARM"]
        return [*lines, *alarm, b"END:VEVENT"]

    contents: list[Content] = [b"BEGIN:VCALENDAR", b"VERSION:2.0", b"PRODID:-//Contoso//Tests//EN"]
    past: list[bytes] = []
    if draw(st.booleans()):
        contents += component(b"DTSTART:20300301T100000Z", b"DTEND:20300301T110000Z")
    else:
        contents += component(b"DTSTART:20290301T100000Z", b"DTEND:20290301T110000Z", b"RRULE:FREQ=WEEKLY")
        if draw(st.booleans()):
            over = component(b"RECURRENCE-ID:20290308T100000Z", b"DTSTART:20290308T100000Z")
            past = [line for each in over if (line := each if isinstance(each, bytes) else each(None)) is not None]
            contents += past
        if draw(st.booleans()):
            dates = (b"RECURRENCE-ID:20300412T100000Z", b"DTSTART:20300413T100000Z")
            contents += component(*dates, has_block=draw(st.booleans()))
    return Invitation([*contents, b"END:VCALENDAR"], layout, old.notes, layout.write(past))


# --- soup -----------------------------------------------------------------------------------------------


def _any_of(*pieces: str) -> st.SearchStrategy[str]:
    # As sampled_from, whose repr would spell out all the pieces.
    return st.integers(0, len(pieces) - 1).map(pieces.__getitem__)


def _joined(pieces: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(pieces, max_size=most).map("".join)


_TYPED = st.text(st.characters(codec="utf-8"), max_size=20)
# Of everything that has to do with blocks there is less than of anything else, or nothing would ever be rewritten.
_ROWS = (
    samples.DOTS, samples.WRAPPED_DOTS, "." * 60, "." * 10, "." * 59, samples.BAR, "_" * 70, "_" * 69, "_" * 32, "____",
    samples.OWN_ROW, "=" * 71, "=" * 73,
)  # fmt: skip
_MARKERS = (
    samples.SKYPE_URL, f"<{samples.SKYPE_URL}>", f"{samples.SKYPE_URL}?sl=1", samples.OTHER_SKYPE_URL, OWN_JOIN_URL,
    f"<{OWN_JOIN_URL}>", samples.TEAMS_URL, samples.TEAMS_OPTIONS, "https://video.example.org/j/5550100",
    "https://eu01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fmeet.contoso.com%2Fanna%2FOLD1KEY2",
    "https://urldefense.com/v3/__https://meet.contoso.com/anna/OLD1KEY2__;!!a", "https://zoom.us/j/5550100",
    "https://meet.contoso.com/someone/OLD1KEY2", "[!OC([1033])!]", "[!OC([041d])!]", "[!OC(", "OutJoinLink",
    "OutSharedNoteLink", "onenote:https://contoso.sharepoint.com/Notes.one", "tel:+14255550142", "*~*~*~*~*",
    "-----Original Appointment-----", "-----Ursprüngliche Besprechung-----", "From: Anna", "To: Bo", "When: 9",
)  # fmt: skip
_FRAMES = st.sampled_from(
    [
        (samples.DOTS, samples.SKYPE_URL),
        (samples.WRAPPED_DOTS, f"{samples.SKYPE_URL}?sl=1"),
        ("." * 60, samples.SKYPE_URL),
        (samples.BAR, samples.TEAMS_URL),
        (samples.OWN_ROW, OWN_JOIN_URL),
    ]
)
_WHOLE_TEXTS = st.sampled_from([samples.skype_text, samples.teams_text, _teams_1_text, _teams_2_text]).map(
    lambda make: make()
)
_WHOLE_MARKUP = st.sampled_from([samples.skype_html, samples.teams_html, _teams_1_html, _teams_2_word]).map(
    lambda make: make()
)

_PLAIN = st.one_of(
    _TYPED,
    _any_of("\n", " ", "\t", "\\", "\\n", "\n\n", "\xa0", ".", ",", ";", "'", '"', "<", ">", "&nbsp;", "-----", "*~*"),
    _any_of("From: Anna\n", "https://example.org/a", "http://", "ABCD2345", "/ABCD2345", "_" * 32, "." * 20),
)
_TEXT_PIECES = st.one_of(_PLAIN, _PLAIN, _any_of(*_ROWS, *_MARKERS), _any_of(*_ROWS).map("\n{}\n".format))
_PLAIN_TEXT = _joined(_PLAIN, 8)
_TEXT = _joined(_TEXT_PIECES, 6)
_FRAMED_TEXT = st.builds(
    lambda frame, before, after: f"\n{frame[0]}\n{before}<{frame[1]}>{after}\n{frame[0]}\n",
    _FRAMES,
    _PLAIN_TEXT,
    _TEXT,
)
TEXT_SOUP = st.one_of(
    st.tuples(_PLAIN_TEXT, _FRAMED_TEXT, _PLAIN_TEXT).map("".join),
    st.tuples(_PLAIN_TEXT, _WHOLE_TEXTS, _PLAIN_TEXT).map("\n".join),
    st.tuples(_TEXT, st.one_of(_FRAMED_TEXT, _WHOLE_TEXTS), _TEXT).map("".join),
    _TEXT,
)

_NAMES = _any_of(
    "a", "b", "i", "p", "u", "br", "hr", "td", "th", "tr", "ul", "ol", "li", "div", "img", "sub", "pre", "html", "body",
    "head", "span", "font", "table", "tbody", "style", "script", "title", "blockquote", "center", "o:p", "v:shape",
    "svg", "button", "textarea", "select", "option", "dl", "dt", "dd", "x-y",
)  # fmt: skip
_ATTRIBUTE_SOUP = _any_of(
    "", " class=MsoNormal", ' class="me-email-text"', ' class="x_me-email-text"', ' class="mms-meeting-block"', " =",
    " x='a>b'", ' x="<p>"', " x='", ' x="', " a=b=c", " /", "\n\tlang=EN-US", '\\" x=\\"', ' title="&quot;&lt;"',
    " href='onenote:x'", " name='OutSharedNoteLink'", ' href="https://example.org/a?b=c&amp;d"',
)  # fmt: skip
_TAGS = st.one_of(
    st.builds("<{}{}>".format, _NAMES, _ATTRIBUTE_SOUP),
    _NAMES.map("</{}>".format),
    st.builds("<{}{}>".format, _NAMES.map(str.upper), _ATTRIBUTE_SOUP),
)
_PLAIN_MARKUP = st.one_of(
    _TAGS,
    _BLOCKS,
    _TYPED,
    _any_of("<!--", "-->", "<!-- a -->", "<!--[if mso]>", "<![endif]-->", "<!DOCTYPE html>", "<?xml?>", "<![CDATA["),
    _any_of("&", "&amp;", "&nbsp;", "&#46;", "&#x5f;", "&#", "&#99999999;", "&lt;p&gt;", "<", ">", "</", "< p>"),
)
_ANCHORS = _any_of(
    *(f'<a href="{html.escape(url)}">x</a>' for url in (samples.SKYPE_URL, OWN_JOIN_URL, samples.TEAMS_URL)),
    f"<a href={samples.SKYPE_URL}>",
    "<a name=OutJoinLink>",
)
_HTML_PIECES = st.one_of(
    _PLAIN_MARKUP,
    _PLAIN_MARKUP,
    _ANCHORS,
    _any_of(f"<div>{samples.DOTS}</div>", f"<p>{samples.BAR}</p>", f"<div>{samples.OWN_ROW}</div>", *_ROWS, *_MARKERS),
)
PLAIN_MARKUP = _joined(_PLAIN_MARKUP, 8)
_MARKUP = _joined(_HTML_PIECES, 8)
_AROUND_ROW = _any_of("<div>{}</div>", "<p>{}</p>", "<p><b><i>{}</i></b></p>", "{}", "<td>{}</td>", "<div>{}<br></div>")
_FRAMED_MARKUP = st.builds(
    lambda frame, first, last, before, after: (
        f'{first.format(frame[0])}{before}<a href="{html.escape(frame[1])}">Join</a>{after}{last.format(frame[0])}'
    ),
    _FRAMES,
    _AROUND_ROW,
    _AROUND_ROW,
    PLAIN_MARKUP,
    _MARKUP,
)
HTML_SOUP = st.one_of(
    st.tuples(PLAIN_MARKUP, _FRAMED_MARKUP, PLAIN_MARKUP).map("".join),
    st.tuples(PLAIN_MARKUP, _WHOLE_MARKUP, PLAIN_MARKUP).map("".join),
    st.tuples(_MARKUP, st.one_of(_FRAMED_MARKUP, _WHOLE_MARKUP), _MARKUP).map("".join),
    _MARKUP,
)

_PROPERTIES = _any_of(
    "BEGIN", "END", "UID", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "SUMMARY",
    "STATUS", "METHOD", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "ORGANIZER", "ATTENDEE", "DESCRIPTION", "X-ALT-DESC",
    "STYLED-DESCRIPTION", "URL", "CONFERENCE", "LOCATION", "X-MICROSOFT-LOCATIONS", "description", "Uid", "X-A",
    "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK", "X-MICROSOFT-ONLINEMEETINGCONFLINK", "X-MICROSOFT-CONFERENCETELURI",
    "X-MICROSOFT-SKYPETEAMSMEETINGURL", "X-MICROSOFT-CDO-APPT-SEQUENCE",
)  # fmt: skip
_PARAMETERS = _any_of(
    "", ";VALUE=DATE", ";TZID=Europe/Rome", ';TZID="W. Europe Standard Time"', ";TZID=Nowhere", ";TZID=../../x",
    ";FMTTYPE=text/html", ";ENCODING=QUOTED-PRINTABLE", ';ALTREP="https://example.org"', ";RANGE=THISANDFUTURE",
    ';CN="Lind, Anna"', ";CN=^n^^^'", ';X="', ";=", ";;", ";X", ';X="a:b";Y=c', ";CN=é", ";CN=\x00",
)  # fmt: skip
_VALUES = st.one_of(
    _any_of("VEVENT", "VCALENDAR", "VTIMEZONE", "VALARM", "VTODO", "STANDARD", "", " ", "CANCELLED", "REPLY", "A. B"),
    _any_of("20300301T100000Z", "20300301T100000", "20300301", "00010101", "99991231T235959", "20300230", "1", "-1"),
    _any_of("FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;UNTIL=20300401", "FREQ=", "PT1H", "-P1D", "P99999999W", "2147483647"),
    _any_of("mailto:anna@contoso.com", "MAILTO:bo@contoso.com?a", "invalid:nomail", "mailto:%0a@x", "mailto:a@b"),
    _any_of("Skype Meeting", '[{"DisplayName":"Skype Meeting"}]', "\\", "\\\\", "\\n", "\xa0", "9" * 5000),
    _any_of(*_MARKERS),
    st.one_of(_WHOLE_TEXTS, _WHOLE_MARKUP).map(samples.escape),
    _TYPED,
)
_OCTETS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\n ", b"\r\n\t", b"\xef\xbb\xbf", b"\xff", b":", b'"']),
)
_CONTENT_LINE = st.builds(
    lambda name, parameters, value: f"{name}{parameters}:{value}".encode(),
    _PROPERTIES,
    st.one_of(st.just(""), _PARAMETERS),
    _VALUES,
)
_LINE = st.one_of(_CONTENT_LINE, _CONTENT_LINE, _CONTENT_LINE, _OCTETS)


def _component(name: bytes, inside: Iterable[bytes]) -> bytes:
    return b"\r\n".join([b"BEGIN:" + name, *inside, b"END:" + name])


def _meeting(lines: Iterable[bytes]) -> bytes:
    return _component(b"VEVENT", [b"UID:meeting-1@contoso.com", b"DTSTART:20300301T100000Z", *lines])


_COMPONENTS = st.recursive(
    st.builds(
        _component,
        st.sampled_from([b"VEVENT", b"vevent", b"VALARM", b"VTIMEZONE", b"VTODO", b"X-A"]),
        st.lists(_LINE, max_size=10),
    ),
    lambda inner: st.builds(
        _component,
        st.sampled_from([b"VEVENT", b"VCALENDAR", b"VTIMEZONE"]),
        st.lists(st.one_of(_LINE, inner), max_size=5),
    ),
    max_leaves=4,
)
_MEETINGS = st.one_of(
    st.lists(_LINE, max_size=8).map(_meeting),
    st.lists(_CONTENT_LINE, max_size=6).map(
        lambda lines: _meeting([*lines, _escaped("DESCRIPTION:", samples.skype_text())])
    ),
)
_CALENDARS = st.one_of(
    _MEETINGS.map(lambda meeting: [meeting]),
    st.lists(st.one_of(_MEETINGS, _COMPONENTS, _LINE), max_size=3),
).map(lambda inside: _component(b"VCALENDAR", inside) + b"\r\n")
CONTENT_LINES = st.one_of(
    _CALENDARS,
    st.lists(_CALENDARS, max_size=3).map(b"".join),
    st.tuples(_OCTETS, _CALENDARS, _OCTETS).map(b"".join),
    st.lists(_LINE, max_size=6).map(b"\r\n".join),
    st.binary(max_size=300),
)

# --- dates and rules ------------------------------------------------------------------------------------

_DATES = _any_of(
    "20300301T100000Z", "20300301T100000", "20300301", "20301231T235959Z", "20300331T023000", "16010101T000000",
    "00010101T000000", "99991231", "99991231T235959Z", "20300230", "20300301T250000", "203003", "", " ", "x", "-1",
    "20300301T100000Z/PT1H", "20300301T100000Z/20300301T110000Z", "20300301T100000+0100", "２０３００３０１", "PT1H",
)  # fmt: skip
_ZONES = _any_of(
    "", ";TZID=Europe/Rome", ";TZID=America/New_York", ";TZID=Pacific Standard Time", ';TZID="Europe/Madrid"', ";TZID=",
    ";TZID=/example.org/Europe/Rome", ";TZID=Nowhere", ";VALUE=DATE", ";VALUE=PERIOD", ";TZID=UTC;X=1",
)  # fmt: skip
_NUMBER = st.one_of(
    st.integers(-400, 400).map(str), _any_of("0", "-0", "+1", "1" * 30, "", "x", "1.5", "１", "10000", "366")
)
_DAYS = _any_of("MO", "TU", "SU", "1MO", "-1FR", "53WE", "-53TH", "0MO", "+2SA", "XX", "")
_NUMBERED_PARTS = _any_of(
    "INTERVAL", "COUNT", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS", "BYHOUR", "BYMINUTE", "BYSECOND",
    "BYEASTER",
)  # fmt: skip
_RULE_PARTS = st.one_of(
    st.builds(
        lambda name, numbers: f"{name}={','.join(numbers)}",
        _NUMBERED_PARTS,
        st.lists(_NUMBER, min_size=1, max_size=4),
    ),
    st.lists(_DAYS, min_size=1, max_size=4).map(lambda days: f"BYDAY={','.join(days)}"),
    _DATES.map("UNTIL={}".format),
    st.integers(1, 30_000).map("COUNT={}".format),
    _any_of("WKST=SU", "WKST=XX", "RSCALE=HEBREW", "RSCALE=GREGORIAN", "SKIP=OMIT", "X-A=1", "=", "FREQ=DAILY"),
    st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=6),
)
_FREQUENCIES = _any_of("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY", "daily", "NEVER")
_RULES = st.builds(
    lambda frequency, parts: ";".join([f"RRULE:FREQ={frequency}", *parts]),
    _FREQUENCIES,
    st.lists(_RULE_PARTS, max_size=5),
)
_DATE_LINES = st.builds(
    lambda name, zone, dates: f"{name}{zone}:{','.join(dates)}",
    _any_of("RDATE", "EXDATE", "DTSTART", "DTEND", "RECURRENCE-ID"),
    _ZONES,
    st.lists(_DATES, min_size=1, max_size=3),
)
_LENGTHS = _any_of("DURATION:PT1H", "DURATION:-P1W", "DURATION:P99999D", "DURATION:x", "STATUS:CANCELLED")
RECURRENCES = st.lists(st.one_of(_RULES, _DATE_LINES, _LENGTHS), max_size=5)
"""Lines about dates, to be added to an event that has a DTSTART."""
