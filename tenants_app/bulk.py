"""Many rows read, written and deleted: some at a time, with one statement that is prepared once for all of them.

``bulk_create`` compiles an expression for every value, and ``bulk_update`` a case for every row and value, which would
take most of the time of a large change.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    CASCADE,
    SET_NULL,
    AutoField,
    CharField,
    Field,
    ForeignKey,
    ForeignObjectRel,
    IntegerField,
    Model,
)

BULK = 500
"""Values in one statement; SQLite takes at most 999 to 32,766."""

T = TypeVar("T")


PAUSE = 0.15
"""Seconds. Whoever waits for SQLite's lock looks for it every 0.1 seconds, and gets it only where it is free then."""

PAUSE_EVERY = 1.0
"""Seconds that nobody waits longer for a pause, however many transactions end meanwhile."""

_paused_at = 0.0


def let_others_write() -> None:
    """Between two transactions of one large change: give those a chance who wait for the lock of an SQLite database."""
    global _paused_at  # noqa: PLW0603 - the pauses of one process
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return
    if time.monotonic() - _paused_at >= PAUSE_EVERY:
        time.sleep(PAUSE)
        _paused_at = time.monotonic()


def batched(rows: Iterable[T], size: int = BULK) -> Iterator[list[T]]:
    """The rows in lists of at most ``size``, as ``itertools.batched`` gives them from Python 3.12 on."""
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


def insert(rows: Sequence[Model], *, unless_there: bool = False) -> int:
    """Insert new rows of one model; how many. Unlike ``bulk_create`` this hands back no keys.

    With ``unless_there``, rows that a constraint of uniqueness refuses are passed over.
    """
    if not rows:
        return 0
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not isinstance(field, AutoField)]
    columns = ", ".join(map(_column, fields))
    values = ", ".join(["%s"] * len(fields))
    table = connection.ops.quote_name(meta.db_table)
    statement = f"INSERT INTO {table} ({columns}) VALUES ({values})"  # noqa: S608 - no outside text
    if unless_there:
        statement += " ON CONFLICT DO NOTHING"
    with connection.cursor() as cursor:
        cursor.executemany(statement, _parameters(rows, fields, add=True))
        return int(cursor.rowcount)


def create(rows: Sequence[Model], unique: str) -> None:
    """Insert new rows of one model and give each its key, which is looked up by the value of the field ``unique``."""
    if not rows:
        return
    insert(rows)
    stored = type(rows[0])._base_manager.filter(**{f"{unique}__in": [getattr(row, unique) for row in rows]})
    keys = dict(stored.values_list(unique, "pk"))
    for row in rows:
        row.pk = keys[getattr(row, unique)]
        row._state.adding, row._state.db = False, connection.alias


def update(rows: Sequence[Model], names: Sequence[str]) -> None:
    """Save these fields of rows of one model, each row with values of its own."""
    if not rows:
        return
    meta = rows[0]._meta
    fields: list[Field[Any, Any]] = [meta.get_field(name) for name in names]  # type: ignore[misc]
    values = ", ".join(f"{_column(field)} = %s" for field in fields)
    table, key = connection.ops.quote_name(meta.db_table), _column(meta.pk)
    statement = f"UPDATE {table} SET {values} WHERE {key} = %s"  # noqa: S608 - no outside text
    with connection.cursor() as cursor:
        cursor.executemany(statement, _parameters(rows, [*fields, meta.pk], add=False))


def delete(model: type[Model], keys: Sequence[Any]) -> Counter[type[Model]]:
    """Delete the rows of these keys with all that hangs on them; how many rows of each model.

    As ``QuerySet.delete`` does, but the database alone sees the rows that hang on others, a statement for each
    relation. Signals are not sent. What protects a row makes the database refuse (``IntegrityError``).
    """
    deleted: Counter[type[Model]] = Counter()
    if keys:
        key = model._meta.pk
        values = [key.get_db_prep_value(each, connection) for each in keys]
        condition = f"IN ({', '.join(['%s'] * len(keys))})"
        if connection.vendor == "postgresql":  # one value, where a thousand would take longer to read than to look up
            condition, values = "= ANY(%s)", [values]
        with connection.cursor() as cursor:
            _delete(cursor, model, (_column(key), condition), values, deleted)
    return deleted


def _delete(
    cursor: Any, model: type[Model], where: tuple[str, str], keys: Sequence[Any], deleted: Counter[type[Model]]
) -> None:
    """The rows of the model that a condition on one column names, after all that refers to them."""
    table = connection.ops.quote_name(model._meta.db_table)
    column, condition = where
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel) or not isinstance(relation.field, ForeignKey):
            continue
        ours, theirs = _column(relation.field.target_field), _column(relation.field)
        these = condition if ours == column else f"IN (SELECT {ours} FROM {table} WHERE {column} {condition})"  # noqa: S608
        if relation.on_delete is CASCADE:
            _delete(cursor, relation.related_model, (theirs, these), keys, deleted)
        elif relation.on_delete is SET_NULL:
            referring = connection.ops.quote_name(relation.related_model._meta.db_table)
            cursor.execute(f"UPDATE {referring} SET {theirs} = NULL WHERE {theirs} {these}", keys)  # noqa: S608
    cursor.execute(f"DELETE FROM {table} WHERE {column} {condition}", keys)  # noqa: S608 - no outside text
    deleted[model] += cursor.rowcount


def _column(field: Field[Any, Any]) -> str:
    return connection.ops.quote_name(str(field.column))


def _parameters(rows: Sequence[Model], fields: Sequence[Field[Any, Any]], *, add: bool) -> list[tuple[Any, ...]]:
    database = connections[connection.alias]  # what stands for it looks it up anew for every value
    return list(zip(*(_values(rows, field, database, add=add) for field in fields), strict=True))


def _values(rows: Sequence[Model], field: Field[Any, Any], database: BaseDatabaseWrapper, *, add: bool) -> list[Any]:
    """The values of one column, as the database takes them."""
    # Text and numbers go in as they are; only other values (times, UUIDs, octets) differ between databases.
    if isinstance(field, CharField | IntegerField | ForeignKey):
        name = field.attname
        return [getattr(row, name) for row in rows]
    values: list[Any] = []
    # Many rows share a time, a sentence or a reason. Each is kept beside what was made of it, so that its id stays its.
    known: dict[int, tuple[Any, Any]] = {}
    for row in rows:
        value = field.pre_save(row, add)
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = value, field.get_db_prep_save(value, database)
        values.append(found[1])
    return values
