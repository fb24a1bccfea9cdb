"""What is wrong with something that was to be read: where, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tenants_app.sentences import Sentence, sentence, sentence_plural

LISTED = 1_000
"""Problems that are kept; of more, only how many there are is known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line, or a whole entry, that cannot be used."""

    entry: str
    """The path in the archive, the name of the CSV file, or of the XML file."""
    line: int | None
    """From 1; None where it is about the entry as a whole."""
    reason: str
    """A sentence: what is wrong and, where it is not plain, what to do."""

    def __str__(self) -> str:
        return str(self.in_a_sentence)

    @property
    def in_a_sentence(self) -> Sentence:
        """Where, and why."""
        if self.line is None:
            return sentence("%(entry)s: %(reason)s", entry=self.entry, reason=self.reason)
        return sentence("%(entry)s, line %(line)s: %(reason)s", entry=self.entry, line=self.line, reason=self.reason)


class Unusable(Exception):
    """A source or archive cannot be used as it is (R101, R102). Nothing was written."""

    def __init__(self, problems: Iterable[Problem], *, count: int | None = None) -> None:
        self.problems: Sequence[Problem] = list(problems)[:LISTED]
        self.count = len(self.problems) if count is None else count
        super().__init__(self.in_a_sentence)

    @property
    def in_a_sentence(self) -> str:
        """The first problem, and how many there are besides."""
        first = self.problems[0].in_a_sentence if self.problems else ""
        if self.count <= 1:
            return first
        return sentence_plural(
            "%(first)s There is %(n)s more such problem.",
            "%(first)s There are %(n)s more such problems.",
            self.count - 1,
            first=first,
        )
