"""The database as it was before the first test, for those that commit: after each it is put back as a whole.

Django would empty every table, and then work out again what belongs into each new database, which takes longer than
most of these tests. On SQLite keys begin at 1 again afterwards.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase

MOST_SECONDS = 60
"""For which it is waited until nobody reads or writes any more."""


PutBack = Callable[[], None]


@contextmanager
def put_back_after_commits() -> Iterator[None]:
    """Meanwhile each test that commits leaves the database as it is now."""
    connection.ensure_connection()
    put_back = _from_file() if connection.vendor == "sqlite" else _from_rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: put_back())
        yield


def _from_file() -> PutBack:
    kept = Path(f"{connection.settings_dict['NAME']}.pristine")
    kept.unlink(missing_ok=True)
    with closing(sqlite3.connect(kept)) as copy:
        connection.connection.backup(copy)

    def put_back() -> None:
        end = time.monotonic() + MOST_SECONDS

        def look(status: int, remaining: int, total: int) -> None:
            assert time.monotonic() < end, "the test leaves somebody at work in the database"

        connection.ensure_connection()
        with closing(sqlite3.connect(kept)) as copy:
            copy.backup(connection.connection, progress=look)

    return put_back


def _from_rows() -> PutBack:
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            with cursor.copy(f"COPY {table} TO STDOUT") as copied:
                rows[table] = b"".join(copied)

    def put_back() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(tables)}")
            for table, data in rows.items():
                if data:
                    with cursor.copy(f"COPY {table} FROM STDIN") as copied:
                        copied.write(data)

    return put_back
