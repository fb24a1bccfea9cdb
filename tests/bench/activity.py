"""`make bench ARGS=activity`: what it costs that triggers note each change for live pages (``monitoring.activity``).

Whole runs cannot tell it: it is less than they differ from one time to the next. So it is counted how often triggers
fire in a run and for its messages, and measured what one costs.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

MEETINGS = 300
TURNS = 20


def main() -> None:
    """Count, measure, print."""
    from django.db import connection

    from migrations_app.mail.delivery import deliver
    from migrations_app.models import Run, Update
    from migrations_app.monitoring import activity
    from tests.bench.__main__ import fill, make_invitations, show, whole_run

    fill(make_invitations("4 KB text", MEETINGS))
    activity.watch("default")
    fired: dict[str, Counter[str]] = {}
    seconds: dict[str, float] = {}
    works: list[tuple[str, Callable[[], object]]] = [("runs", whole_run), ("messages", deliver)]
    for name, work in works:
        fired[name], seconds[name] = _fired_by(work)
    keys = list(Update.objects.values_list("pk", flat=True)[:100])
    of_row = _dearer(lambda: Update.objects.filter(pk__in=keys).update(attempts=1)) / len(keys)
    run = Run.objects.filter(pk=Run.objects.values_list("pk", flat=True)[0])
    of_statement = _dearer(lambda: [run.update(attempts=1) for _ in range(100)]) / 100
    show(f"\n{MEETINGS} meetings of 4 KB, {connection.vendor}: what the triggers of live pages cost")
    show(f"  {of_row * 1e6:.1f} µs a row of many, {of_statement * 1e6:.0f} µs a statement of one row")
    for name, counts in fired.items():
        cost = max(of_row, 0) * counts["rows"] + max(of_statement, 0) * counts["statements"]
        told = f"{counts['statements']} statements, {counts['rows']} rows: {cost * 1e3:.1f} ms"
        show(f"  {name:10}{told} of {seconds[name]:.2f} s, {cost / seconds[name]:.2%}")


def _fired_by(work: Callable[[], object]) -> tuple[Counter[str], float]:
    """Statements and rows that fire triggers, and the seconds of it all."""
    from django.db import connection

    from migrations_app.monitoring.activity import WATCHED

    tables = {model._meta.db_table for model in WATCHED}
    counts: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        changed = re.match(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"', sql)
        if changed and changed[1] in tables:
            counts.update(statements=1, rows=max(context["cursor"].rowcount, 0))
        return result

    start = time.perf_counter()
    with connection.execute_wrapper(count):
        work()
    return counts, time.perf_counter() - start


def _dearer(write: Callable[[], object]) -> float:
    """Seconds that a write takes longer with the triggers than without: the best of many times each, in turn."""
    from django.db import transaction

    from migrations_app.monitoring import activity

    best = {True: float("inf"), False: float("inf")}
    for _ in range(TURNS):
        for watched in best:
            (activity.watch if watched else activity.unwatch)("default")
            with transaction.atomic():
                start = time.perf_counter()
                write()
                best[watched] = min(best[watched], time.perf_counter() - start)
                transaction.set_rollback(True)
    activity.watch("default")
    return best[True] - best[False]
