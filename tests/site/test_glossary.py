"""The words of the glossary: each once, in three languages, and none of those that it advises against."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" |")]
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| English |")
]
AGAINST = {
    "es": r"peaje|conferencias? de audio|(?<!protocolo de )\benlaces?\b|\bobsolet|\bocurrencias?\b|\bañad",
    "it": r"pedaggio|\bponte\b|\bconvocazion|conferenz[ae] audio|\bper posta\b|dati di accesso esterno",
}
"""What machines made of Microsoft's English, and words beside the one that was chosen."""


def test_each_term_stands_there_once_in_all_languages() -> None:
    assert {row[0]: row for row in ROWS if len(row) not in {4, 5} or not all(row[:3])} == {}
    terms = [row[0] for row in ROWS]
    assert {term for term in terms if terms.count(term) > 1} == set()


@pytest.mark.parametrize("language", sorted(AGAINST))
def test_nobody_uses_what_the_glossary_advises_against(language: str) -> None:
    found = {
        (source.name, match[0])
        for source, text in translations(language)
        for match in re.finditer(rf"[^\n]*(?:{AGAINST[language]})[^\n]*", text, re.IGNORECASE)
    }

    assert found == set()


@pytest.mark.parametrize("language", sorted(AGAINST))
def test_guides_call_buttons_and_pages_by_what_they_say_in_that_language(language: str) -> None:
    """Whatever is set in italics is a translation of the catalogue."""
    said = {text for source, text in translations(language) if source.suffix == ".po" for text in text.split("\n")}
    guides = [text for source, text in translations(language) if source.suffix == ".md"]
    labels = {label for text in guides for label in re.findall(r"(?<![*\w])\*([^*\n]+)\*(?!\*)", text)}

    assert labels - said - NAMES == set()


NAMES = {"Contoso", "Contoso Legacy", "Contoso Cloud", "Fabrikam", "Seattle", "London"}


def translations(language: str) -> Iterator[tuple[Path, str]]:
    """The guides in that language, and what the catalogue says in it."""
    for page in (ROOT / "docs" / language).glob("*.md"):
        yield page, page.read_text(encoding="utf-8")
    for catalogue in (ROOT / "mms_site" / "locale" / language).rglob("django.po"):
        said = re.findall(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', catalogue.read_text(encoding="utf-8"), re.MULTILINE)
        yield catalogue, "\n".join(re.sub(r'"\n"|^"|"\n?$', "", text) for text in said)
