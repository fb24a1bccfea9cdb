"""Many cases on the same rows in one test: they take longer to make than most cases take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def taken_back() -> Iterator[None]:
    """Nothing stays of what is written meanwhile."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # so that what asks to be outermost may begin in it
    with block:
        yield
        transaction.set_rollback(True)
