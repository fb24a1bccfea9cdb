"""`make soak-made-anew`: kill -9 of the worker at random points while meetings are made anew (R41).

After each kill another worker goes on. In the end each meeting has one online meeting, its invitation shows that link,
and each attendee was told once.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.campaigns.results import Results, database_name
from tests.support.installation import Installation, new_installation

USERS, MEETINGS = 10, 40
"""Of one batch; more are added when all of them are done before the last kill."""
START = 0.1
"""Seconds until a worker has begun, about."""
LONGEST = 2.5
"""Seconds that a worker is then left at work, at most."""


def strike(installation: Installation, after: float) -> bool:
    """Let a worker work for so many seconds and kill it; whether it was still there."""
    killer = threading.Timer(after, installation.kill)
    killer.start()
    was_there = installation.run_to_be_killed("run_migrations", "--until-idle")
    killer.cancel()
    killer.join()
    if was_there:
        installation.ask("expire_leases()")
    return was_there


def kill_and_look(
    installation: Installation, kills: int, seed: int, *, meetings: int = MEETINGS, longest: float = LONGEST
) -> dict[str, Any]:
    """Kill so often, let what is left be done, and report."""
    chance = random.Random(seed)  # noqa: S311 - it picks moments and guards nothing
    done = 0
    while done < kills:
        if not installation.ask("Run.objects.filter(state__in=['Pending', 'InProgress']).exists()"):
            installation.ask(f"begin_moving(users={USERS}, meetings={meetings})")
        done += strike(installation, START + chance.uniform(0, longest))
    installation.run("run_migrations", "--until-idle")
    found: dict[str, Any] = installation.ask(f"moved({str(installation.data_dir / 'outbox')!r})")
    return {"kills": done} | found


def is_right(found: dict[str, Any]) -> bool:
    """Whether every meeting has one link, and every attendee one message."""
    meetings = found["meetings"]
    counts = (found["with_one_link"], found["messages"], found["told_once"], found["results"].get("Succeeded"))
    return set(counts) == {meetings}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.made_anew", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills (50)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-made-anew.jsonl")
    options = parser.parse_args()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    results = Results(options.results, {"seed": options.seed, "count": options.count, "database": database})
    if not results.rows():
        with tempfile.TemporaryDirectory() as folder, new_installation(Path(folder)) as installation:
            installation.run("migrate", "--verbosity", "0")
            results.add(**kill_and_look(installation, options.count, options.seed))
    for row in results.rows():
        sys.stdout.write(f"{row}\n")
    return 0 if all(map(is_right, results.rows())) else 1


if __name__ == "__main__":
    sys.exit(main())
