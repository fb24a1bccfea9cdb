"""`make soak-kills`: kill -9 of each process of the background service in turn, idle and busy, as often as asked.

After each kill nobody helps. What is measured: how long until a run requested after the kill has succeeded, until
the run that was cut off has, until all processes are there again and, where it was the watchdog, until nothing is left
of what it had started. A loop stands in for systemd: it starts the watchdog again, and nothing else.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.results import Results, database_name
from tests.support.installation import Installation, new_installation
from tests.support.process_tree import children_of, living, with_descendants
from tests.support.processes import Started
from tests.support.waiting import wait_until

A_MINUTE = 60
ROLES = ("watchdog", "main process", "sentinel", "worker 1", "worker 2", "monitor", "pusher")
BOTH = "both workers"
"""One of them waits for the queue, and takes its lock along."""
STILL = "sentinel, which stands still"
"""Not killed but stopped, as one that waits for ever for a lock that a dead process took along."""
KILLED = (*ROLES, BOTH, STILL)
MEETINGS = 400
"""So many that a run takes a while, in which somebody can be killed; half of them in the short form."""
SHORT = [
    (BOTH, False),
    ("main process", True),
    ("sentinel", False),
    (STILL, False),
    ("monitor", True),
    ("watchdog", False),
]
"""One kill of each kind: of those that wait for a queue, of those that guard, of who guards them."""


class Supervisor(threading.Thread):
    """Stands in for systemd with ``Restart=always``."""

    def __init__(self, installation: Installation, patience: int | None) -> None:
        super().__init__(daemon=True)
        self._arguments = () if patience is None else ("--patience", str(patience))
        self._installation = installation
        self._is_over = False
        self.watchdog = self._start()

    def _start(self) -> Started:
        return self._installation.start_watchdog(*self._arguments)

    def run(self) -> None:
        while self.watchdog.wait() is not None and not self._is_over:
            self.watchdog = self._start()

    def stop(self) -> int:
        """As systemd does; how the watchdog ended."""
        self._is_over = True
        self.watchdog.terminate()
        return self.watchdog.wait()


class Campaign:
    def __init__(self, supervisor: Supervisor, meetings: int, *, expire_leases: bool) -> None:
        self.supervisor = supervisor
        self.expire_leases = expire_leases
        from tests.support import questions  # Django is set up by now

        self.anna, self.bruno = questions.two_users(meetings)
        self.questions = questions

    def processes(self) -> dict[str, int]:
        """The processes of a cluster that is up, by their role; empty while there is none."""
        from django_q.status import Stat

        watchdog = self.supervisor.watchdog.pid
        for stat in Stat.get_all():
            found = [watchdog, stat.pid, stat.sentinel, *stat.workers, stat.monitor, stat.pusher]
            if stat.pid in children_of(watchdog) and len(found) == len(ROLES) and living(found) == set(found):
                return dict(zip(ROLES, found, strict=True))
        return {}

    def strike(self, role: str, *, busy: bool) -> dict[str, float]:
        """Kill one; after how many seconds what goes on again."""
        wait_until(self.questions.is_idle)
        before = wait_until(self.processes)
        everything = with_descendants(before["watchdog"])
        cut_off = None
        if busy:
            cut_off = self.questions.begin_long_run(self.bruno)
            wait_until(lambda: self.questions.is_half_way(cut_off), every=0.01)
        killed = [before[one] for one in {BOTH: ("worker 1", "worker 2"), STILL: ("sentinel",)}.get(role, (role,))]
        struck = time.monotonic()
        try:
            for pid in killed:
                os.kill(pid, signal.SIGSTOP if role == STILL else signal.SIGKILL)
        except ProcessLookupError:  # an earlier kill has had its consequence just now
            return self.strike(role, busy=busy)
        new = self.questions.begin_short_run(self.anna)

        def after(condition: Callable[[], object]) -> float:
            wait_until(condition)
            return round(time.monotonic() - struck, 1)

        found = {"new_run": after(lambda: self.questions.has_succeeded(new))}
        if role == "watchdog":
            found["all_ended"] = after(lambda: not living(everything))
        found["all_there"] = after(lambda: (now := self.processes()) and not set(now.values()) & set(killed))
        if cut_off:
            if self.expire_leases and role not in {"monitor", "pusher"}:
                self.questions.expire_leases()
            found["cut_off_run"] = after(lambda: self.questions.has_succeeded(cut_off))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills of each process, idle and busy (20)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the kills (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-kills.jsonl")
    parser.add_argument(
        "--short", action="store_true", help="a few kills, with an impatient watchdog and leases that run out at once"
    )
    parser.add_argument(
        "--migrated", type=Path, help="an SQLite database to begin with a copy of, instead of migrating"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # also then the service is stopped

    with tempfile.TemporaryDirectory() as folder, new_installation(Path(folder)) as installation:
        os.environ.update(installation.environment, DJANGO_SETTINGS_MODULE="mms_site.settings")
        import django

        django.setup()
        if options.migrated:
            installation.migrate(options.migrated)
        else:
            installation.run("migrate", "--verbosity", "0")
        name = {"seed": options.seed, "database": database_name(installation.environment["DATABASE_URL"])}
        results = Results(options.results, name)
        supervisor = Supervisor(installation, patience=3 if options.short else None)
        supervisor.start()
        try:
            campaign = Campaign(supervisor, MEETINGS // 2 if options.short else MEETINGS, expire_leases=options.short)
            for number in range(1 if options.short else options.times):
                cases = list(SHORT) if options.short else [(role, busy) for role in KILLED for busy in (False, True)]
                random.Random(f"{options.seed}-{number}").shuffle(cases)  # noqa: S311 - an order, no secret
                for role, busy in cases:
                    case = {"round": number, "killed": role, "busy": busy}
                    if not results.has(**case):
                        took = campaign.strike(role, busy=busy)
                        results.add(**case, **took, within_a_minute=max(took.values()) < A_MINUTE)
        finally:
            left = with_descendants(supervisor.watchdog.pid)
            status = supervisor.stop()
    sys.stdout.write(summary(results))
    assert status == 0, f"the watchdog ended with {status}"
    assert not living(left), "processes are left of a service that was stopped"
    return 0 if all(row["within_a_minute"] for row in results.rows()) else 1


MEASURED = ("new_run", "cut_off_run", "all_there", "all_ended")


def summary(results: Results) -> str:
    """Kills, and the longest anything took, by what was killed."""
    titles = "".join(f"{what.replace('_', ' '):>13}" for what in MEASURED)
    lines = [f"{'killed':20}{'kills':>6}{titles}   longest, in seconds"]
    rows = results.rows()
    for role, busy in [(role, busy) for role in KILLED for busy in (False, True)]:
        some = [row for row in rows if (row["killed"], row["busy"]) == (role, busy)]
        longest = [max((row[what] for row in some if what in row), default="") for what in MEASURED]
        if some:
            lines.append(
                f"{role:15}{'busy' if busy else 'idle':5}{len(some):>6}" + "".join(f"{one:>13}" for one in longest)
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
