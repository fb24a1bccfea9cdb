"""`make bench ARGS=lists`: what pages take at 100,000 users, and 1,000,000 meetings, runs and audit entries.

Each page is asked for through Django's test client by a signed-in viewer: the number of queries, which must be the
same as with 100 users; milliseconds by the clock, and of work, of which the database did some; and how many times the
work of the Django admin's own list of users that is.
First what people open most; then every list by each of its filters and each way to sort it; then its files. The
database is made for the purpose, next to the one that is configured, and dropped at the end.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.large_tenant import (
    FEW,
    MANY,
    MEETINGS,
    database_of_its_own,
    fill,
    make_everyone_pending,
    make_organization,
    settle,
)
from tests.bench.lists_pages import ADMIN_END, ADMIN_LIST, ADMIN_SEARCH, Page, files, pages, variants

TIMES = 9
"""How often each page is asked for, or as often as fits into ``PATIENCE``."""
PATIENCE = 4.0
"""Seconds."""
AIM = {"PostgreSQL": 50, "SQLite": 100}
"""Milliseconds that the p95 of a page should stay below; printed, never enforced."""
ADMINS = (ADMIN_LIST, ADMIN_SEARCH, ADMIN_END)


class Figures(NamedTuple):
    """Of one page, in milliseconds."""

    median: float
    """As a clock on the wall has it: other work of the machine counts too."""
    work: float
    """Of the processor, in Python and in the database: the median."""
    p95: float
    """The same, which 95 of 100 requests stay below."""
    in_database: float
    """Of the median."""


def main() -> None:
    """Fill, measure, print."""
    with database_of_its_own() as vendor:
        make_organization()
        fill(range(FEW))
        few = {page.path: queries_of(page) for page in [*pages(), *variants()]}
        start = time.perf_counter()
        fill(range(FEW, MANY))
        settle()
        runs = f"{MANY * MEETINGS:,} meetings, runs and audit entries"
        show(f"\nPages at {MANY:,} users and about {runs}, {vendor}, filled in {time.perf_counter() - start:.0f} s")
        seen = Seen(AIM[vendor], few)
        for title, some in (("What people open", pages()), ("Each filter and each order", variants())):
            heading(title)
            for page in some:
                show(seen.line_of(page))
        show(seen.in_sum())
        heading("Files: all of it, by stream")
        for page in files():
            show(line_of_file(page))
        make_everyone_pending()
        heading("While a run of nearly everybody is pending")
        for page in pages():
            if page.name.startswith("dashboard"):
                show(seen.line_of(page))


def heading(title: str) -> None:
    show(f"\n{title}\n{'':46}{'queries':>8}{f'with {FEW}':>10}{'clock':>8}{'work':>8}{'p95':>8}{'SQL':>8}  ms")


class Seen:
    """What was measured so far."""

    def __init__(self, aim: int, few: dict[str, int]) -> None:
        """``few``: the queries of each address with few users."""
        self.aim, self.few = aim, few
        self.measured: dict[str, Figures] = {}
        self.slow: list[str] = []
        self.growing: list[str] = []

    def line_of(self, page: Page) -> str:
        """Measure a page; a line of the table."""
        queries, figures = queries_of(page), time_of(page)
        self.measured[page.name] = figures
        before = self.few[page.path]
        line = f"  {page.name:44.44}{queries:>8}{before:>10}"
        line += "".join(f"{each:>8.1f}" for each in figures)
        if page.name in ADMINS:
            return line
        beside = self.measured[page.beside]
        line += f"   {figures.work / beside.work:.2f} times {page.beside}"
        if queries > before:
            self.growing.append(page.name)
            line += "   NOT constant"
        if figures.p95 > self.aim:
            self.slow.append(page.name)
            line += f"   over {self.aim} ms"
        return line

    def in_sum(self) -> str:
        asked = len([name for name in self.measured if name not in ADMINS])
        told = f"\n  {len(self.slow)} of {asked} pages are over {self.aim} ms (p95)."
        return told + f" {len(self.growing) or 'None'} ask more of the database than with {FEW} users."


def line_of_file(page: Page) -> str:
    """Read a file to its end: rows, seconds until its first octet and to its end, and the most memory it added."""
    import tracemalloc

    tracemalloc.start()
    start = time.perf_counter()
    answer = client_of(page).get(page.path)
    first, octets, lines = 0.0, 0, 0
    for part in answer.streaming_content:
        first = first or time.perf_counter() - start
        octets += len(part)
        lines += part.count(b"\n")
    seconds = time.perf_counter() - start
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (
        f"  {page.name:44.44}{lines:>9,} lines{octets / 1e6:>8.1f} MB in {seconds:>6.1f} s, the first after "
        f"{first:.2f} s, {most / 1e6:.1f} MB of memory"
    )


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- asking ---------------------------------------------------------------------------------------------


def queries_of(page: Page) -> int:
    """The number of queries that the page takes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask = asking(page)
    with CaptureQueriesContext(connection) as queries:
        ask()
    return len(queries)


def time_of(page: Page) -> Figures:
    """What some requests take.

    Each is asked from another depth of calls. CPython 3.11 keeps its frames in pieces of 16 KB: where the seam of two
    falls into a page's innermost loop, the page takes half as long again. That depends on who calls, not on the page.
    """
    ask, database = asking(page), work_of_database()
    taken: list[tuple[float, float, float]] = []
    begun = time.perf_counter()
    for depth in range(0, 6 * TIMES, 6):
        start = time.perf_counter(), time.process_time(), database()
        call_from_below(depth, ask)
        end = time.perf_counter(), time.process_time(), database()
        on_the_wall, here, there = (after - before for after, before in zip(end, start, strict=True))
        taken.append((here + there, there, on_the_wall))
        if time.perf_counter() - begun > PATIENCE and len(taken) > 2:
            break
    taken.sort()
    (work, in_database, _), worst = taken[len(taken) // 2], taken[math.ceil(0.95 * len(taken)) - 1][0]
    on_the_wall = statistics.median(wall for _, _, wall in taken)
    return Figures(*(each * 1000 for each in (on_the_wall, work, worst, in_database)))


def work_of_database() -> Callable[[], float]:
    """Tells the seconds of the processor that the connection's process at PostgreSQL has had, of a server on this
    machine; SQLite works in this process. Parallel plans are off: their workers are other processes.
    """
    from django.db import connection

    if connection.vendor != "postgresql":
        return lambda: 0.0
    with connection.cursor() as cursor:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    counted = Path(f"/proc/{process}/schedstat")
    return lambda: int(counted.read_text("ascii").split()[0]) / 1e9


def call_from_below(depth: int, call: Callable[[], None]) -> None:
    """Call with so many frames more on the stack."""
    if depth:
        call_from_below(depth - 1, call)
    else:
        call()


def client_of(page: Page) -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(SERVER_NAME="localhost", **({"HTTP_HX_REQUEST": "true"} if page.is_fragment else {}))
    account = User.objects.get(username=page.who)
    client.force_login(account, "mms_site.accounts.backends.AccountBackend")
    return client


def asking(page: Page) -> Callable[[], None]:
    """Asks for the page once; it has been asked for before, so that templates are compiled and rows in the cache."""
    client = client_of(page)

    def ask() -> None:
        response = client.get(page.path)
        words = response.content.decode()
        if response.status_code != 200 or "is-invalid" in words or (page.has_rows and "matches." in words):
            raise SystemExit(f"{page.name}: {page.path} was not answered with rows, so its figure would not count.")

    ask()
    return ask
