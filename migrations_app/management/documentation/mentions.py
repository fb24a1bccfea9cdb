"""Which of the guides, written by hand, tell more about a command, a setting or a code."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

ASIDE = {"architecture.md", "extending.md", "index.md", "glossary.md"}


class Mentions:
    """The guides of a folder: neither what is ``written`` from the code, nor what only lists or translates."""

    def __init__(self, folder: Path, written: Collection[str]) -> None:
        self._pages = {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in [
                *sorted(folder.glob("guide/*.md")),
                *sorted(folder.glob("*.md")),
                *sorted(folder.glob("operating/*.md")),
            ]
            if path.name not in ASIDE.union(written)
        }

    def see_also(self, name: str) -> list[str]:
        """The lines that lead to the guides which name it, for a page in a folder of its kind; none where none does."""
        named = re.compile(rf"`(?:[^`\n]* )?{re.escape(name)}(?: [^`\n]*)?`|manage\.py {re.escape(name)}\b")
        links = [f"[{_title(text)}](../{page})" for page, text in self._pages.items() if named.search(text)]
        return ["## More about it\n", " · ".join(links), ""] if links else []


def _title(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")
