"""`make bench ARGS=load`: how long pages take while 50 are asked for each second, and the cluster works beside.

gunicorn runs as docs/operating/install.md has it, before a database with 100,000 users and 1,000,000 runs. Requests
come at fixed times, whether earlier ones were answered or not; a request's time begins when it was to be sent, so that
waiting for a thread counts. First alone, then while the cluster migrates the meetings of a second tenant as fast as
it can. All of it on this machine.
"""

from __future__ import annotations

import http.client
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.bench.large_tenant import MANY, database_of_its_own, fill, make_organization, settle
from tests.bench.lists import client_of, show
from tests.bench.lists_pages import pages

A_SECOND, SECONDS = 50, 30
"""Requests, and for how long."""
AT_ONCE = 100
"""Requests that may wait for their answer; more wait to be sent, and their time runs."""
MEETINGS = 3000
"""Of the second tenant, migrated again and again."""
UNIT = Path("docs/operating/files/mms-web.service")
NEVER = ("Django admin", "what ", "search: ", "users, 200 rows")
"""Pages that are no part of the mix, by how their names begin: what few people open, or seldom."""


def main() -> None:
    """Fill, serve, ask, print."""
    from tests.bench.__main__ import fill as fill_bench
    from tests.bench.__main__ import make_invitations

    with database_of_its_own() as vendor:
        make_organization()
        fill(range(MANY))
        count_on()
        settle()
        mix = [page for page in pages() if not page.name.startswith(NEVER)]
        cookies = {page.who: cookie_of(page) for page in mix}
        asked = [(page.path, cookies[page.who]) for page in mix]
        fill_bench(make_invitations("4 KB text", MEETINGS))
        run(sys.executable, "manage.py", "collectstatic", "--no-input").wait()
        show(f"\n{A_SECOND} requests a second for {SECONDS} s, of {len(mix)} pages, at {MANY:,} users, {vendor}")
        show(f"{'':36}{'p50':>8}{'p95':>8}{'p99':>8}{'worst':>8}  ms")
        for name, beside in (("alone", nullcontext()), ("while the cluster works", cluster_at_work())):
            with serving() as port, beside as done:
                for each in asked:
                    ask(port, *each)
                begun, start = (done() if done else 0), time.monotonic()
                taken, wrong = open_loop(port, asked)
                told = f"  {name:34}" + "".join(f"{at(taken, share):>8.0f}" for share in (0.5, 0.95, 0.99, 1))
                told += f"   {len(taken)} answers, {wrong} errors"
                if done:
                    told += f"; {(done() - begun) / (time.monotonic() - start):.0f} meetings a second beside"
                show(told)


def at(taken: list[float], share: float) -> float:
    """Milliseconds within which this share was answered."""
    return sorted(taken)[max(round(share * len(taken)) - 1, 0)] * 1000


def open_loop(port: int, asked: list[tuple[str, str]]) -> tuple[list[float], int]:
    """Seconds that each answer took since its request was due, and how many were no page."""
    chosen = random.Random(1)  # noqa: S311 - the same mix every time
    due = [(number / A_SECOND, chosen.choice(asked)) for number in range(A_SECOND * SECONDS)]
    begun = time.monotonic()

    def one(moment: float, page: tuple[str, str]) -> tuple[float, bool]:
        is_right = ask(port, *page)
        return time.monotonic() - begun - moment, is_right

    with ThreadPoolExecutor(AT_ONCE) as threads:
        coming = []
        for moment, page in due:
            time.sleep(max(begun + moment - time.monotonic(), 0))
            coming.append(threads.submit(one, moment, page))
        answers = [each.result() for each in coming]
    return [seconds for seconds, _ in answers], sum(not is_right for _, is_right in answers)


def ask(port: int, path: str, cookie: str) -> bool:
    """Whether the page came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": "localhost", "Cookie": cookie, "X-Forwarded-Proto": "https"})
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cookie_of(page: Any) -> str:
    """That of somebody who is signed in."""
    from django.conf import settings

    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client_of(page).cookies[name].value}"


def count_on() -> None:
    """Let the database count keys on from those of the rows that were poured in."""
    from django.apps import apps
    from django.core.management.color import no_style
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
            cursor.execute(statement)


# --- processes ------------------------------------------------------------------------------------------


def run(*command: str) -> subprocess.Popen[bytes]:
    """A process of the product on the database of the bench."""
    from django.conf import settings
    from django.db import connection

    from tests.bench.imports import address_of

    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mms_site.settings",
        "MMS_DATA_DIR": str(settings.MMS_DATA_DIR),
        "DATABASE_URL": address_of(connection.settings_dict),
    }
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=nowhere, stderr=nowhere, start_new_session=True)


@contextmanager
def serving() -> Iterator[int]:
    """gunicorn as its unit starts it, at a free port; which that is."""
    (line,) = [each for each in UNIT.read_text("utf-8").splitlines() if each.startswith("ExecStart=")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = [each.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for each in shlex.split(line.partition(" ")[2])]
    process = run(sys.executable, "-m", "gunicorn", *given)
    try:
        until = time.monotonic() + 60
        while not ask(port, "/healthz", ""):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("gunicorn does not answer.")
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def cluster_at_work() -> Iterator[Any]:
    """The cluster with runs to do as long as it takes; a function that tells how many meetings it has done."""
    from django.db import connection
    from django.db.models import Sum

    from migrations_app.models import Run
    from migrations_app.runs.actions import start_by_hand
    from migrations_app.targets import ALL, LINK, Targets
    from tenants_app.models import Tenant
    from tests.bench.__main__ import actor

    tenant = Tenant.objects.get(slug="bench")
    is_over = Event()

    def keep_busy() -> None:
        while not is_over.wait(2):
            free = tenant.users.exclude(runs__state__in=["Pending", "InProgress"]).filter(runs__isnull=False).distinct()
            if users := list(free):
                start_by_hand(tenant, users, actor(), targets=Targets.of_types(ALL, LINK), now_due=True)
        connection.close()

    def done() -> int:
        runs = Run.objects.filter(tenant=tenant)
        return runs.aggregate(done=Sum("succeeded_meetings") + Sum("failed_meetings"))["done"] or 0

    process, busy = run(sys.executable, "manage.py", "qcluster"), Thread(target=keep_busy)
    busy.start()
    try:
        until, before = time.monotonic() + 60, done()
        while done() == before:
            if time.monotonic() > until:
                raise SystemExit("The cluster does not begin.")
            time.sleep(0.2)
        yield done
    finally:
        is_over.set()
        busy.join()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
