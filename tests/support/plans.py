"""How the database would carry out the statements of a piece of code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.db import connection

_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")


def explained(work: Callable[[], object], *tables: str) -> list[str]:
    """The plan of each statement that the work executes, or only of those that name one of the tables."""
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        named = not tables or any(f'"{table}"' in sql for table in tables)
        if named and not many and sql.lstrip().startswith(_EXPLAINED) and "clock_timestamp()" not in sql:
            plans.append(_plan(context["connection"], sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        work()
    return plans


def _plan(connection: Any, sql: str, params: Any) -> str:
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with closing(connection.create_cursor()) as cursor:  # none that is wrapped, which would explain the explanation
        cursor.execute(explain + sql, params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())
