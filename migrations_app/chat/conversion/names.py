"""What categories and rooms are called at a target, where categories have one level only (R113). Nothing is cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence

from migrations_app.chat.archive.records import LONGEST_NAME, Category
from migrations_app.chat.conversion.splitting import is_boundary

SEPARATOR = " - "
PATH_SEPARATOR = " / "
"""Between the names of a path where it is shown as it is at the source."""
_ELLIPSIS = "…"
_LONGEST_PATH = 100
"""Levels of categories that are followed: a chain that leads to itself ends here."""
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
"""What no name can have anywhere: control characters, ends of lines, and half characters."""


def folded(name: str) -> str:
    """By what names are compared: in NFC, without case and without spaces around; accents count (R100, R120)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def path_of(category: str, categories: Mapping[str, Category]) -> list[Category]:
    """The category with those above it, the highest first; empty where it is not known."""
    path: list[Category] = []
    at: str | None = category
    while at is not None and at in categories and len(path) < _LONGEST_PATH and categories[at] not in path:
        path.append(categories[at])
        at = categories[at].parent
    return path[::-1]


def shown_path(path: Sequence[Category]) -> str:
    """A path as it is at the source, such as “A / B / C”."""
    return PATH_SEPARATOR.join(each.name for each in path)


def flat(path: Sequence[Category], separator: str = SEPARATOR) -> str:
    """The one name that a nested category gets: its own, prefixed with the full names of those above it."""
    return separator.join(each.name for each in path)


def prefixed(name: str, path: Sequence[Category], separator: str = SEPARATOR) -> str:
    """A room's name with the names of its category and those above it before it."""
    return separator.join([*(each.name for each in path), name])


def longest(of_target: int | None) -> int:
    """How many characters a name may have, where the target has a limit of its own or none."""
    return LONGEST_NAME if of_target is None else min(LONGEST_NAME, of_target)


def refused_characters(name: str, forbidden: str = "") -> str:
    """The characters of the name that it cannot have there, each once, in their order."""
    found = _UNSHOWN.findall(name) + (re.findall(forbidden, name) if forbidden else [])
    return "".join(dict.fromkeys(found))


def without_refused(name: str, forbidden: str = "") -> str:
    """The name with a hyphen for each character that it cannot have there: a proposal."""
    name = _UNSHOWN.sub("-", name)
    return (re.sub(forbidden, "-", name) if forbidden else name).strip()


def shorter(name: str, at_most: int, taken: Collection[str] = (), key: Callable[[str], str] = folded) -> str:
    """A name of at most so many characters that is not among those that are taken, by their keys: a proposal, which
    nobody gets by itself. The end of a name tells rooms apart more often than its prefix, so the middle goes."""
    if len(name) <= at_most:
        return name
    for number in range(1, len(taken) + 2):
        tail = "" if number == 1 else f" ({number})"
        proposed = _without_middle(name, at_most - len(tail)) + tail
        if key(proposed) not in taken:
            return proposed
    return ""


def _without_middle(name: str, at_most: int) -> str:
    room = max(at_most - len(_ELLIPSIS), 0)
    head, tail = room - room // 2, len(name) - room // 2
    while head > 0 and not is_boundary(name, head):
        head -= 1
    while tail < len(name) and not is_boundary(name, tail):
        tail += 1
    return f"{name[:head].rstrip()}{_ELLIPSIS}{name[tail:].lstrip()}"


def another(
    name: str, taken: Collection[str], key: Callable[[str], str] = folded, *, first: int = 2
) -> tuple[str, int]:
    """The name with the first number behind it, from that one on, with which its key is not taken (R120); and it."""
    number = first
    while key(f"{name} ({number})") in taken:
        number += 1
    return f"{name} ({number})", number
