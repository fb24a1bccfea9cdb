"""`make campaign-chat`: kill -9 of the worker at random points while persistent chat moves into pages to read, or to a
stand-in for a Matrix homeserver that loses every hundredth answer (R130).

A generated organization, as an archive, is read, planned, imported and compared, over and over; the worker is killed in
each of these phases, and another goes on. In the end every message of every room is at the target once and in its
order, every room is verified against the archive, and importing again adds nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from migrations_app.chat.archive.packing import pack
from tests.campaigns.made_anew import strike
from tests.campaigns.results import Results, database_name
from tests.support.chat_organization import write_organization
from tests.support.installation import Installation, new_installation
from tests.support.matrix_stand_in import matrix_stand_in, of_organization, settings_for
from tests.support.processes import ROOT

ROOMS, MESSAGES = 200, 100_000
KILLS_OF_A_READING = 2
"""At most: one that was begun three times and never ended is given up."""
START = 1.0
"""Seconds until a worker has begun, about."""
LONGEST = 12.0
"""Seconds that a worker is then left at work, at most."""
QUICKER = {"reading": 4, "planning": 2, "importing": 1, "comparing": 1}
"""The phases, each of which has its share of the kills, and how much sooner than an import each is through."""
ROUNDS = 200
FAULTS = ("busy", "lost", "done", "gateway", "cut")
"""What becomes of a request to the homeserver."""
SETTINGS = {"MMS_ALLOWED_MAIL_HOSTS": "localhost,127.0.0.1"}


@contextmanager
def homeserver(seed: int) -> Iterator[Callable[[], dict[str, Any]]]:
    """Makes a stand-in for a homeserver anew each time it is called; and what a target must know of it."""
    chance = random.Random(seed)  # noqa: S311 - it picks faults and guards nothing
    with matrix_stand_in() as (_, server):

        def anew() -> dict[str, Any]:
            server.script = fresh = of_organization()
            fresh.faults = lambda _: chance.choice(FAULTS) if chance.random() < 0.01 else ""
            told = settings_for(server.address, Path())
            account = {"address": told.address, "account": told.account, "secret": told.secret}
            return {"kind": "matrix", **account, "options": dict(told.options)}

        yield anew


def kill_and_look(
    installation: Installation,
    folder: Path,
    kills: int,
    seed: int,
    *,
    rooms: int = ROOMS,
    messages: int = MESSAGES,
    longest: float = LONGEST,
    measures: bool = True,
    target: Callable[[], dict[str, Any]] = lambda: {"kind": "archive"},
) -> dict[str, Any]:
    """Move one organization, at first without a kill if it is measured; kill so often while it moves; and report."""
    organization = write_organization(folder / "organization", seed=seed, rooms=rooms, messages=messages)
    zipped = folder / "organization.zip"
    pack(organization.folder, zipped)
    chance = random.Random(seed)  # noqa: S311 - it picks moments and guards nothing
    killed: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    found = [_moved(installation, zipped, chance, killed, 0, longest, seconds, target())] if measures else []
    while killed.total() < kills:
        left = kills - killed.total()
        found.append(_moved(installation, zipped, chance, killed, left, longest, {}, target()))
    again = installation.ask("import_again()")
    at_most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return {
        "rooms": rooms,
        "messages": messages,
        "kills": killed.total(),
        "killed": dict(killed),
        "times": len(found),
        "wrong": [each for each in found if not _is_whole(each)],
        "again": again,
        "seconds": {phase: round(time, 1) for phase, time in seconds.items()},
        "worker_mb": at_most,
        "last": found[-1],
    }


def _moved(
    installation: Installation,
    zipped: Path,
    chance: random.Random,
    killed: Counter[str],
    kills: int,
    longest: float,
    seconds: dict[str, float],
    target: dict[str, Any],
) -> dict[str, Any]:
    """Move it once, with so many kills at most, and look."""
    installation.ask(f"begin_chat({str(zipped)!r}, {target!r})")
    of_phase: Counter[str] = Counter()
    for _ in range(ROUNDS + kills):
        phase = installation.ask("chat_phase()")
        if phase == "done":
            break
        at_most = KILLS_OF_A_READING if phase == "reading" else math.ceil(kills / len(QUICKER))
        if of_phase.total() < kills and of_phase[phase] < at_most:
            if strike(installation, START + chance.uniform(0, longest / QUICKER[phase])):
                of_phase[phase] += 1
        else:
            began = monotonic()
            work_through(installation)
            seconds[phase] = seconds.get(phase, 0) + monotonic() - began
    killed.update(of_phase)
    found: dict[str, Any] = installation.ask("chat_moved()")
    return found


def work_through(installation: Installation) -> None:
    """Let a worker do all there is, as a child of this process, whose memory is then known."""
    subprocess.run(
        [sys.executable, "manage.py", "run_migrations", "--until-idle"],
        cwd=ROOT,
        env=installation.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether no message was lost or doubled, and every room is as it is in the archive."""
    imported = found["states"].get("Imported", 0)
    return (
        set(found["states"]) <= {"Imported", "Deselected"}
        and found["compared"] == {"Verified": imported}
        and (found["lost"], found["doubled"], found["strange"], found["out_of_order"]) == (0, 0, 0, [])
        and found["archives"] == found["folders"]
        and found["given"] == 0
    )


def is_right(found: dict[str, Any]) -> bool:
    """Whether each time it was whole, and importing again added nothing."""
    return not found["wrong"] and found["again"]["before"] == found["again"]["after"] > 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.chat", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="kills (50)")
    parser.add_argument("--seed", type=int, default=1, help="decides the moments (1)")
    parser.add_argument("--rooms", type=int, default=ROOMS, help=f"of the organization ({ROOMS})")
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"of all rooms together ({MESSAGES})")
    parser.add_argument("--into", choices=("archive", "matrix"), default="archive", help="the kind of target (archive)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-chat.jsonl")
    options = parser.parse_args()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    name = {"seed": options.seed, "count": options.count, "database": database}
    name |= {"rooms": options.rooms, "messages": options.messages, "into": options.into}
    results = Results(options.results, name)
    if not results.rows():
        with (
            tempfile.TemporaryDirectory() as folder,
            new_installation(Path(folder), **SETTINGS) as installation,
            homeserver(options.seed) as matrix,
        ):
            installation.run("migrate", "--verbosity", "0")
            found = kill_and_look(
                installation,
                Path(folder),
                options.count,
                options.seed,
                rooms=options.rooms,
                messages=options.messages,
                **({"target": matrix} if options.into == "matrix" else {}),
            )
            results.add(**found)
    for row in results.rows():
        sys.stdout.write(f"{row}\n")
    return 0 if all(map(is_right, results.rows())) else 1


if __name__ == "__main__":
    sys.exit(main())
