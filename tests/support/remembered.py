"""What fixtures write at the beginning of every test, written again without being worked out again.

The product's functions make the rows once in each process of the suite; what they wrote is replayed afterwards. Only
on SQLite, whose keys begin at 1 again after each test, and only as long as nothing else was written before. A fixture
that changes what those functions do must ask for these first.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

T = TypeVar("T")

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")
_NOW = object()
"""Stands for the time at which a row is written."""

Statement = tuple[str, list[list[Any]]]
_written: dict[tuple[str, ...], tuple[list[Statement], bytes]] = {}
"""What was written for these names one after the other, by the last of them, and what its function returned."""
_empty: list[list[tuple[Any, ...]]] = []
"""How keys stand in a database in which nothing was made."""


class _NotAlike(Exception):
    """What was written says another time than that of writing."""


class Remembered:
    """For one test."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._changes = -1
        self._is_broken = connection.vendor != "sqlite"

    def make(self, name: str, work: Callable[[], T]) -> T:
        """What ``work`` returns, with the rows that it writes; ``name`` says what both follow from."""
        if not self._follows():
            return work()
        names = (*self._names, name)
        self._is_broken = True  # until it went well
        made: T = _replay(*_written[names]) if names in _written else _record(names, work)
        self._names, self._changes, self._is_broken = names, connection.connection.total_changes, names not in _written
        return made

    def beside(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, which writes each time anew what no other fixture depends on."""
        follows = self._follows()
        made = work()
        if follows:
            self._changes = connection.connection.total_changes
        return made

    def _follows(self) -> bool:
        """Whether nothing was written except what this made. Somebody who counts queries is given them."""
        if self._is_broken or connection.execute_wrappers or connection.queries_logged:
            return False
        connection.ensure_connection()
        if self._names:
            return bool(self._changes == connection.connection.total_changes)
        keys = connection.connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall()
        if not _empty:
            _empty.append(keys)
        return bool(keys == _empty[0])


def _record(names: tuple[str, ...], work: Callable[[], T]) -> T:
    statements: list[Statement] = []
    rows_of: list[tuple[str, Any, bool]] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if many:
            params = list(params)
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            rows_of.append((sql, params, many))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        made = work()
    try:
        for sql, params, many in rows_of:
            rows = [[*map(_as_written, row)] for row in (params if many else [params or ()])]
            statements.append((re.sub(r"(?<!%)%s", "?", sql).replace("%%", "%"), rows))
    except _NotAlike:
        return made
    _written[names] = (statements, pickle.dumps(made))
    return made


def _as_written(value: Any) -> Any:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return value
    if abs(datetime.fromisoformat(value).replace(tzinfo=timezone.get_current_timezone()) - timezone.now()) > timedelta(
        minutes=1
    ):
        raise _NotAlike
    return _NOW


def _replay(statements: Iterable[Statement], returned: bytes) -> Any:
    now = timezone.now()
    written = connection.ops.adapt_datetimefield_value(now)
    with transaction.atomic():
        for sql, rows in statements:
            for row in rows:
                connection.connection.execute(sql, [written if value is _NOW else value for value in row]).fetchall()
    made = pickle.loads(returned)  # noqa: S301 - our own
    _date(made, now)
    return made


def _date(row: Any, now: datetime) -> None:
    """Say of the row, and of those that it has at hand, that it is written now."""
    if isinstance(row, Model):
        for field in row._meta.fields:
            if getattr(field, "auto_now_add", False):
                setattr(row, field.attname, now)
        for other in row._state.fields_cache.values():
            _date(other, now)
