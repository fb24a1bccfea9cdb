"""A database that refuses to be written or locked for a while."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

_READS = re.compile(r"[\s(]*(select|with|explain|pragma)\b", re.IGNORECASE)


@contextmanager
def only_reads() -> Iterator[None]:
    """Whatever writes, locks, or begins something to take back meanwhile fails, also where the error is caught."""
    refused: list[str] = []

    def refuse(what: str) -> None:
        refused.append(what)
        raise AssertionError(f"not only read: {what}")

    def read(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not _READS.match(sql) or " FOR UPDATE" in sql or " FOR NO KEY UPDATE" in sql:
            refuse(sql[:300])
        return execute(sql, params, many, context)

    with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(read):
        # SQLite has no such locks, so that Django would leave them out of the statement.
        patch.setattr(QuerySet, "select_for_update", lambda rows, **_: refuse(f"locked: {rows.model.__name__}"))
        yield
    assert not refused
