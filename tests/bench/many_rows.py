"""Many rows at once, past the models: poured in, or made by the database itself of rows that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID


def ready(value: datetime | UUID) -> Any:
    """The value as the database's driver takes it."""
    from django.db import connection
    from django.db.models import DateTimeField, UUIDField

    field = UUIDField() if isinstance(value, UUID) else DateTimeField()
    return field.get_db_prep_value(value, connection)


def pour(template: Any, names: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows like ``template`` but for the named columns, whose values come ready for the database."""
    from django.db import connection, transaction

    columns = names.split()
    alike = _others(template, columns)
    constants = _values(template, alike)
    into = _into(template, [*columns, *(field.column for field in alike)])
    whole = (tuple(row) + constants for row in rows)
    with transaction.atomic(), connection.cursor() as cursor:
        if is_postgresql():
            with cursor.copy(f"COPY {into} FROM STDIN") as copying:
                for row in whole:
                    copying.write_row(row)
            return
        places = ", ".join(["%s"] * (len(columns) + len(alike)))
        statement = f"INSERT INTO {into} VALUES ({places})"  # noqa: S608 - no outside text
        while some := list(islice(whole, 10_000)):
            cursor.executemany(statement, some)


def copy(model: Any, which: str, given: Sequence[Any], **changed: str) -> None:
    """Insert the rows ``which`` (an SQL condition on ``one``) once more, with some columns ``changed``: each the SQL of
    its value.
    """
    alike = [field.column for field in _others(model, changed)]
    values = ", ".join([*changed.values(), *(f"one.{name}" for name in _quoted(alike))])
    _execute(
        f"INSERT INTO {_into(model, [*changed, *alike])} "  # noqa: S608 - no outside text
        f"SELECT {values} FROM {model._meta.db_table} one WHERE {which} ORDER BY one.id",
        given,
    )


def for_users(template: Any, numbers: range, which: str = "TRUE", **changed: str) -> None:
    """Insert a row like ``template`` for each user of these numbers and ``which`` (an SQL condition on ``u``), with
    some columns ``changed``: each the SQL of its value.
    """
    from tenants_app.models import ConferencingUser

    alike = _others(template, changed)
    values = ", ".join([*changed.values(), *["%s"] * len(alike)])
    _execute(
        f"INSERT INTO {_into(template, [*changed, *(field.column for field in alike)])} "  # noqa: S608 - no outside text
        f"SELECT {values} FROM {ConferencingUser._meta.db_table} u "
        f"WHERE u.id BETWEEN {numbers.start + 1} AND {numbers.stop} AND {which.replace('%', '%%')} ORDER BY u.id",
        _values(template, alike),
    )


def days_before(column: str, days: int) -> str:
    """The SQL of a time so many days earlier."""
    if is_postgresql():
        return f"{column} - INTERVAL '{days} days'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%S', {column}, '-{days} days')"


def a_uuid() -> str:
    """The SQL of a new one."""
    return "gen_random_uuid()" if is_postgresql() else "lower(hex(randomblob(16)))"


def is_postgresql() -> bool:
    from django.db import connection

    return connection.vendor == "postgresql"


def _others(model: Any, columns: Iterable[str]) -> list[Any]:
    """The fields of all other columns, but for a key that the database counts."""
    return [
        field
        for field in model._meta.concrete_fields
        if field.column not in columns and not (field.primary_key and field.get_internal_type() == "BigAutoField")
    ]


def _values(template: Any, fields: Iterable[Any]) -> tuple[Any, ...]:
    from django.db import connection

    return tuple(field.get_db_prep_save(getattr(template, field.attname), connection) for field in fields)


def _into(model: Any, columns: Iterable[str]) -> str:
    return f"{model._meta.db_table} ({', '.join(_quoted(columns))})"


def _quoted(columns: Iterable[str]) -> list[str]:
    from django.db import connection

    return list(map(connection.ops.quote_name, columns))


def _execute(statement: str, given: Sequence[Any]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, list(given))
