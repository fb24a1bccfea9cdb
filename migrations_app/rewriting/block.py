"""The meeting block that MMS writes: its content and how it reads as text and as HTML.

The text is what a mail server makes of the HTML (`label<link>`), so that a server which derives one from the
other does not make an unchanged block look changed.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from migrations_app.rewriting.labels import LABELS, language_of
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.rows import ROW

_FRAME_LIKE = re.compile(r"([=._])\1{19,}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f<>\"'`\\^{|}\u2028\u2029\ud800-\udfff]|[=._]{20,}")
_LINK = re.compile(r"(?:https?://|onenote:)\S", re.IGNORECASE)
_IS_WAY_IN = re.compile(r"https?://(?!.*[=._]{20})[^\x00-\x20\x7f-\x9f<>\"\\\u2028\u2029\ud800-\udfff]+", re.IGNORECASE)
_WORDS = re.compile(r"[a-z ]+")
_NONE = OnlineMeeting("")

# In the middle between black and white, so that both colours can be read on a light and on a dark page.
_GREY, _BLUE = "#767676", "#1277d3"

HTML_ROW = (
    f'<div aria-hidden="true" style="overflow:hidden;white-space:nowrap;font-size:11px;line-height:1;color:{_GREY}">'
    f"{ROW}</div>"
)
"""A row of the frame, small and pale: programs find the block by it, people need not read it."""

_HTML_START = (
    '<div class="mms-meeting-block" lang="{}" dir="ltr" style="font-family:\'Segoe UI\',Helvetica,Arial,sans-serif;'
    'font-size:14px;line-height:1.6;margin:16px 0">' + HTML_ROW + '<div style="padding:16px 0">'
)
_HTML_END = "</div>" + HTML_ROW + "</div>"
# Outlook reads the attributes, other programs read the style. On a plate of its own, because logos are drawn for white
# paper, and many of them bring it along.
_HTML_LOGO = (
    '<div style="margin:16px 0 0"><img src="{}" alt="{}" height="48" style="height:48px;width:auto;border:0;'
    'padding:8px 12px;border-radius:6px;background:#fff;color:#333"></div>'
)
_HTML_JOIN = (
    f'<div style="margin:0 0 12px"><a href="{{}}" style="font-size:18px;font-weight:600;color:{_BLUE};'
    'text-decoration:none">{}</a></div>'
)
_HTML_HEADING = '<div style="font-weight:600">{}</div>'
_A = f'<a href="{{}}" style="color:{_BLUE}">{{}}</a>'
_HTML_NUMBER = f"<div>{{}}: {_A}{{}}</div>"
_HTML_LINE = "<div>{}</div>"
_HTML_LINK = f"<div>{_A}</div>"
_HTML_NOTES = f'<div><a name="OutSharedNoteLink" href="{{}}" style="color:{_BLUE}">{{}}</a></div>'
_HTML_FOOTER = f'<div style="margin:16px 0 0;font-size:12px;color:{_GREY}">{{}}</div>'

_IMAGE = re.compile(r"<div\b[^<>]*+>\s*+<img\b[^<>]*+>\s*+</div>|<img\b[^<>]*+>", re.IGNORECASE)


class PhoneNumber(NamedTuple):
    """A service number: as machines dial it (E.164), as people read it, and the place it belongs to: city, country."""

    e164: str
    display: str
    place: str

    @property
    def country_first(self) -> PhoneNumber:
        city, comma, country = self.place.rpartition(", ")
        return self._replace(place=country + comma + city)


class Phone(NamedTuple):
    """How people phone into one meeting, where its service says so and not the organizer's settings (R43)."""

    toll: PhoneNumber | None
    toll_free: PhoneNumber | None
    conference_id: str
    local_numbers_url: str


@dataclass(frozen=True, slots=True)
class MeetingBlock:
    """What one meeting's block says: how to get in, who can be asked, and the organization's own texts.

    The phone part appears only with a conference ID and at least one number. `organization` stands for the logo where
    that is not shown. What leads into the meeting is written exactly as it is given, but for what could break the
    frame.
    """

    join_url: str
    language: str = "en"
    toll: PhoneNumber | None = None
    toll_free: PhoneNumber | None = None
    conference_id: str = ""
    local_numbers_url: str = ""
    help_url: str = ""
    legal_url: str = ""
    logo_url: str = ""
    footer_text: str = ""
    organization: str = ""
    meeting: OnlineMeeting | None = None
    """What leads into the meeting besides its join link."""

    def leading_to(self, meeting: OnlineMeeting) -> MeetingBlock:
        """Return the same block for an online meeting."""
        return replace(self, join_url=meeting.join_url, meeting=meeting)

    def dialled(self, phone: Phone | None) -> MeetingBlock:
        """Return the same block with another phone part; the same where none is given."""
        return self if phone is None else replace(self, **phone._asdict())

    @property
    def has_phone(self) -> bool:
        """Whether people can dial in."""
        return bool(self.conference_id and (self.toll or self.toll_free))

    @property
    def earlier(self) -> MeetingBlock:
        """The same block as it was written before places began with the city: it says nothing else."""
        toll, toll_free = (number and number.country_first for number in (self.toll, self.toll_free))
        return replace(self, toll=toll, toll_free=toll_free)


def location_label(language: str) -> str:
    """Return what LOCATION says of an online meeting, in a language of `language_of`."""
    return LABELS[language]["location"]


LOCATION_LABELS = frozenset(map(location_label, LABELS))
"""What LOCATION says of a meeting of our own, in any language."""


def dial_uri(number: PhoneNumber, conference_id: str) -> str:
    """Return the tel: link that dials the number and, after two pauses, the conference ID."""
    return f"tel:{re.sub(r'[^+0-9]', '', number.e164)},,{re.sub(r'[^0-9]', '', conference_id)}"


@lru_cache(maxsize=1024)
def render_text(block: MeetingBlock, shared_notes_url: str = "") -> str:
    """Return the block as plain text, frame included, without a line break at its end."""
    labels = LABELS[language_of(block.language)]
    lines = [ROW, f"{labels['join']} <{way_in(block.join_url)}>"]
    meeting = block.meeting or _NONE
    lines += [f"{labels[label]} <{way_in(url)}>" for label, url in _other_ways(meeting) if url]
    lines += [f"{labels[label]}: {text}" for label, text in _codes(meeting) if text]
    if block.has_phone:
        lines += ["", labels["phone"]]
        for label, number in _numbers(block):
            uri = dial_uri(number, block.conference_id)
            place = f" ({_line(number.place)})" if number.place else ""
            lines.append(f"{labels[label]}: {_line(number.display or number.e164)} <{uri}#>{place}")
        lines.append(f"{labels['conference_id']}: {_line(block.conference_id)}")
        if url := safe_url(block.local_numbers_url):
            lines.append(f"{labels['local_numbers']} <{url}>")
    if meeting.video_id:
        lines += ["", labels["video"]]
        lines += [f"{labels[label]}: {text}" for label, text in _video(meeting) if text]
        if meeting.video_help_url:
            lines.append(f"{labels['video_help']} <{way_in(meeting.video_help_url)}>")
    rest = [f"{labels[label]} <{url}>" for label, url in _links(block, shared_notes_url)]
    lines += ["", *rest] if rest else []
    footer = _footer(block)
    lines += ["", *footer] if footer else []
    lines.append(ROW)
    return "\n".join(lines)


@lru_cache(maxsize=1024)
def render_html(block: MeetingBlock, shared_notes_url: str = "") -> str:
    """Return the block as one line of HTML, frame included. Every value is escaped; colours suit light and dark."""
    language = language_of(block.language)
    labels = LABELS[language]
    pieces = [_HTML_START.format(language)]
    pieces.append(_HTML_JOIN.format(html.escape(way_in(block.join_url)), html.escape(labels["join"])))
    meeting = block.meeting or _NONE
    for label, url in _other_ways(meeting):
        if url:
            pieces.append(_HTML_LINK.format(html.escape(way_in(url)), html.escape(labels[label])))
    for label, text in _codes(meeting):
        if text:
            pieces.append(_HTML_LINE.format(html.escape(f"{labels[label]}: {text}")))
    if block.has_phone:
        pieces.append(_HTML_HEADING.format(html.escape(labels["phone"])))
        for label, number in _numbers(block):
            uri = dial_uri(number, block.conference_id)
            place = f" ({html.escape(_line(number.place))})" if number.place else ""
            display = html.escape(_line(number.display or number.e164))
            pieces.append(_HTML_NUMBER.format(html.escape(labels[label]), f"{uri}#", display, place))
        pieces.append(_HTML_LINE.format(html.escape(f"{labels['conference_id']}: {_line(block.conference_id)}")))
        if url := safe_url(block.local_numbers_url):
            pieces.append(_HTML_LINK.format(html.escape(url), html.escape(labels["local_numbers"])))
    if meeting.video_id:
        pieces.append(_HTML_HEADING.format(html.escape(labels["video"])))
        for label, text in _video(meeting):
            if text:
                pieces.append(_HTML_LINE.format(html.escape(f"{labels[label]}: {text}")))
        if meeting.video_help_url:
            pieces.append(
                _HTML_LINK.format(html.escape(way_in(meeting.video_help_url)), html.escape(labels["video_help"]))
            )
    for label, url in _links(block, shared_notes_url):
        template = _HTML_NOTES if label == "shared_notes" else _HTML_LINK
        pieces.append(template.format(html.escape(url), html.escape(labels[label])))
    if logo := safe_url(block.logo_url):
        pieces.append(_HTML_LOGO.format(html.escape(logo), html.escape(_line(block.organization))))
    if footer := _footer(block):
        pieces.append(_HTML_FOOTER.format("<br>".join(map(html.escape, footer))))
    pieces.append(_HTML_END)
    return "".join(pieces)


def without_logo(text: str) -> str:
    """Return HTML without the pictures between the first two rows of our own, which is the logo of a block."""
    start = text.find(ROW)
    end = text.find(ROW, start + len(ROW)) if start >= 0 else -1
    if end < 0 or "<img" not in (block := text[start:end]).lower():
        return text
    return text[:start] + _IMAGE.sub("", block) + text[end:]


def _numbers(block: MeetingBlock) -> list[tuple[str, PhoneNumber]]:
    both = (("toll", block.toll), ("toll_free", block.toll_free))
    return [(label, number) for label, number in both if number is not None]


def _links(block: MeetingBlock, shared_notes_url: str) -> list[tuple[str, str]]:
    options = block.meeting.options_url if block.meeting else ""
    every = (("shared_notes", shared_notes_url), ("help", block.help_url), ("legal", block.legal_url))
    found = [(label, url) for label, address in every if (url := safe_url(address))]
    return [("meeting_options", options), *found] if options else found


def _other_ways(meeting: OnlineMeeting) -> list[tuple[str, str]]:
    return [("web_app", meeting.web_app_url), ("second_join", meeting.second_join_url)]


def _codes(meeting: OnlineMeeting) -> list[tuple[str, str]]:
    return [("meeting_id", meeting.meeting_id), ("passcode", meeting.passcode)]


def _video(meeting: OnlineMeeting) -> list[tuple[str, str]]:
    return [("tenant_key", meeting.tenant_key), ("video_id", meeting.video_id)]


def _footer(block: MeetingBlock) -> list[str]:
    text = block.footer_text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return [_line(line.rstrip()) for line in text.split("\n")] if text else []


def _line(text: str) -> str:
    """Return text that stays on its line and cannot pass for a row of a frame."""
    return _FRAME_LIKE.sub(lambda found: found[0][:19], _CONTROL.sub(" ", text.replace("\n", " ")))


def safe_url(address: str) -> str:
    """Return an http(s) or OneNote link that cannot leave its angle brackets, quotes or line; "" for any other."""
    address = address.strip()
    if not _LINK.match(address):
        return ""
    return _NOT_IN_URL.sub(lambda found: _percent(found[0]), address)


def way_in(address: str) -> str:
    """Return a link into a meeting exactly as it is, or made safe where it could leave its line or its brackets.

    Words that stand for a link, in a preview, are no address and stay words.
    """
    return address if _IS_WAY_IN.fullmatch(address) or _WORDS.fullmatch(address) else safe_url(address)


def can_be_carried(meeting: OnlineMeeting) -> bool:
    """Tell whether all that leads into a meeting can be written into a block exactly as it is (R40)."""
    urls = (
        meeting.join_url, meeting.second_join_url, meeting.web_app_url, meeting.video_help_url, meeting.options_url,
    )  # fmt: skip
    texts = (meeting.meeting_id, meeting.passcode, meeting.tenant_key, meeting.video_id)
    return all(not url or _IS_WAY_IN.fullmatch(url) for url in urls) and all(
        text == _line(text) and not _CONTROL.search(text) for text in texts
    )


def _percent(text: str) -> str:
    if len(text) > 1:
        return "".join(f"%{ord(character):02X}" for character in text)
    return quote(text, safe="", errors="replace")
