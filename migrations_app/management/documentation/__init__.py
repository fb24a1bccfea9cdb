"""The pages of ``docs/`` that follow from the code, as text: what ``write_documentation`` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from migrations_app.management.documentation import commands, decisions, errors, settings
from migrations_app.management.documentation.mentions import Mentions

WRITTEN = ("decisions.md", "errors.md", "errors", "commands.md", "commands", "settings.md", "settings")
"""The files and folders of ``docs/`` that are written here, and by nobody else."""


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """The path of each page below ``docs/``, and its text. ``root`` is where the project is."""
    mentions = Mentions(root / "docs", WRITTEN)
    made: Iterable[tuple[str, Iterable[str]]] = [
        ("decisions.md", decisions.page()),
        *errors.pages(mentions),
        *commands.pages(mentions),
        *settings.pages(root / ".env.example", mentions),
    ]
    for path, lines in made:
        yield path, "\n".join(lines).rstrip("\n") + "\n"
