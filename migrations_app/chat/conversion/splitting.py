"""Splitting text at the end of a line, else of a word, and never within what people see as one character (R117).

Python has no list of grapheme clusters. What keeps characters together here are the rules of UAX #29 that occur in
messages: combining marks, joiners, variation selectors, modifiers of emoji, flags, Hangul, and carriage returns.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_JOINER = "\u200d"
_LONGEST_CLUSTER = 64
"""Code points that are kept together; a longer row of marks is nobody's character."""


@dataclass(frozen=True, slots=True)
class Piece:
    """From where to where a part reaches; the space or ends of lines between two parts belong to none."""

    start: int
    end: int


def is_boundary(text: str, at: int) -> bool:
    """Whether text may be taken apart before the code point at that index."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if after < "\x7f" and before < "\x7f":
        return not (before == "\r" and after == "\n")
    if _extends(after) or before == _JOINER:
        return False
    if _is_flag(before) and _is_flag(after):
        return _flags_before(text, at) % 2 == 0
    return not (_is_jamo(before) and _is_jamo(after, follows=True))


def _extends(character: str) -> bool:
    return (
        character == _JOINER
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # colours of skin
        or "\U000e0020" <= character <= "\U000e007f"  # tags, as in the flag of Scotland
        or character in "\u200c\uff9e\uff9f"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and count < _LONGEST_CLUSTER and _is_flag(text[at - count - 1]):
        count += 1
    return count


def _is_jamo(character: str, *, follows: bool = False) -> bool:
    if follows:
        return "\u1160" <= character <= "\u11ff"
    return "\u1100" <= character <= "\u11ff" or "\uac00" <= character <= "\ud7a3"


def pieces(text: str, *, octets: int | None, characters: int | None) -> list[Piece]:
    """Where to take the text apart, so that no part has more octets in UTF-8, or code points, than that.

    All of the text is in the parts, in its order, but for the ends of lines, or one space, between two of them.
    """
    found: list[Piece] = []
    start = 0
    while start < len(text):
        end = _reach(text, start, octets, characters)
        if end >= len(text):
            found.append(Piece(start, len(text)))
            break
        cut, following = _cut(text, start, end)
        found.append(Piece(start, cut))
        start = following
    return found or [Piece(0, 0)]


def _reach(text: str, start: int, octets: int | None, characters: int | None) -> int:
    """How far a part can reach at the most; at least one code point."""
    end = len(text) if characters is None else min(len(text), start + max(characters, 1))
    if octets is None:
        return end
    end = min(end, start + max(octets, 1))
    size = 0
    for index in range(start, end):
        size += _octets(text[index])
        if size > octets:
            return max(index, start + 1)
    return end


def _octets(character: str) -> int:
    code = ord(character)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def _cut(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the part ends that can reach to ``end`` at the most, and where the next one begins."""
    # A line or word that ends exactly there is whole.
    line = text.rfind("\n", start + 1, end + 1)
    if line > start:
        first = last = line
        while first > start + 1 and text[first - 1] == "\n":
            first -= 1
        while last + 1 < len(text) and text[last + 1] == "\n":
            last += 1
        return first, last + 1
    word = text.rfind(" ", start + 1, end + 1)
    if word > start + (end - start) // 2 and is_boundary(text, word + 1):
        return word, word + 1
    for at in range(end, max(start, end - _LONGEST_CLUSTER), -1):
        if is_boundary(text, at):
            return at, at
    return end, end


def size(text: str) -> int:
    """Octets in UTF-8."""
    return len(text.encode("utf-8", "replace"))
