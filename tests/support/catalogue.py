"""Catalogues of gettext as they are written: what is said of each text, and where it has lost something."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d\])\s+)?(".*")')
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]|(?<!\{)\{\w*\}")
_TAG = re.compile(r"</?[a-z][^<>]*>")


@dataclass
class Entry:
    """A text, and what it is in the language of the catalogue; of what is counted one for each number."""

    parts: dict[str, str] = field(default_factory=dict)
    is_fuzzy: bool = False

    @property
    def text(self) -> str:
        return self.parts["msgid"]

    @property
    def said(self) -> dict[str, str]:
        return {name: text for name, text in self.parts.items() if name.startswith("msgstr")}

    def problems(self, *, may_drop: bool) -> Iterator[str]:
        """What is wrong with it, if anything; ``may_drop`` where not all that it names need be told."""
        if self.is_fuzzy:
            yield f"fuzzy: {self.text}"
        for name, said in self.said.items():
            if not said:
                yield f"empty: {self.text}"
                continue
            of = self.parts["msgid_plural"] if name == "msgstr[1]" else self.text
            named, kept = set(_PLACEHOLDER.findall(of)), set(_PLACEHOLDER.findall(said))
            of_many = set(_PLACEHOLDER.findall(self.parts.get("msgid_plural", "")))
            if not (kept == named or (may_drop and kept < named) or (name == "msgstr[0]" and kept < of_many)):
                yield f"placeholders {named ^ kept}: {self.text}"
            if Counter(_TAG.findall(of)) != Counter(_TAG.findall(said)):
                yield f"tags: {self.text}"
            if (of[:1].isspace(), of[-1:].isspace()) != (said[:1].isspace(), said[-1:].isspace()):
                yield f"spaces around it: {self.text}"


def entries_of(path: Path) -> list[Entry]:
    """All entries of a ``.po`` file but its header."""
    found, entry, name = [], Entry(), ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("#,") and "fuzzy" in line:
            entry.is_fuzzy = True
        elif match := _LINE.fullmatch(line):
            name = match[1] or name
            entry.parts[name] = entry.parts.get(name, "") + ast.literal_eval(match[2])
        elif not line and entry.parts:
            found.append(entry)
            entry = Entry()
    return [each for each in found if each.text]
