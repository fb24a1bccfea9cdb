"""Problems that are gathered while a source is checked, so that all are told at once (R101)."""

from __future__ import annotations

from migrations_app.chat.archive.problems import LISTED, Problem, Unusable


class Reported:
    """The first problems, and how many there are."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.count = 0

    def add(self, entry: str, line: int | None, reason: str) -> None:
        self.count += 1
        if len(self.problems) < LISTED:
            self.problems.append(Problem(entry, line, reason))

    def stop_if_any(self) -> None:
        """Raise ``Unusable`` with what was gathered so far."""
        if self.count:
            raise Unusable(self.problems, count=self.count)
