"""What can differ between a room of the archive and the target, and what to do about it (R123, R124).

A sentence names a message by its number, time and author, never by its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tenants_app.sentences import Sentence, sentence

LISTED = 200
"""Differences of a room that are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference."""

    code: str
    """Stable, for filters and scripts. All are in ``DO``."""
    sentence: str
    do: str
    n: int | None = None
    """The message that it is about; None where it is about the room."""


@dataclass(slots=True)
class Differences:
    """Those that were found: the first of them, and how many there are of each code."""

    at_most: int = LISTED
    listed: list[Difference] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, text: str, n: int | None = None) -> None:
        self.counts[code] += 1
        if len(self.listed) < self.at_most:
            self.listed.append(Difference(code, text, DO[code], n))

    @property
    def total(self) -> int:
        return self.counts.total()


_AGAIN: Sentence = sentence("Import the room again: what is missing is added, and nothing is written twice.")
_BY_HAND: Sentence = sentence("Look at both sides, put it right at the target, and compare again; or accept it.")

DO: Mapping[str, str] = {
    "lost-message": _AGAIN,
    "doubled-message": sentence("Delete one of the two at the target, and compare again; or accept it."),
    "altered-text": _BY_HAND,
    "altered-author": _BY_HAND,
    "altered-time": _BY_HAND,
    "wrong-order": _BY_HAND,
    "foreign-message": sentence("Find out who wrote it and why it is dated so; delete it at the target, or accept it."),
    "unknown-message": sentence("Compare with the archive that was imported, or delete the message at the target."),
    "lost-file": _AGAIN,
    "altered-file": sentence("Replace the file at the target by the one of the archive, and compare again."),
    "name": sentence("Rename it at the target, and compare again; or accept it."),
    "category": sentence("Move it at the target, and compare again; or accept it."),
    "setting": sentence("Change the setting at the target, and compare again; or accept it."),
    "privacy-widened": sentence("Close the room at the target at once, then find out who came in."),
    "missing-people": sentence("Give them their rights at the target, and compare again; or accept it."),
    "no-room": sentence("Import the room, or look whether somebody renamed it at the target; then compare again."),
    "not-listed": sentence("Put right those that are listed, and compare again."),
    "further-people": sentence("Take away the rights at the target that they should not have; or accept it."),
}
"""Every code, with what to do about it."""
