"""What a reader sees in a piece of a description, links included, and where each character of it stands.

Text and HTML come out alike: a link follows its words, between LINK and END. Offsets are octets of the unfolded, still
escaped value.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property, lru_cache
from html import escape
from itertools import accumulate

from migrations_app.calendars.content_lines import escaped, unescaped
from migrations_app.rewriting.shown_html import characters

LINK, END = "\x02", "\x03"
"""They stand around the address of a link, instead of angle brackets or of markup."""

_ESCAPE = rb"\\r\\[nN]|\\[nN,;\\]"
_IN_TEXT = re.compile(rb"(?P<escape>" + _ESCAPE + rb")")
_IN_HTML = re.compile(
    # Only these begin anything, which is found out faster than that none of what follows does.
    rb"[ \t\r\n\\&<](?:"
    # Where a server breaks its lines a blank of the text becomes several, of which one is seen.
    rb"(?P<blank>(?:(?<=[ \t\r\n])|(?<=\\)(?:r\\)?[nN])(?:[ \t\r\n]|\\(?:r\\)?[nN])++)"
    rb"|(?P<escape>(?<=\\)(?:r\\[nN]|[nN,;\\]))"
    rb"|(?P<reference>(?<=&)(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30})(?:\\?;)?)"
    rb"|(?<=<)(?:!--.*?(?:-->|\Z)"
    rb"|(?P<close>/?)(?P<name>[A-Za-z][\w:-]*)(?P<rest>(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)>"
    rb"|[!?/](?:[^<>]*+)>))",
    re.DOTALL,
)
_HREF = re.compile(rb"""(?:^|[\s"'])href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_LINES = frozenset(
    [b"br", b"p", b"div", b"tr", b"td", b"th", b"li", b"ul", b"ol", b"table", b"hr", b"h1", b"h2", b"h3", b"h4"]
)
_HIDDEN = frozenset([b"style", b"script", b"title"])
# A text's link stands in angle brackets; some programs break the line inside them.
_LINK_IN_TEXT = re.compile(
    r"<(\s*(?:https?|tel|mailto|onenote):(?:[^<>\s]++|\s(?=\s*>))*)>|<(\s*tel:[^<>\n]*)>", re.IGNORECASE
)


class _Pieces:
    """The pieces that a text is put together from.

    `places` are where each stands in the octets, from and to, and whether it is copied character for character. What
    stands for markup takes no octets.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.places: list[tuple[int, int, bool]] = []

    def add(self, text: str, start: int, end: int, *, is_copied: bool = False) -> None:
        if text:
            self.texts.append(text)
            self.places.append((start, end, is_copied))


class Reading:
    """The text of the octets from `start` to `end` of a description.

    Where each piece of it stands is looked up only when it is asked for: most readings are never changed.
    """

    def __init__(self, value: bytes, start: int, end: int, *, is_html: bool) -> None:
        self.is_html = is_html
        self._range = (value, start, end)

    @cached_property
    def text(self) -> str:
        """What one reads."""
        if self.is_html:
            return "".join(self._pieces.texts)
        value, start, end = self._range
        text = unescaped(value[start:end])
        return _LINK_IN_TEXT.sub(lambda found: LINK + found[0][1:-1] + END, text) if "<" in text else text

    @cached_property
    def _pieces(self) -> _Pieces:
        pieces = _Pieces()
        if self.is_html:
            _read_html(*self._range, pieces)
        else:
            _copy(*self._range, pieces, _IN_TEXT, breaks="\n")
        return pieces

    @cached_property
    def _starts(self) -> list[int]:
        """Where each piece stands in the text."""
        return [*accumulate(map(len, self._pieces.texts), initial=0)][:-1]

    def octets(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return where some characters of the text stand, without the markup between them."""
        ranges: list[tuple[int, int]] = []
        starts = self._starts
        piece = bisect_right(starts, start) - 1
        while piece < len(starts) and starts[piece] < end:
            first, last = self._within(piece, start, end)
            if ranges and ranges[-1][1] == first:
                ranges[-1] = (ranges[-1][0], last)
            elif first < last:
                ranges.append((first, last))
            piece += 1
        return ranges

    def _within(self, piece: int, start: int, end: int) -> tuple[int, int]:
        begin, stop, is_copied = self._pieces.places[piece]
        if not is_copied:
            return begin, stop
        at = self._starts[piece]
        text = self._pieces.texts[piece]
        first = begin + _length(text[: max(start - at, 0)])
        if end >= at + len(text):
            return first, stop
        return first, first + _length(text[max(start - at, 0) : end - at])

    def encoded(self, text: str, *, is_escaped: bool) -> bytes:
        """Return text as it is written in such a piece; `is_escaped` tells whether its commas and the like are."""
        if self.is_html:
            text = escape(text, quote=False)
        return escaped(text) if is_escaped else text.encode("utf-8", "surrogateescape")


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


@lru_cache(maxsize=256)
def _character(reference: bytes) -> str:
    """Return what a character reference stands for; most texts have few of them, many times."""
    return characters(reference.replace(b"\\", b"").decode("ascii"))


def _copy(value: bytes, start: int, end: int, pieces: _Pieces, tokens: re.Pattern[bytes], breaks: str) -> None:
    """Add octets that hold no markup, without their escapes and, of HTML, character references."""
    at = start
    for found in tokens.finditer(value, start, end):
        _copy_plain(value, at, found.start(), pieces)
        at = found.end()
        octets = found[0]
        if octets[:1] == b"\\":
            text = breaks if octets[-1:] in b"nN" else octets[1:].decode("ascii")
        elif octets[:1] == b"&":
            text = _character(octets)
        else:
            text = octets.decode("utf-8", "surrogateescape")
        pieces.add(text, found.start(), at)
    _copy_plain(value, at, end, pieces)


def _copy_plain(value: bytes, start: int, end: int, pieces: _Pieces) -> None:
    if start < end:
        pieces.add(value[start:end].decode("utf-8", "surrogateescape"), start, end, is_copied=True)


def _read_html(value: bytes, begin: int, end: int, pieces: _Pieces) -> None:
    at, targets, hidden = begin, list[tuple[int, int]](), 0
    for found in _IN_HTML.finditer(value, begin, end):
        start = found.start()
        if at < start and not hidden:
            text = value[at:start].decode("utf-8", "surrogateescape")
            if "\n" in text or "\r" in text or "\t" in text:
                text = text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
            pieces.add(text, at, start, is_copied=True)
        at = found.end()
        kind = found.lastgroup
        if kind == "blank" and not hidden:
            pieces.add(" ", start, at)
        elif kind == "escape" and not hidden:
            octets = found[0]
            pieces.add(" " if octets[-1:] in b"nN" else octets[1:].decode("ascii"), start, at)
        elif kind == "reference" and not hidden:
            pieces.add(_character(found[0]), start, at)
        elif kind == "rest":
            name = found["name"].lower()
            if name in _HIDDEN:
                hidden = max(hidden + (-1 if found["close"] else 1), 0)
            elif name in _LINES:
                pieces.add("\n", start, start)
            elif name == b"a":
                if found["close"]:
                    _add_target(value, targets, pieces)
                elif (href := _HREF.search(value, found.start("rest"), found.end("rest"))) is not None:
                    group = href.lastindex or 1
                    targets.append(href.span(group))
                else:
                    targets.append((0, 0))
    if at < end and not hidden:
        text = value[at:end].decode("utf-8", "surrogateescape").replace("\n", " ").replace("\r", " ")
        pieces.add(text, at, end, is_copied=True)
    while targets:
        _add_target(value, targets, pieces)


_REFERENCES = re.compile(_IN_TEXT.pattern + rb"|&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30})\\?;")


def _add_target(value: bytes, targets: list[tuple[int, int]], pieces: _Pieces) -> None:
    start, end = targets.pop() if targets else (0, 0)
    if start < end:
        pieces.add(LINK, start, start)
        _copy(value, start, end, pieces, _REFERENCES, breaks=" ")
        pieces.add(END, end, end)
