"""`make bench ARGS=prune`: what it takes to forget a million runs, and how large their rows are.

`prune_history` goes through a million runs that are due to go, each with a result, a message and an audit entry; the
latest runs of 20,000 users stay. Its baseline is a plain `DELETE` of the same rows in one transaction, children first,
on a copy of the same database. Printed are runs per second, the longest transaction, and the memory that the process
needs at most. The databases are made for the purpose and dropped at the end.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.utils import timezone

RUNS = 1_000_000
USERS = 20_000
REPLACED = 400
"""Octets of what a result keeps of a replaced block: the median of the demo's invitations."""
SPANS = {
    "postgresql": f"decode(left(repeat(md5(n::text), 30), {2 * REPLACED}), 'hex')",
    "sqlite": f"randomblob({REPLACED})",
}


def main() -> None:
    """Fill, measure, print."""
    from django.db import connection

    from migrations_app.models import Run
    from migrations_app.runs.pruning import prune
    from tests.bench.large_tenant import database_of_its_own, make_organization, settle
    from tests.bench.lists import show

    with database_of_its_own() as vendor:
        make_organization()
        start = time.perf_counter()
        fill(RUNS)
        settle()
        filled = time.perf_counter() - start
        show(
            f"\n{RUNS:,} old runs with a result, a message and an audit entry each, {vendor}, filled in {filled:.0f} s"
        )
        show_sizes()
        before = timezone.now()
        with copied() as plainly:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with timed_transactions(connection) as seconds:
                start = time.perf_counter()
                prune(before)
                taken = time.perf_counter() - start
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
            if (left := Run.objects.count()) != USERS:
                raise SystemExit(f"{left:,} runs are left and not {USERS:,}: the figure would not count.")
            baseline = plainly()
        show(f"{'':24}{'runs/s':>10}{'longest transaction':>22}")
        show(f"  {'plain DELETE':22}{RUNS / baseline:>10,.0f}{f'{baseline:.1f} s':>22}")
        longest = f"{max(seconds) * 1000:,.0f} ms"
        show(f"  {'prune_history':22}{RUNS / taken:>10,.0f}{longest:>22}   {baseline / taken:.2f} times plain DELETE")
        show(f"  {len(seconds):,} transactions; {memory / 1024:.1f} MB of memory more than before")


# --- measuring ------------------------------------------------------------------------------------------


@contextmanager
def timed_transactions(connection: Any) -> Iterator[list[float]]:
    """The seconds of each transaction of this connection: of a statement alone, or from BEGIN to COMMIT."""
    seconds: list[float] = []
    began = 0.0
    set_autocommit = connection.set_autocommit

    def switch(autocommit: bool, **options: Any) -> None:
        nonlocal began
        if autocommit and began:
            seconds.append(time.perf_counter() - began)
            began = 0.0
        else:
            began = began or time.perf_counter()
        set_autocommit(autocommit, **options)

    def alone(execute: Any, *call: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(*call)
        finally:
            if not connection.in_atomic_block:
                seconds.append(time.perf_counter() - start)

    connection.set_autocommit = switch
    try:
        with connection.execute_wrapper(alone):
            yield seconds
    finally:
        del connection.set_autocommit


@contextmanager
def copied() -> Iterator[Callable[[], float]]:
    """A copy of the database as it is now; gives what deletes the same rows there plainly, and says the seconds."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    connection.close()
    if connection.vendor == "sqlite":
        shutil.copy(name, f"{name}.copy")
        try:
            yield lambda: plain_delete(sqlite3.connect(f"{name}.copy"))
        finally:
            Path(f"{name}.copy").unlink()
        return
    import psycopg

    of_copy = connection.get_connection_params() | {"dbname": f"{name}_copy"}
    known = {key: of_copy[key] for key in ("host", "port", "user", "password", "dbname") if key in of_copy}
    with psycopg.connect(**known | {"dbname": "postgres"}, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        try:
            yield lambda: plain_delete(psycopg.connect(**known))
        finally:
            server.execute(f"DROP DATABASE {name}_copy WITH (FORCE)")


def plain_delete(database: Any) -> float:
    """What an administrator would type: the rows of three tables, children first, in one transaction."""
    old = "SELECT id FROM migrations_app_run WHERE NOT is_latest"
    results = f"SELECT id FROM migrations_app_meetingresult WHERE run_id IN ({old})"  # noqa: S608 - no outside text
    with closing(database), closing(database.cursor()) as cursor:
        start = time.perf_counter()
        if isinstance(database, sqlite3.Connection):
            cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"DELETE FROM migrations_app_update WHERE result_id IN ({results})")  # noqa: S608
        cursor.execute(f"DELETE FROM migrations_app_meetingresult WHERE run_id IN ({old})")  # noqa: S608
        cursor.execute("DELETE FROM migrations_app_run WHERE NOT is_latest")
        database.commit()
        return time.perf_counter() - start


def show_sizes() -> None:
    """Octets of each table with its indexes and large values, by the rows."""
    from django.db import connection

    from migrations_app.models import MeetingResult, Run, Update
    from tenants_app.models import AuditEntry
    from tests.bench.lists import show

    whole = {
        "postgresql": "SELECT pg_table_size(%s), pg_indexes_size(%s)",
        "sqlite": "SELECT (SELECT sum(pgsize) FROM dbstat WHERE name = %s), (SELECT sum(pgsize) FROM dbstat "
        "WHERE name IN (SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = %s))",
    }[connection.vendor]
    show(f"{'':24}{'octets a row':>14}{'indexes':>10}")
    for model in (Run, MeetingResult, Update, AuditEntry):
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(whole, [table, table])
            rows, indexes = (size / max(model.objects.count(), 1) for size in cursor.fetchone())
        show(f"  {model.__name__:22}{rows:>14,.0f}{indexes:>10,.0f}")


# --- filling --------------------------------------------------------------------------------------------


def fill(runs: int) -> None:
    """Users with their latest run, and ``runs`` older ones in turn, a second apart; all ended long ago."""
    from django.db import connection

    from migrations_app.models import MeetingResult, Run, Update
    from tenants_app.models import Tenant
    from tests.bench import large_tenant

    large_tenant.fill_users(range(USERS))
    tenant = Tenant.objects.get()
    postgres = connection.vendor == "postgresql"
    ended = "timestamptz '2020-01-01' + n * interval '1 second'"
    at = ended if postgres else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', '2020-01-01', n || ' seconds')"
    uuid = "gen_random_uuid()" if postgres else "lower(hex(randomblob(16)))"
    key = "lpad(n::text, 10, '0')" if postgres else "printf('%%010d', n)"
    is_latest = f"n > {runs}"
    run = Run(
        tenant=tenant,
        state="Succeeded",
        reasons=[{"rule": "R5", "sentence": "The user moved to the bridge Bridge 1."}],
        requested_by="alice",
        total_meetings=1,
        succeeded_meetings=1,
    )
    result = MeetingResult(
        subject="Weekly",
        attendee_count=6,
        outcome="Succeeded",
        meeting_service="sfb",
        join_url_before="https://meet.contoso.com/anna.rossi/ABCD2345",
        join_url_after="https://meet.fabrikam.com/anna.rossi/EFGH6789",
        sequence=1,
        digest="0123456789abcdef" * 2,
    )
    entry = large_tenant.audited(tenant)
    times = dict.fromkeys(["created", "modified", "due_at", "started_at", "finished_at"], at)
    both = runs + USERS
    uid = f"{key} || '-0a1b2c3d4e5f@contoso.com'"
    with connection.constraint_checks_disabled():
        multiply(run, both, id="n", correlation_id=uuid, user_id=f"n %% {USERS} + 1", is_latest=is_latest, **times)
        multiply(result, both, id="n", run_id="n", uid=uid, starts_at=at, spans=SPANS[connection.vendor])
        multiply(Update(tenant=tenant, state="Sent", recipient_count=5), both, result_id="n", sent_at=at)
        multiply(entry, both, at=at, target=f"{key} || '@contoso.com'")


def multiply(template: Any, count: int, **expressions: str) -> None:
    """Insert rows like ``template``, one for each n from 1, but for the named columns: expressions of n."""
    from django.db import connection

    alike = [
        field
        for field in template._meta.concrete_fields
        if field.column not in expressions and not (field.primary_key and field.get_internal_type() == "BigAutoField")
    ]
    constants = [field.get_db_prep_save(getattr(template, field.attname), connection) for field in alike]
    columns = ", ".join(map(connection.ops.quote_name, [*expressions, *(field.column for field in alike)]))
    values = ", ".join([*expressions.values(), *(f"CAST(%s AS {field.cast_db_type(connection)})" for field in alike)])
    numbers = (
        f"generate_series(1, {count}) AS n"
        if connection.vendor == "postgresql"
        else f"(WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {count}) SELECT n FROM up)"  # noqa: S608
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {template._meta.db_table} ({columns}) SELECT {values} FROM {numbers}",  # noqa: S608
            constants,
        )
