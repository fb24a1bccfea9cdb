"""What a probe says: one of three outcomes (R70), and a sentence with what was measured and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tenants_app.sentences import Sentence, one_after_the_other


class Outcome(StrEnum):
    """Passed opens a gate, Failed closes it, Inconclusive closes it and asks a person."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Answer:
    """One result. ``output`` is what a program printed, for reading only: cut at 4 KiB and free of known secrets."""

    outcome: Outcome
    sentence: str
    """A ``Sentence``, or the first line of what a program printed."""
    seconds: float
    output: str = ""


class Finding(NamedTuple):
    """What a probe found; how long it took is measured around it."""

    outcome: Outcome
    sentence: str
    output: str = ""


class Stopped(Exception):
    """A probe that need not go on, because it knows its answer."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.finding = finding


def passed(what: Sentence) -> Finding:
    """It is as it should be."""
    return Finding(Outcome.PASSED, what)


def failed(what: Sentence, do: Sentence) -> Finding:
    """It was measured, and is not as it should be."""
    return Finding(Outcome.FAILED, one_after_the_other(what, do))


def inconclusive(what: Sentence, do: Sentence) -> Finding:
    """It could not be measured."""
    return Finding(Outcome.INCONCLUSIVE, one_after_the_other(what, do))
