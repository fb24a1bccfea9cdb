"""`make bench ARGS=fanout`: what concerns 100,000 users at once, from the click to the last run in the queue.

An import of a file, a move to another bridge, a replaced number and a start of everybody out of date: each is asked for
by a page, through Django's test client, and done by one worker, a process of its own with the cluster's main loop. All
is measured with fewer users too: the memory must not grow with them. The baseline is Django's ``bulk_create`` of the
same rows, a run and an entry of the audit for each user. The database is made for the purpose and dropped at the end.
"""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

FEW, MANY = 20_000, 100_000
PAGE, WORKER = 1.0, {"PostgreSQL": 10, "SQLite": 20}
"""Seconds that a page and a worker should take at most; printed, never enforced."""
BATCH = 500
"""Rows in one statement of the baseline."""


def main() -> None:
    """Fill, ask, work, print; first for few users, then for many."""
    from tests.bench.large_tenant import database_of_its_own, fill_meetings, fill_runs, fill_users, make_organization
    from tests.bench.lists import show

    with database_of_its_own() as vendor:
        make_organization()
        done = 0
        for users in (FEW, MANY):
            for fill in (fill_users, fill_meetings, fill_runs):
                fill(range(done, users))
            done = users
            begin_anew()
            show(f"\n{users:,} users, {vendor}; aim: {PAGE:g} s for the page, {WORKER[vendor]} s for the worker")
            show(f"{'':26}{'page':>7}{'worker':>9}{'CPU':>7}{'MB':>6}{'longest':>10}{'statements':>12}")
            show(f"{'':26}{'s':>7}{'s':>9}{'s':>7}{'':>6}{'lock, s':>10}{'per 1,000':>12}   CPU beside bulk_create")
            plain = bulk_create()
            show(f"  {'bulk_create':24}{'':>7}{plain.seconds:>9.1f}{plain.cpu:>7.1f}")
            for name, ask in WAYS.items():
                begin_anew()
                look()  # so that templates are compiled
                page = time.perf_counter()
                ask()
                page = time.perf_counter() - page
                found = by_a_worker(name)
                if found.runs < users * 0.8:  # the import leaves those alone who are on its bridge
                    raise SystemExit(f"{name}: only {found.runs:,} runs stand in the queue: no figure would count.")
                show(
                    f"  {name:24}{page:>7.2f}{found.seconds:>9.1f}{found.cpu:>7.1f}{found.megabytes:>6.0f}"
                    f"{found.longest:>10.2f}{found.statements / users * 1000:>12.1f}"
                    f"   {found.cpu / plain.cpu:.1f} times as much"
                )


class Measured(NamedTuple):
    """What a worker took."""

    seconds: float
    cpu: float
    megabytes: float = 0
    longest: float = 0
    """Seconds of the longest transaction, and so of the longest time that anything was locked."""
    statements: int = 0
    runs: int = 0


# --- asking -----------------------------------------------------------------------------------------------


def post(address: str, data: Mapping[str, Any]) -> str:
    """Post as an administrator; the address to which the page leads."""
    from django.contrib.auth.models import User
    from django.test import Client

    from tests.bench.large_tenant import SUPERUSER

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username=SUPERUSER), "mms_site.accounts.backends.AccountBackend")
    response = client.post(address, data)
    if response.status_code != 302:
        raise SystemExit(f"{address} answered {response.status_code}, so no figure would count.")
    return str(response["Location"])


def look() -> None:
    """Look at a page, as whoever posts has done before."""
    from django.contrib.auth.models import User
    from django.test import Client

    from tests.bench.large_tenant import SUPERUSER

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username=SUPERUSER), "mms_site.accounts.backends.AccountBackend")
    if client.get("/lists/users/").status_code != 200:
        raise SystemExit("The list of users was not answered, so no figure would count.")


def ask_import() -> None:
    """Have a file applied that moves everybody to another bridge; the page of the decision is what is measured."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    from migrations_app.models import UserImport
    from tenants_app.models import ConferencingUser

    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["UserPrincipalName", "Bridge"])
    writer.writerows((upn, "Bridge 1") for upn in ConferencingUser.objects.order_by("pk").values_list("upn", flat=True))
    page = post("/lists/users/import/", {"file": SimpleUploadedFile("users.csv", rows.getvalue().encode())})
    found = UserImport.objects.get(state="Checking")
    assert page.endswith(f"/{found.pk}/")


def ask_move() -> None:
    from tenants_app.models import Bridge

    target = Bridge.objects.get(name="Bridge 2")
    post("/lists/users/selected/move/?all", {"to": target.pk})


def ask_replacement() -> None:
    from migrations_app.models import NumberRelease
    from tenants_app.models import ServiceNumber

    number = ServiceNumber.objects.get(bridge__name="Bridge 2", is_default=True)
    address = f"/lists/bridges/{number.bridge_id}/numbers/{number.pk}/"
    post(f"{address}replace/", {"by": f"{number.number[:-1]}9"})
    release = NumberRelease.objects.get(state="Waiting")
    post(f"/lists/releases/{release.pk}/begin/", {})


def ask_start() -> None:
    post("/lists/users/selected/start/?out_of_date=yes&all", {"now": "on"})


WAYS: Mapping[str, Callable[[], None]] = {
    "import of a file": ask_import,
    "move to a bridge": ask_move,
    "replaced number": ask_replacement,
    "start all out of date": ask_start,
}


def begin_anew() -> None:
    """Nobody has a pending run, and everybody is out of date."""
    from django.utils import timezone

    from migrations_app.models import NumberRelease, Run, ShownMeeting
    from tenants_app.models import ConferencingUser
    from tests.bench.large_tenant import settle

    Run.objects.filter(state__in=["Pending", "InProgress"]).update(
        state="Succeeded", lease_token=None, lease_until=None, finished_at=timezone.now()
    )
    ShownMeeting.objects.all().delete()
    NumberRelease.objects.filter(state="Updating").update(state="Released", number=None)
    ConferencingUser.objects.update(invitations_fingerprint="")
    settle()


# --- working ----------------------------------------------------------------------------------------------


def by_a_worker(name: str) -> Measured:
    """Let a worker, a process of its own, do what was asked for."""
    from django.conf import settings
    from django.db import connection

    from tests.bench.imports import address_of

    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mms_site.settings",
        "MMS_DATA_DIR": str(settings.MMS_DATA_DIR),
        "DATABASE_URL": address_of(connection.settings_dict),
    }
    connection.close()
    command = [sys.executable, "-m", "tests.bench.fanout", name]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name}: the worker failed, so no figure would count.")
    return Measured(**json.loads(said) | {"megabytes": usage.ru_maxrss / 1024})


def work(name: str) -> Measured:
    """The main loop until the job has ended; runs that are due already are worked in their turn."""
    from django.db import connection
    from django.utils import timezone

    from migrations_app import tasks
    from migrations_app.models import BulkAction, NumberRelease, Run, UserImport
    from migrations_app.procedures.user_import import request_apply
    from tests.bench.__main__ import actor

    statements = 0

    def count(execute: Callable[..., Any], *asked: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*asked)

    def has_ended() -> bool:
        open_jobs = (
            BulkAction.objects.filter(state__in=BulkAction.OPEN),
            NumberRelease.objects.filter(state__in=["Waiting", "Moving"]),
            UserImport.objects.filter(state__in=UserImport.WAITING),
        )
        return not any(jobs.exists() for jobs in open_jobs)

    until = timezone.now() + timedelta(minutes=30)
    checked = UserImport.objects.filter(state="Checking").first()
    if checked is not None:  # what is measured is what follows the decision
        tasks.work(until, stop=has_ended)
        request_apply(checked, actor(), leaves_out_bad_rows=False)
    began, used = time.perf_counter(), cpu_seconds()
    with connection.execute_wrapper(count), transactions_timed() as lengths:
        tasks.work(until, stop=has_ended)
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - used
    runs = Run.objects.filter(created__gte=timezone.now() - timedelta(seconds=seconds), is_latest=True).count()
    return Measured(seconds, cpu, longest=max(lengths), statements=statements, runs=runs)


@contextmanager
def transactions_timed() -> Iterator[list[float]]:
    """The seconds that each transaction takes, from its beginning to its end."""
    from django.db import connection
    from django.db.transaction import Atomic

    lengths: list[float] = []
    began: list[float] = []
    enter, leave = Atomic.__enter__, Atomic.__exit__

    def timed_enter(self: Any) -> None:
        if not connection.in_atomic_block:
            began[:] = [time.perf_counter()]
        enter(self)

    def timed_leave(self: Any, *error: Any) -> None:
        leave(self, *error)
        if not connection.in_atomic_block:
            lengths.append(time.perf_counter() - began[0])

    Atomic.__enter__, Atomic.__exit__ = timed_enter, timed_leave  # type: ignore[method-assign]
    try:
        yield lengths
    finally:
        Atomic.__enter__, Atomic.__exit__ = enter, leave  # type: ignore[method-assign]


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def bulk_create() -> Measured:
    """The same rows by Django's own means: a pending run and an entry of the audit for each user."""
    from django.db import transaction
    from django.utils import timezone

    from migrations_app.models import Run
    from tenants_app.models import AuditEntry, ConferencingUser, Tenant

    tenant = Tenant.objects.get()
    users = list(ConferencingUser.objects.values_list("pk", "upn"))
    began, used = time.perf_counter(), cpu_seconds()
    reasons = [{"rule": "R5", "sentence": "The user moved to the bridge Bridge 1."}]
    for at in range(0, len(users), BATCH):
        some = users[at : at + BATCH]
        with transaction.atomic():
            Run.objects.filter(user__in=[pk for pk, _ in some], is_latest=True).update(is_latest=False)
            Run.objects.bulk_create(
                Run(tenant=tenant, user_id=pk, reasons=reasons, due_at=timezone.now(), requested_by="bench")
                for pk, _ in some
            )
            AuditEntry.objects.bulk_create(
                AuditEntry(tenant=tenant, actor="bench", channel="command", action="change user", target=upn)
                for _, upn in some
            )
    return Measured(time.perf_counter() - began, cpu_seconds() - used)


if __name__ == "__main__":
    import django

    django.setup()
    sys.stdout.write(json.dumps(work(sys.argv[1])._asdict()))
