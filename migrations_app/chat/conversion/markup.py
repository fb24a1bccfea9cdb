"""The markup that occurs in the plain text of a message, and HTML that may be shown anywhere (R117).

Published is only that a file is a ``ma-filelink:`` link, a link an HTML element, and a story written ``[STORY]…``; the
rest of the text is no HTML, whatever it looks like. So nothing but these three is taken for markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

LINKED = frozenset({"http", "https", "ftp", "ftps", "mailto", "tel", "sip", "sips"})
"""Schemes that become links; any other stays text."""
STORY = "[STORY]"
FILE_LINK = "ma-filelink:"

_ANCHOR = re.compile(r"<a[\s/][^<>]{0,8192}>", re.IGNORECASE)
_HREF = re.compile(
    r"""\bhref\s{0,20}=\s{0,20}(?:"([^"]{0,4096})"|'([^']{0,4096})'|([^\s"'>]{1,4096}))""", re.IGNORECASE
)
_ANCHOR_END = re.compile(r"</a\s{0,20}>", re.IGNORECASE)
_BARE = re.compile(r"""(?:https?://|ma-filelink:)[^\s<>"']{1,2048}""", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,200}>")
_BEHIND_LINK = ".,;:!?'\"»”’)]}"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):")
_STORY_END = re.compile(r"\[/STORY\]\s*\Z", re.IGNORECASE)
_STORY_TITLE = re.compile(r"\s*(?:\[TITLE\](?P<marked>.*?)\[/TITLE\]|(?P<line>[^\n]*))", re.IGNORECASE | re.DOTALL)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": "\xa0"}
_ENTITY = re.compile("|".join(_ENTITIES), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters that look alike."""

    text: str
    bold: bool = False
    italic: bool = False
    underline: bool = False
    href: str = ""
    """Where it leads; only what :func:`may_be_linked` allows."""
    is_added: bool = False
    """Whether the source does not display it: the address behind the text of a link."""
    file: str = ""
    """What a ``ma-filelink:`` link names; its text is the name of the file."""


def may_be_linked(address: str) -> bool:
    """Whether it is an address that nobody can be harmed by who clicks it: no script, no data, no spaces within."""
    scheme = _SCHEME.match(address)
    if scheme is None or scheme[1].lower() not in LINKED or re.search(r"[\s\x00-\x1f\x7f<>\"\ud800-\udfff]", address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.netloc) if parts.scheme in ("http", "https", "ftp", "ftps") else bool(parts.path)


def parse(text: str) -> list[Span]:
    """The text with its links and file links, in time that grows with its length whatever it says."""
    spans: list[Span] = []
    at = 0
    for opening in _ANCHOR.finditer(text) if "<a" in text or "<A" in text else ():
        if opening.start() < at:
            continue  # within the text of another link
        closing = _ANCHOR_END.search(text, opening.end())
        if closing is None:
            break
        spans += _bare(text[at : opening.start()])
        shown = _unescaped(_TAG.sub("", text[opening.end() : closing.start()]))
        href = _HREF.search(opening[0])
        spans += _link(_unescaped(next(filter(None, href.groups()), "")) if href else "", shown)
        at = closing.end()
    spans += _bare(text[at:])
    return spans


def story(text: str) -> tuple[str, str]:
    """Title and body of a story. The title is its first line, unless it is marked as such."""
    text = _STORY_END.sub("", text.lstrip().removeprefix(STORY))
    found = _STORY_TITLE.match(text)
    if found is None:
        return text.strip(), ""
    title = found["marked"] if found["marked"] is not None else found["line"]
    return title.strip(), text[found.end() :].strip("\n").rstrip()


def plain(spans: Iterable[Span]) -> str:
    """All of it as text."""
    return "".join(span.text for span in spans)


def displayed(spans: Iterable[Span]) -> str:
    """The text without the addresses that are added to it."""
    return "".join(span.text for span in spans if not span.is_added)


def is_formatted(spans: Iterable[Span]) -> bool:
    """Whether there is anything that plain text does not show."""
    return any(span.bold or span.italic or span.underline or span.href for span in spans)


def part_of(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Those characters of the plain form that are between these two places, as they look."""
    found = []
    at = 0
    for span in spans:
        low, high = max(start - at, 0), min(end - at, len(span.text))
        if low < high:
            found.append(span if (low, high) == (0, len(span.text)) else replace(span, text=span.text[low:high]))
        at += len(span.text)
        if at >= end:
            break
    return found


def styled(spans: Sequence[Span], like: Sequence[Span]) -> list[Span]:
    """The spans as they are, formatted like others that display the same text (R117: RTF for formatting only)."""
    found = []
    source = [(span, len(span.text)) for span in like if span.text]
    index = used = 0
    for span in spans:
        if span.is_added or not span.text:
            found.append(span)
            continue
        at = 0
        while at < len(span.text) and index < len(source):
            model, length = source[index]
            take = min(length - used, len(span.text) - at)
            part = span.text[at : at + take]
            found.append(
                replace(
                    span,
                    text=part,
                    bold=span.bold or model.bold,
                    italic=span.italic or model.italic,
                    underline=span.underline or model.underline,
                    href=span.href or ("" if span.file else model.href),
                )
            )
            at, used = at + take, used + take
            if used == length:
                index, used = index + 1, 0
        if at < len(span.text):
            found.append(replace(span, text=span.text[at:]))
    return found


def as_html(spans: Iterable[Span]) -> str:
    """HTML with links, ``strong``, ``em``, ``u`` and ``br`` only, which says what the plain form says. Whatever people
    wrote is escaped."""
    written = []
    for span in spans:
        inner = html.escape(span.text, quote=False).replace("\n", "<br>")
        for is_so, tag in ((span.underline, "u"), (span.italic, "em"), (span.bold, "strong")):
            if is_so:
                inner = f"<{tag}>{inner}</{tag}>"
        if span.href and may_be_linked(span.href):
            inner = f'<a href="{html.escape(span.href)}">{inner}</a>'
        written.append(inner)
    return "".join(written)


def _bare(text: str) -> list[Span]:
    """Text outside of link elements: addresses in it are links, too."""
    if "://" not in text and FILE_LINK not in text.lower():
        return [Span(text)] if text else []
    spans, at = [], 0
    for found in _BARE.finditer(text):
        address = _without_what_follows(found[0])
        if found.start() > at:
            spans.append(Span(text[at : found.start()]))
        spans += _link(address, "")
        at = found.start() + len(address)
    if at < len(text):
        spans.append(Span(text[at:]))
    return spans


def _without_what_follows(address: str) -> str:
    """The address without the full stop, or the bracket, of the sentence that it stands in."""
    while address and address[-1] in _BEHIND_LINK:
        if address[-1] == ")" and address.count("(") >= address.count(")"):
            break
        address = address[:-1]
    return address


def _link(address: str, shown: str) -> list[Span]:
    address, shown = address.strip(), shown.strip()
    if address.lower().startswith(FILE_LINK):
        named = address[len(FILE_LINK) :].strip("/")
        return [Span(shown if shown and not shown.lower().startswith(FILE_LINK) else name_in(named), file=named)]
    href = address if may_be_linked(address) else ""
    if not shown or not address or shown == address:
        return [Span(shown or address, href=href)] if shown or address else []
    return [Span(shown, href=href), Span(f" ({address})", is_added=True)]


def name_in(file_link: str) -> str:
    """The name of the file as far as the link tells: what stands behind its last stroke, without its query."""
    last = re.split(r"[/\\]", file_link.partition("?")[0].rstrip("/\\"))[-1]
    return unquote(last, errors="replace") or file_link


def _unescaped(text: str) -> str:
    return _ENTITY.sub(lambda found: _ENTITIES[found[0].lower()], text) if "&" in text else text
