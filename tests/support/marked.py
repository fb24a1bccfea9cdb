"""A language in which everything that can be translated stands between ⟦ and ⟧: what stands outside was forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import translation
from lxml.html import document_fromstring

_INNERMOST = re.compile("⟦[^⟦⟧]*⟧")
_NOT_SAID = " | ".join(
    [
        *(f"//{tag}" for tag in ("script", "style", "code", "kbd", "time", "svg", "textarea", "pre", "iframe")),
        "//body//*[@lang]",  # written in another language than the page
        "//*[contains(@class, 'verbatim')]",
        "//table[@class='compare']//td",
    ]
)
_ATTRIBUTES = " | ".join(f"//@{name}" for name in ("aria-label", "title", "placeholder", "alt", "label"))
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b")
"""Names of fields, types and states, such as ``DisplayName``."""
_ADDRESS = re.compile(r"\S*[@/]\S*|\+\d+|\b[\w-]+\.[a-z]{2,}\b|\b[0-9a-f]{8}-[0-9a-f-]{20,}\b")


@contextmanager
def everything_marked() -> Iterator[None]:
    """Meanwhile whatever is translated comes out between ⟦ and ⟧."""

    def marking(told: Any) -> Any:
        def marked(*given: Any) -> str:
            said = told(*given)
            # A full stop stays outside, because it goes where a sentence is continued.
            return f"⟦{said.removesuffix('.')}⟧{'.' if said.endswith('.') else ''}" if given[0] else ""

        return marked

    names = ("gettext", "ngettext", "pgettext", "npgettext")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(translation._trans, name, marking(getattr(translation._trans, name)), raising=False)
        yield


def without_marked(text: str) -> str:
    """The text without all that is marked."""
    while True:
        text, found = _INNERMOST.subn("", text)
        if not found:
            return text


def forgotten_on(page: str, names: Iterable[str]) -> list[str]:
    """What a page of HTML says that nobody has marked, but for names: of the data, of products, of commands."""
    return said_on(without_marked(page), names)


def said_on(page: str, names: Iterable[str]) -> list[str]:
    """What a page of HTML says, but for these names, for codes, and for what is somebody's own text."""
    whole = document_fromstring(page)
    for part in whole.xpath(_NOT_SAID):
        part.drop_tree()
    return forgotten_in([*whole.itertext(), *whole.xpath(_ATTRIBUTES)], names)


def forgotten_in(texts: Iterable[str], names: Iterable[str]) -> list[str]:
    """What plain texts say that nobody has marked, but for these names."""
    known = sorted(filter(None, names), key=len, reverse=True)
    found = set()
    for text in texts:
        left = _CODE.sub(" ", without_marked(text))
        for name in known:
            left = left.replace(name, " ")
        left = _ADDRESS.sub(" ", left)
        if _WORD.search(left):
            found.add(" ".join(left.split()))
    return sorted(found)
