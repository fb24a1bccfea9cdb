"""What a run replaced in a meeting, made readable: the two texts side by side, line against line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from lxml import etree

from migrations_app.calendars.content_lines import unescaped
from migrations_app.rewriting.rendered import rendered
from migrations_app.rewriting.spans import Span
from tenants_app.sentences import sentence

_MOST_LINES = 1_000
"""Longer texts are shown without comparing them line by line, which takes the square of their length."""


_LONGEST_MARKED = 4_000
_LEAST_IN_COMMON = 0.4
_WORDS = re.compile(r"\d+|[^\W\d]+|\s+|[^\w\s]")

_TITLES = {
    "DESCRIPTION": sentence("Invitation as plain text"),
    "X-ALT-DESC": sentence("Invitation as HTML"),
    "STYLED-DESCRIPTION": sentence("Invitation as styled text"),
    "LOCATION": sentence("Location"),
}
_MACHINE_READ = sentence("Properties that only machines read")
_HTML = frozenset({"X-ALT-DESC", "STYLED-DESCRIPTION"})
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "table", "hr", "h1", "h2", "h3", "h4"})
_HIDDEN = frozenset({"style", "script", "title"})
_RULE = re.compile(r"([_=*.~-])\1{24,}")


class Piece(NamedTuple):
    """A part of a line that stays, or that the other side has otherwise."""

    text: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of both sides; None where a side has none. Equal lines did not change."""

    before: str | None
    after: str | None

    @property
    def is_same(self) -> bool:
        return self.before == self.after

    @property
    def pieces(self) -> tuple[list[Piece], list[Piece]]:
        """Both sides in pieces, so that the few characters that changed can be marked.

        Lines that have little in common are one piece each.
        """
        before, after = self.before or "", self.after or ""
        if self.before is None or self.after is None or len(before) + len(after) > _LONGEST_MARKED:
            return [Piece(before, is_changed=False)], [Piece(after, is_changed=False)]
        one, other = _WORDS.findall(before), _WORDS.findall(after)
        matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
        if matcher.ratio() < _LEAST_IN_COMMON:
            return [Piece(before, is_changed=False)], [Piece(after, is_changed=False)]
        sides: tuple[list[Piece], list[Piece]] = ([], [])
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            for side, words in ((sides[0], one[i1:i2]), (sides[1], other[j1:j2])):
                if words:
                    side.append(Piece("".join(words), is_changed=kind != "equal"))
        return sides


@dataclass(frozen=True, slots=True)
class Change:
    """One replaced piece: what it is called, which occurrence it belongs to, and its lines."""

    title: str
    occurrence: str
    rows: list[Row]
    frames: tuple[str, str] | None = None
    """Of HTML: both sides as whole documents for a frame, made harmless."""


def compare(spans: Iterable[Span], stand_ins: Mapping[str, str] = MappingProxyType({})) -> list[Change]:
    """The spans as people read them: texts line by line, HTML as its text and as a frame, what only machines read in
    one table. ``stand_ins`` are what the words of a preview stand for on the side that is to come.

    Blank lines are left out and long rules shortened, so that what matters fits on a screen.
    """
    changes: list[Change] = []
    for span in (_in_words(each, stand_ins) for each in spans):
        rows = list(_rows(_lines(span, span.before), _lines(span, span.after)))
        last = changes[-1] if changes else None
        title = _TITLES.get(span.property, _MACHINE_READ)
        if last and last.title == title and last.occurrence == span.recurrence_id:
            last.rows.extend(rows)
        else:
            frames = (_framed(span.before), _framed(span.after)) if span.property in _HTML else None
            changes.append(Change(title, span.recurrence_id, rows, frames))
    return changes


def compare_texts(title: str, before: str, after: str) -> Change:
    """Two plain texts as people read them, line by line; sentences among them in the reader's language."""
    return Change(title, "", list(_rows(str(before).splitlines(), str(after).splitlines())))


def _in_words(span: Span, stand_ins: Mapping[str, str]) -> Span:
    after = span.after
    for stand_in, words in stand_ins.items():
        after = re.sub(r"[ \xa0]?".join(map(re.escape, stand_in)), words, after)  # IDs are shown in groups
    return span._replace(after=after)


def _framed(value: str) -> str:
    return f'<font face="Segoe UI, Roboto, Arial, sans-serif" size="2">{rendered(_readable(value))}</font>'


def _readable(value: str) -> str:
    text = unescaped(value.encode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _lines(span: Span, value: str) -> list[str]:
    text = _readable(value)
    if span.property in _HTML:
        text = _text_of_html(text)
    lines = (re.sub(r"[ \t\xa0]+", " ", line).strip() for line in text.splitlines())
    return [_RULE.sub(r"\1" * 24, line) for line in lines if line]


def _rows(before: list[str], after: list[str]) -> Iterator[Row]:
    if len(before) + len(after) > _MOST_LINES:
        for i in range(max(len(before), len(after))):
            yield Row(before[i] if i < len(before) else None, after[i] if i < len(after) else None)
        return
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (Row(line, line) for line in before[i1:i2])
            continue
        old: list[str | None] = [*before[i1:i2]]
        new: list[str | None] = [*after[j1:j2]]
        longest = max(len(old), len(new))
        old += [None] * (longest - len(old))
        new += [None] * (longest - len(new))
        yield from map(Row, old, new)


def _text_of_html(html: str) -> str:
    """The text that a reader of the HTML sees, and after each link where it leads; of any text whatever, as browsers
    read it."""
    parser = etree.HTMLParser(target=_HTMLText(), encoding="utf-8")
    text: str = etree.fromstring(html.encode("utf-8", "replace"), parser)
    return text


@dataclass(slots=True)
class _HTMLText:
    """What the parser tells of a document, put together to its text."""

    pieces: list[str] = field(default_factory=list)
    target: str = ""
    hidden: int = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _BREAKS:
            self.pieces.append("\n")
        elif tag in _HIDDEN:
            self.hidden += 1
        elif tag == "a":
            self.target = attributes.get("href", "")

    def end(self, tag: str) -> None:
        if tag in _BREAKS - {"br", "hr"}:
            self.pieces.append("\n")
        elif tag in _HIDDEN:
            self.hidden -= 1
        elif tag == "a" and self.target:
            self.pieces.append(f" <{self.target}>")
            self.target = ""

    def data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data.replace("\n", " ").replace("\r", ""))

    def close(self) -> str:
        return "".join(self.pieces)
