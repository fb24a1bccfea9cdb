from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_tries_yet() -> None:
    """The tries of one test do not count in the next, whose people have the same keys."""
    cache.clear()
