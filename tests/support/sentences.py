"""Collect what is to be translated: Django's own command, which knows how sentences that are kept are written here.

``python -m tests.support.sentences``, as ``make sentences`` does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.core.management.commands import makemessages

_MADE_AT = re.compile(r'^"(POT-Creation-Date|PO-Revision-Date|Report-Msgid-Bugs-To): [^"]*"\n', re.MULTILINE)


class Collection(makemessages.Command):
    """Writes the catalogues of the languages of pages. Nothing in them changes but what people read."""

    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=sentence",
        "--keyword=sentence_plural:1,2",
    ]

    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(
            locale=["es", "it"],
            ignore_patterns=[".venv", "docs", "mms_site/locale", "span_dictionary_*.txt", "static", "tests", "var"],
            no_wrap=True,
            no_location=True,
            no_obsolete=True,
        )

    def write_po_file(self, potfile: str, locale: str) -> Any:
        """What changes each time says nothing, and stands in the way of whoever merges."""
        super().write_po_file(potfile, locale)
        path = Path(potfile).parent / locale / "LC_MESSAGES" / f"{self.domain}.po"
        path.write_text(_MADE_AT.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    django.setup()
    call_command(Collection(), verbosity=0)
