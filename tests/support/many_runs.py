"""Any number of runs, users and messages in a few statements: copies of one row each, made by the database itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from migrations_app.models import MeetingResult, Plan, Run, Turn, Update
from tenants_app.audit import Actor, Channel
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import create_user
from tenants_app.models import ConferencingUser, Tenant

ACTOR = Actor("many", Channel.COMMAND)
FIRST = 1_000_000_000
"""The key of the first copy, above all that the tables give by themselves."""
RUNS_PER_USER = 10
"""Of a history."""


def fill_history(runs: int, tenants: int) -> None:
    """So many runs and sent messages; of the latest of each user a part waits, is planned, or is being worked."""
    keys = _tenants(tenants)
    users = max(runs // RUNS_PER_USER, 1)
    run = _users(users, keys)
    closed = Plan.objects.create(
        tenant_id=keys[0], not_before=timezone.now(), opens_at=timezone.now() + timedelta(days=1), requested_by="many"
    )
    # The latest run of each user: of a hundred, 2 are due, 2 wait for a plan, 5 for a time to come, 1 is being worked.
    kind = f"(CASE WHEN s.n <= {users} THEN s.n % 100 ELSE 100 END)"
    state = (
        f"CASE WHEN {kind} BETWEEN 1 AND 9 THEN 'Pending' WHEN {kind} = 10 THEN 'InProgress' "
        "WHEN s.n % 10 = 0 THEN 'Failed' ELSE 'Succeeded' END"
    )
    _copy(
        run,
        runs,
        correlation_id=_uuid(),
        tenant_id=_of_tenants(keys),
        user_id=f"{FIRST} + 1 + (s.n - 1) % {users}",
        state=state,
        is_latest=f"s.n <= {users}",
        created=_ago("s.n"),
        modified=_ago("s.n"),
        due_at=f"CASE WHEN {kind} BETWEEN 5 AND 9 THEN {_ago(f'-{30 * 86400} - s.n')} ELSE {_ago('s.n')} END",
        plan_id=f"CASE WHEN {kind} BETWEEN 3 AND 4 THEN {closed.pk} END",
        started_at=f"CASE WHEN {kind} BETWEEN 1 AND 9 THEN NULL ELSE {_ago('s.n')} END",
        finished_at=f"CASE WHEN {kind} BETWEEN 1 AND 10 THEN NULL ELSE {_ago('s.n')} END",
        lease_token=f"CASE WHEN {kind} = 10 THEN {_uuid()} END",
        lease_until=f"CASE WHEN {kind} = 10 THEN {_ago('-600')} END",
    )
    result = MeetingResult.objects.create(run_id=FIRST + runs, uid="many", outcome="Succeeded")
    _copy(result, runs, run_id=f"{FIRST} + s.n", uid="'many-' || s.n")
    update = Update.objects.create(result=result, recipient_count=1, state=Update.State.SENT)
    # A message of ten is still to be sent.
    of_result = {"result_id": f"{FIRST} + s.n", "tenant_id": _of_tenants(keys), "due_at": _ago("s.n")}
    states = {
        "state": "CASE WHEN s.n % 10 = 1 THEN 'Queued' ELSE 'Sent' END",
        "sent_at": f"CASE WHEN s.n % 10 = 1 THEN NULL ELSE {_ago('s.n')} END",
    }
    _copy(update, runs, **of_result, **states)
    analyze()


def fill_pending(runs: int, tenants: int) -> None:
    """So many users, each with a run that is due; nearly all of them are of one tenant."""
    keys = _tenants(tenants)
    run = _users(runs, keys)
    _copy(
        run,
        runs,
        correlation_id=_uuid(),
        tenant_id=_most_of_one(keys, runs),
        user_id=f"{FIRST} + s.n",
        state="'Pending'",
        created=_ago("0"),
        modified=_ago("0"),
        due_at=_ago("60"),  # asked for in one transaction, they are all due at one moment
    )
    analyze()


def empty() -> None:
    """Take all of it away."""
    with connection.cursor() as cursor:
        for model in (Update, MeetingResult, Run, Turn, Plan, ConferencingUser):
            table = model._meta.db_table
            if connection.vendor == "postgresql":
                cursor.execute(f"TRUNCATE {table} CASCADE")
            else:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours


def analyze() -> None:
    """Tell the planner how many rows there are, as autovacuum does."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _tenants(count: int) -> list[int]:
    there = Tenant.objects.filter(slug__startswith="many-").count()
    for number in range(there, count):
        create_tenant(
            ACTOR,
            slug=f"many-{number}",
            name=f"Many {number}",
            domain=f"many{number}.example.org",
            meeting_url="https://meet.example.org",
        )
    return list(Tenant.objects.filter(slug__startswith="many-").order_by("pk").values_list("pk", flat=True))[:count]


def _users(count: int, tenants: list[int]) -> Run:
    """So many users, spread over the tenants; a run that the others can be copies of."""
    tenant = Tenant.objects.get(pk=tenants[0])
    user = create_user(tenant, ACTOR, upn="first@example.org")
    upn = "'user' || s.n || '@example.org'"
    _copy(user, count, user_id=_uuid(), upn=upn, sip_address=upn, tenant_id=_of_tenants(tenants))
    run = Run.objects.create(tenant=tenant, user=user, requested_by="many", due_at=timezone.now())
    run.state, run.started_at, run.finished_at = Run.State.SUCCEEDED, run.created, run.created
    run.save()
    return run


def _of_tenants(keys: list[int]) -> str:
    """The tenants by turns."""
    return f"(CASE s.n % {len(keys)} " + " ".join(f"WHEN {n} THEN {key}" for n, key in enumerate(keys)) + " END)"


def _most_of_one(keys: list[int], rows: int) -> str:
    return f"(CASE WHEN s.n > {rows // 100} THEN {keys[0]} ELSE {_of_tenants(keys)} END)"


def _copy(row: Model, count: int, **values: str) -> None:
    """Insert so many copies of the row with these columns as SQL says, ``s.n`` being the number of the copy."""
    meta = row._meta
    key = meta.pk.column if meta.pk else ""
    values = {key: f"{FIRST} + s.n"} | values
    columns = [field.column for field in meta.concrete_fields]
    chosen = ", ".join(values.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    series = f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"  # noqa: S608
    if connection.vendor == "postgresql":
        series = f"WITH s(n) AS (SELECT generate_series(1, {count}))"
    copies = f"SELECT {chosen} FROM s, {meta.db_table} AS t WHERE t.{key} = {row.pk}"  # noqa: S608 - all of it ours
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {meta.db_table} ({names}) {series} {copies}")


def _uuid() -> str:
    return "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"


def _ago(seconds: Any) -> str:
    """A moment so many seconds ago, an SQL expression."""
    if connection.vendor == "postgresql":
        return f"(now() - ({seconds}) * interval '1 second')"
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', (-({seconds})) || ' seconds')"
