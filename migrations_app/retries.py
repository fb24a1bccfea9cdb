"""How often and after which pauses something that failed is tried again (R28)."""

from __future__ import annotations

import random
from datetime import timedelta

RETRIES = 9
RETRY_WINDOW = timedelta(hours=24)
_FIRST_PAUSE: timedelta = RETRY_WINDOW / (2**RETRIES - 1)  # doubling pauses that add up to the window: 2.8 min … 12 h


def pause_before_retry(attempts: int) -> timedelta:
    """The pause after this many attempts: doubling, ±10 % so that many failures do not come back together."""
    return _FIRST_PAUSE * 2.0 ** (attempts - 1) * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
