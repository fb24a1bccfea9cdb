"""Waiting for what other processes do: until it is so, or until waiting any longer makes no sense."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float = 180, every: float = 0.05) -> T:
    """What ``condition`` says as soon as it is true of something. It fails with what it said last."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {condition.__doc__ or condition}"
        time.sleep(every)
    return found
