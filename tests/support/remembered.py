"""What fixtures write at the beginning of every test, written again without being worked out again.

The product's functions make the rows once in each process of the suite; what they wrote is replayed afterwards. Only
on SQLite, whose keys begin at 1 again after each test, and only as long as nothing else was written before. A fixture
that changes what those functions do must ask for these first.
"""

from __future__ import annotations

import dataclasses
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
"""How SQLite has a point in time. It is kept as how long after the end of all the writing it is."""
_WRITES = ("INSERT ", "UPDATE ", "DELETE ")
_BEGIN, _TAKE_BACK = "SAVEPOINT ", "ROLLBACK TO SAVEPOINT "
_OTHERS = ("SELECT ", "RELEASE SAVEPOINT ", _BEGIN, _TAKE_BACK)

Statement = tuple[str, list[list[Any]]]
_written: dict[tuple[str, ...], tuple[list[Statement], bytes, datetime]] = {}
"""What was written for these names one after the other, by the last of them, what its function returned, and when."""

Keys = list[tuple[str, int]]
"""The highest key that was ever given in each table."""


def keys_in(database: Any) -> Keys:
    """Those of an SQLite database."""
    return [*database.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name")]


class Remembered:
    """For one test. ``first_keys`` are those of a database in which nothing was made."""

    def __init__(self, first_keys: Keys) -> None:
        self._first_keys = first_keys
        self._names: tuple[str, ...] = ()
        self._changes = -1
        # What a test commits wakes others up, too, which nobody remembers.
        self._is_broken = connection.vendor != "sqlite" or not connection.in_atomic_block

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
        return keys_in(connection.connection) == self._first_keys


def _record(names: tuple[str, ...], work: Callable[[], T]) -> T:
    written: list[tuple[str, list[Any]]] = []
    written_before: dict[str, int] = {}
    is_plain = True

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_plain
        params = list(params) if many else params
        if sql.startswith(_WRITES):
            written.append((sql, params if many else [params or ()]))
        elif sql.startswith(_BEGIN):
            written_before[sql.removeprefix(_BEGIN)] = len(written)
        elif sql.startswith(_TAKE_BACK):
            del written[written_before[sql.removeprefix(_TAKE_BACK)] :]
        is_plain = is_plain and sql.startswith((*_WRITES, *_OTHERS))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        made = work()
    end = timezone.now()
    if is_plain:
        statements = [
            (re.sub(r"(?<!%)%s", "?", sql).replace("%%", "%"), [[_since(end, value) for value in row] for row in rows])
            for sql, rows in written
        ]
        _written[names] = (statements, pickle.dumps(made), end)
    return made


def _since(end: datetime, value: Any) -> Any:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=connection.timezone) - end


def _replay(statements: Iterable[Statement], returned: bytes, end: datetime) -> Any:
    now = timezone.now()
    with transaction.atomic():
        for sql, rows in statements:
            for row in rows:
                values = [_moment(now + value) if isinstance(value, timedelta) else value for value in row]
                connection.connection.execute(sql, values).fetchall()
    made = pickle.loads(returned)  # noqa: S301 - our own
    _date(made, now - end, set())
    return made


def _moment(moment: datetime) -> str | None:
    return connection.ops.adapt_datetimefield_value(moment)


def _date(row: Any, later: timedelta, seen: set[int]) -> None:
    """Say of the row (or rows), and of those that it has at hand, that it was written so much later."""
    if isinstance(row, list):
        for each in row:
            _date(each, later, seen)
    if dataclasses.is_dataclass(row):
        for each in dataclasses.fields(row):
            _date(getattr(row, each.name), later, seen)
    if isinstance(row, Model) and id(row) not in seen:
        seen.add(id(row))
        for field in row._meta.fields:
            if getattr(field, "auto_now_add", False):
                setattr(row, field.attname, getattr(row, field.attname) + later)
        for other in row._state.fields_cache.values():
            _date(other, later, seen)
