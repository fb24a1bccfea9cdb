"""`make soak-undo`: kill -9 of the worker at random points while runs are undone (R45).

After each kill another worker goes on. In the end each meeting says what it said before the run, was put back once, and
its attendees were told once by the run and once by the undo.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.campaigns.made_anew import START, strike
from tests.campaigns.results import Results, database_name
from tests.support.installation import Installation, new_installation

USERS, MEETINGS = 6, 30
"""Of one batch; more are added when all of them are done before the last kill."""
LONGEST = 0.9
"""Seconds that a worker is left at work, at most: hardly longer than it takes for a batch, or most kills come late."""


def kill_and_look(installation: Installation, kills: int, seed: int, users: int = USERS) -> dict[str, Any]:
    """Kill so often, let what is left be done, and report."""
    chance = random.Random(seed)  # noqa: S311 - it picks moments and guards nothing
    kept = str(installation.data_dir / "before.json")
    done = 0
    while done < kills:
        if not installation.ask("Run.objects.filter(state__in=['Pending', 'InProgress']).exists()"):
            installation.ask(f"begin_undoing({kept!r}, users={users}, meetings={MEETINGS})")
        done += strike(installation, START + chance.uniform(0, LONGEST))
    installation.run("run_migrations", "--until-idle")
    found: dict[str, Any] = installation.ask(f"undone({str(installation.data_dir / 'outbox')!r}, {kept!r})")
    return {"kills": done} | found


def is_right(found: dict[str, Any]) -> bool:
    """Whether every meeting was put back once, and its attendee told once about it."""
    meetings = found["meetings"]
    counts = (found["restored_once"], found["told_twice"], found["messages"] / 2)
    return set(counts) == {meetings} and found["open"] == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.undone", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills (50)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-undone.jsonl")
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
