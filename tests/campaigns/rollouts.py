"""`make campaign-rollouts`: kill -9 of the worker at random points while the members of waves move (R80).

After each kill another worker goes on. In the end every member was moved once and has one run, and each attendee was
told once. A program that moves accounts may have been called again for whoever it was at work on, and for nobody else.
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

USERS, MEETINGS = 16, 3
"""Of one wave; another is begun when all of it have moved before the last kill."""
LONGEST = 1.2
"""Seconds that a worker is left at work, at most."""
ROUNDS = 100
"""After the last kill: so often a worker may be needed until nobody moves any more."""


def settings_of(folder: Path) -> dict[str, str]:
    """Of an installation in that folder: its program that moves accounts notes for whom it was called."""
    programs = folder / "programs"
    programs.mkdir(mode=0o755)
    program = programs / "move"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{called(folder)}'\n")
    program.chmod(0o755)
    return {"MMS_CHECK_COMMANDS": str(programs)}


def called(folder: Path) -> Path:
    """For whom the program was called."""
    return folder / "called.txt"


def kill_and_look(
    installation: Installation, kills: int, seed: int, *, users: int = USERS, meetings: int = MEETINGS
) -> dict[str, Any]:
    """Kill so often, let what is left be done, and report."""
    chance = random.Random(seed)  # noqa: S311 - it picks moments and guards nothing
    done = 0
    while done < kills:
        if not installation.ask("is_moving()"):
            installation.ask(f"begin_wave(users={users}, meetings={meetings})")
        done += strike(installation, START + chance.uniform(0, LONGEST))
        installation.ask("expire_claims()")
    for _ in range(ROUNDS):
        installation.run("run_migrations", "--until-idle")
        if not installation.ask("is_moving()"):
            break
        installation.ask("expire_claims()")
    places = (str(installation.data_dir / "outbox"), str(called(installation.data_dir)))
    found: dict[str, Any] = installation.ask("wave_moved({!r}, {!r})".format(*places))
    return {"kills": done, "meetings": found["members"] * meetings} | found


def is_right(found: dict[str, Any]) -> bool:
    """Whether nobody was lost, or moved twice, or has a second run, and every attendee was told once."""
    members, meetings = found["members"], found["meetings"]
    return (
        found["states"] == {"Done": members}
        and set(found["waves"]) == {"Observing"}
        and found["moved_once"] == found["one_run"] == members
        and found["messages"] == found["told_once"] == meetings
        and found["called"] == found["by_program"]
        and found["called_again"] <= found["kills"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.rollouts", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills (50)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-rollouts.jsonl")
    options = parser.parse_args()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    results = Results(options.results, {"seed": options.seed, "count": options.count, "database": database})
    if not results.rows():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with new_installation(folder, **settings_of(folder)) as installation:
                installation.run("migrate", "--verbosity", "0")
                results.add(**kill_and_look(installation, options.count, options.seed))
    for row in results.rows():
        sys.stdout.write(f"{row}\n")
    return 0 if all(map(is_right, results.rows())) else 1


if __name__ == "__main__":
    sys.exit(main())
