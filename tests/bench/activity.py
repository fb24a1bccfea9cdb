"""What it costs runs and messages that triggers note each change for live pages (``monitoring.activity``)."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

MEETINGS = 300
TURNS = 12


def main() -> None:
    """Print what runs of 300 meetings and their messages take with the triggers and without, in turn."""
    from migrations_app.mail.delivery import deliver
    from migrations_app.monitoring import activity
    from tests.bench.__main__ import database, fill, make_invitations, show, whole_run

    invitations = make_invitations("4 KB text", MEETINGS)
    taken: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for turn in range(TURNS + 1):
        for watched in (True, False) if turn % 2 else (False, True):
            fill(invitations)
            (activity.watch if watched else activity.unwatch)("default")
            works: list[tuple[str, Callable[[], object]]] = [("runs", whole_run), ("messages", deliver)]
            for name, work in works:
                seconds = _timed(work)
                if turn:  # the first warms up
                    taken.setdefault((name, watched), []).append(seconds)
    activity.watch("default")
    show(f"\n{MEETINGS} meetings of 4 KB with the triggers of live pages, beside the same without; {database()}")
    for name in ("runs", "messages"):
        pairs = list(zip(taken[name, True], taken[name, False], strict=True))
        wall, cpu = (statistics.median(on[each] / off[each] - 1 for on, off in pairs) for each in (0, 1))
        on, off = (statistics.median(pair[each][0] for pair in pairs) for each in (0, 1))
        show(f"  {name:10}{on:7.3f} s beside {off:.3f} s   wall {wall:+.1%}, CPU {cpu:+.1%} (medians of {TURNS} pairs)")


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return time.perf_counter() - wall, _cpu() - cpu


def _cpu() -> float:
    """Seconds of CPU that this process has used, and the one of a PostgreSQL on this machine that serves it."""
    from django.db import connection

    used = time.process_time()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        used += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return used
