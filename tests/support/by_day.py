"""Less of what is tried, where all of it takes minutes: the suite takes every so many, ``make nightly`` everything."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def some(everything: Iterable[T], step: int, begin: int = 0) -> list[T]:
    """Every ``step``-th of these, beginning with another one for each ``begin``; at night all."""
    found = list(everything)
    return found if os.environ.get("MMS_HYPOTHESIS_PROFILE") == "nightly" else found[begin % step :: step]
