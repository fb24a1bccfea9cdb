"""When a wave stops by itself (R78): a pure function of counted numbers, and how many failed one after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from tenants_app.sentences import Sentence, sentence, sentence_plural


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a rollout says of when its waves stop."""

    max_failed_percent: int = 5
    min_finished: int = 10
    max_failed_in_a_row: int = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted of a wave's members since it was started, or resumed last (R79).

    Finished is who was moved and whose run has ended, or whose move failed; excluded members are none. Skipped meetings
    and moves that need no run fail nobody.
    """

    size: int
    """Members of the wave, without those who are excluded."""
    finished: int = 0
    failed: int = 0
    in_a_row: int = 0
    """The most who failed one directly after another."""
    batch_size: int = 0
    """Members of the batch that moved last."""
    batch_failed: int = 0
    checks_failed_twice: tuple[str, ...] = ()
    """The names of checks, neither advisory nor manual, whose last two results were Failed."""


class Rule(Enum):
    """Which part of the rule stops it."""

    CHECK = auto()
    FIRST = auto()
    BATCH = auto()
    IN_A_ROW = auto()
    PERCENT = auto()


def rule_that_stops(counted: Counted, thresholds: Thresholds) -> Rule | None:
    """What has to stop it now; None where it goes on.

    The percentage must be exceeded, not equalled, and counts once ``min_finished`` members have finished, or as many as
    the wave has. At 0 the first failure stops the wave, however few have finished.
    """
    if counted.checks_failed_twice:
        return Rule.CHECK
    if counted.failed and thresholds.max_failed_percent == 0:
        return Rule.FIRST
    if 0 < counted.batch_size == counted.batch_failed:
        return Rule.BATCH
    if counted.in_a_row >= thresholds.max_failed_in_a_row:
        return Rule.IN_A_ROW
    enough = min(thresholds.min_finished, counted.size)
    is_exceeded = counted.failed * 100 > thresholds.max_failed_percent * counted.finished
    return Rule.PERCENT if counted.finished >= enough and is_exceeded else None


def why_stopped(counted: Counted, thresholds: Thresholds) -> Sentence | None:
    """The sentence that says why the wave has to stop now; None where it goes on."""
    rule = rule_that_stops(counted, thresholds)
    if rule is Rule.CHECK:
        return sentence(
            "The check %(check)s has failed twice in succession: see what it found, and put that right.",
            check=counted.checks_failed_twice[0],
        )
    if rule is Rule.FIRST:
        return sentence_plural(
            "%(n)s member has failed, and the wave is set to stop at the first.",
            "%(n)s members have failed, and the wave is set to stop at the first.",
            counted.failed,
        )
    if rule is Rule.BATCH:
        return sentence_plural(
            "The only member of the batch has failed.",
            "All %(n)s members of the batch have failed.",
            counted.batch_size,
        )
    if rule is Rule.IN_A_ROW:
        return sentence_plural(
            "%(n)s member has failed, and no more are to fail in a row.",
            "%(n)s members have failed one after another.",
            counted.in_a_row,
        )
    if rule is Rule.PERCENT:
        return sentence(
            "%(failed)s of %(finished)s finished members have failed, which is more than %(percent)s %%.",
            failed=counted.failed,
            finished=counted.finished,
            percent=thresholds.max_failed_percent,
        )
    return None


def longest_row(failed: Iterable[bool]) -> int:
    """The most True one directly after another."""
    longest = row = 0
    for each in failed:
        row = row + 1 if each else 0
        longest = max(longest, row)
    return longest
