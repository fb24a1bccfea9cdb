"""R78: when a wave stops by itself, by a table of its boundaries."""

from __future__ import annotations

import pytest

from migrations_app.rollouts.stopping import Counted, Thresholds, longest_row, why_stopped

HIGH = 1_000_000
"""So many in a row that this alone never stops."""


def at(percent: int = 5, finished: int = 10, row: int = HIGH) -> Thresholds:
    return Thresholds(max_failed_percent=percent, min_finished=finished, max_failed_in_a_row=row)


@pytest.mark.parametrize(
    ("counted", "thresholds", "why"),
    [
        # The percentage is exceeded, not equalled.
        (Counted(size=100, finished=20, failed=1), at(5), ""),
        (Counted(size=100, finished=19, failed=1), at(5), "1 of 19 finished members have failed"),
        (Counted(size=1000, finished=100, failed=5), at(5), ""),
        (Counted(size=1000, finished=100, failed=6), at(5), "6 of 100 finished members have failed"),
        (Counted(size=1000, finished=99, failed=5), at(5), "5 of 99 finished members have failed"),
        # 0 stops at the first, whatever min_finished says; 100 never does by percentage.
        (Counted(size=100, finished=1, failed=0), at(0), ""),
        (Counted(size=100, finished=1, failed=1), at(0, finished=50), "stop at the first"),
        (Counted(size=100, finished=90, failed=1), at(0, finished=50), "stop at the first"),
        (Counted(size=100, finished=50, failed=50), at(100), ""),
        (Counted(size=100, finished=50, failed=50), at(99), "more than 99"),
        # Not before min_finished have finished, or all of a wave that is smaller.
        (Counted(size=100, finished=9, failed=8), at(5, finished=10), ""),
        (Counted(size=100, finished=10, failed=8), at(5, finished=10), "8 of 10"),
        (Counted(size=4, finished=3, failed=2), at(5, finished=10), ""),
        (Counted(size=4, finished=4, failed=2), at(5, finished=10), "2 of 4"),
        (Counted(size=1, finished=1, failed=1), at(5, finished=10), "1 of 1"),
        (Counted(size=0), at(5, finished=10), ""),
        # After so many in a row.
        (Counted(size=100, finished=3, failed=2, in_a_row=2), at(row=3), ""),
        (Counted(size=100, finished=3, failed=3, in_a_row=3), at(row=3), "3 members have failed one after another"),
        (Counted(size=100, finished=9, failed=4, in_a_row=4), at(row=3), "4 members have failed one after another"),
        (Counted(size=100, finished=2, failed=1, in_a_row=1), at(row=1), "1 member has failed"),
        (Counted(size=100, finished=2, failed=0, in_a_row=0), at(row=1), ""),
        # When every member of a batch has failed, so that a batch of one is a real test.
        (Counted(size=100, finished=1, failed=1, batch_size=1, batch_failed=1), at(), "only member of the batch"),
        (Counted(size=100, finished=2, failed=1, batch_size=2, batch_failed=1), at(), ""),
        (Counted(size=100, finished=2, failed=2, batch_size=2, batch_failed=2), at(), "All 2 members of the batch"),
        (Counted(size=100, finished=1, failed=1, batch_size=2, batch_failed=1), at(), ""),
        (Counted(size=100, finished=0, failed=0, batch_size=0, batch_failed=0), at(), ""),
        (Counted(size=9, finished=1, failed=1, batch_size=1, batch_failed=1), at(100), "only member of the batch"),
        # When a check has failed twice in succession, though no member has.
        (Counted(size=100, checks_failed_twice=("SIP",)), at(), "check SIP has failed twice"),
        (Counted(size=100, checks_failed_twice=()), at(), ""),
    ],
)
def test_r78_the_boundary(counted: Counted, thresholds: Thresholds, why: str) -> None:
    said = why_stopped(counted, thresholds)
    assert (said is not None) == bool(why)
    assert why in (said or "")


def test_r78_the_default_thresholds_are_those_of_the_rule() -> None:
    assert Thresholds() == Thresholds(max_failed_percent=5, min_finished=10, max_failed_in_a_row=3)


@pytest.mark.parametrize(
    ("failed", "most"),
    [("", 0), ("ok", 0), ("F", 1), ("FoF", 1), ("FFoF", 2), ("oFFFoooo", 3), ("FFFF", 4)],
)
def test_r78_the_longest_row_is_found_wherever_it_stands(failed: str, most: int) -> None:
    assert longest_row(each == "F" for each in failed) == most
