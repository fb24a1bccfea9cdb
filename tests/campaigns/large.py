"""`make campaign-large`: all users of a large organization move to another bridge, with everything counted.

A real cluster works on a database of its own, on the server of MMS_TEST_DATABASE_URL. Every few seconds a line says how
far it is, how fast, and what memory and disk it takes. With ``--kill-every`` a worker or the sentinel is killed with -9
again and again. In the end each meeting must have been changed once, and its attendees told once.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from signal import SIGKILL, SIGTERM, signal
from typing import Any

from tests.campaigns.results import Results, database_name
from tests.support.installation import Installation, new_installation
from tests.support.process_tree import children_of, living, with_descendants

AIM_MEETINGS, AIM_MINUTES = 2_000_000, 30
"""What 100,000 users with 20 meetings each are to take at most."""
STUCK = 300
"""Seconds without any progress after which it is given up."""


class Watched:
    """A cluster at work, looked at now and then."""

    def __init__(self, watchdog: int, meetings: int, outbox: Path) -> None:
        self._watchdog = watchdog
        self._meetings = meetings
        self._outbox = outbox
        self._began = time.monotonic()
        self.samples: list[dict[str, Any]] = []
        self._cpu: dict[str, dict[int, float]] = {"service": {}, "database": {}}

    def look(self) -> dict[str, Any]:
        """How far it is now, which is printed and kept."""
        from tests.support.large_organization import backends, database_octets, progress

        for whose, pids in (("service", with_descendants(self._watchdog)), ("database", backends())):
            self._cpu[whose] |= {pid: used for pid in pids if (used := _cpu_seconds(pid))}
        sample = {"at": time.monotonic() - self._began, **progress()}
        sample |= {"rss": [_rss(pid) for pid in self.workers()], "octets": database_octets()}
        before = self.samples[-1] if self.samples else sample
        took = sample["at"] - before["at"]
        self.samples.append(sample)
        memory = " ".join(f"{each / 1e6:.0f}" for each in sample["rss"])
        say(
            f"{sample['at']:7.0f} s  {sample['meetings']:>9,} meetings  {sample['messages']:>9,} messages  "
            f"{_per(sample['meetings'] - before['meetings'], took):>6,.0f} meetings/s  "
            f"workers {memory or 'none'} MB  database {sample['octets'] / 1e6:,.0f} MB"
        )
        return sample

    def cpu_seconds(self) -> dict[str, float]:
        """Of all processes of the service, and of all backends that the database server on this machine had for it."""
        return {whose: sum(seconds.values()) for whose, seconds in self._cpu.items()}

    def processes(self) -> dict[str, list[int]]:
        """Workers and sentinel of the cluster that is up; empty while none is."""
        from django_q.status import Stat

        for stat in Stat.get_all():
            if stat.pid in children_of(self._watchdog) and stat.workers:
                return {"worker": sorted(living(stat.workers)), "sentinel": sorted(living([stat.sentinel]))}
        return {}

    def workers(self) -> list[int]:
        return self.processes().get("worker", [])

    def until_done(self, every: float, kill_every: float, chance: random.Random) -> int:
        """Look until all is done; how many processes were killed. Raises where nothing goes on any more."""
        kills, next_look, next_kill = 0, time.monotonic(), time.monotonic() + kill_every
        moved = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= next_look:
                next_look += every
                before = self.samples[-1] if self.samples else {}
                sample = self.look()
                if sample["messages"] >= self._meetings:
                    return kills
                if any(sample[name] != before.get(name) for name in ("meetings", "messages")):
                    moved = now
                if now - moved > STUCK:
                    raise SystemExit(f"Nothing has gone on for {STUCK} s.")
            if kill_every and now >= next_kill:
                next_kill += kill_every
                kills += self._kill(chance)
            time.sleep(0.2)

    def _kill(self, chance: random.Random) -> bool:
        found = [(role, pid) for role, pids in self.processes().items() for pid in pids]
        if not found:
            return False
        role, pid = chance.choice(found)
        with suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
            say(f"          kill -9 of a {role}")
            return True
        return False


def _rss(pid: int) -> int:
    """Octets of memory that the process has now."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _cpu_seconds(pid: int) -> float:
    """Of its own and of the kernel for it; zero of one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def measure(installation: Installation, options: argparse.Namespace) -> dict[str, Any]:
    """Fill, run and verify; all figures."""
    from tests.support.large_organization import LargeOrganization, database_octets

    meetings = options.users * options.meetings
    outbox = installation.data_dir / "outbox"
    organization = LargeOrganization(options.users, options.meetings, options.seed)
    say(f"{options.users:,} users with {options.meetings} meetings each are made …")
    began = time.monotonic()
    organization.furnish()
    filled = database_octets()
    say(f"… in {time.monotonic() - began:.0f} s; the database takes {filled / 1e6:,.0f} MB.")
    organization.move_everybody()
    watchdog = installation.start_watchdog()
    watched = Watched(watchdog.pid, meetings, outbox)
    try:
        kills = watched.until_done(options.every, options.kill_every, random.Random(options.seed))  # noqa: S311
    finally:
        watchdog.terminate()
        watchdog.wait()
    say("Each meeting and each message is looked at …")
    faults = organization.faults(outbox)
    sizes = [entry.stat().st_size for entry in os.scandir(outbox)]
    return {
        "kills": kills,
        "faults": faults,
        "filled": filled,
        "octets": database_octets(),
        "message_octets": sum(sizes),
        "cpu": watched.cpu_seconds(),
        "samples": watched.samples,
    }


def conclusions(row: Mapping[str, Any]) -> list[str]:
    """What the figures say, line by line."""
    meetings, samples = row["users"] * row["meetings"], row["samples"]
    from_first = [sample for sample in samples if sample["messages"]]
    start = samples[max(samples.index(from_first[0]) - 1, 0)]["at"]
    whole = samples[-1]["at"] - start
    rate = meetings / whole
    thirds = {
        what: [_per(meetings / 3, end - begin) for begin, end in pairwise(times)][::2]
        for what in ("meetings", "messages")
        if (times := [start, *(_reached(samples, what, meetings * part / 3) for part in (1, 2, 3))])
    }
    memory = [sample["rss"] for sample in samples if len(sample["rss"]) == row["workers"] and all(sample["rss"])]
    first, last = (memory[0], memory[-1]) if memory else ([], [])
    grown = row["octets"] - row["filled"]
    minutes = AIM_MEETINGS / rate / 60
    lines = [
        f"{meetings:,} meetings changed and told of in {whole:,.0f} s: {rate:,.0f} meetings/s with messages, "
        f"{row['workers']} workers, {row['database']}, {row['kills']} kills",
        f"processor time for each meeting: {row['cpu']['service'] / meetings * 1e3:.2f} ms of the service and "
        f"{row['cpu']['database'] / meetings * 1e3:.2f} ms of the database, as far as its server is on this machine",
        *(
            f"{what}/s in the first third {first_third:,.0f}, in the last {last_third:,.0f}: "
            f"{last_third / first_third:.2f} times (1.00 would be a straight line)"
            for what, (first_third, last_third) in thirds.items()
        ),
        f"memory of workers at the start {_megabytes(first)} MB, at the end {_megabytes(last)} MB, "
        f"at most {max((max(each) for each in memory), default=0) / 1e6:.0f} MB",
        f"on the disk for each changed meeting: {grown / meetings:,.0f} octets of database beside "
        f"{row['filled'] / meetings:,.0f} before, and {row['message_octets'] / meetings:,.0f} of messages",
        f"wrong: {row['faults'] or 'nothing'}",
    ]
    if row["kills"] == 0:
        lines.append(
            f"100,000 users with {AIM_MEETINGS:,} meetings would take {minutes:.0f} minutes "
            f"(aim: under {AIM_MINUTES}), {(row['octets'] * AIM_MEETINGS / meetings) / 1e9:.0f} GB of database and "
            f"{row['message_octets'] * AIM_MEETINGS / meetings / 1e9:.0f} GB of messages, if the rate stays as it is: "
            "no decay with the size of tables (the thirds say how far that holds), invitations of about 4 KB that MMS "
            "keeps itself, messages written to files on the same disk, and nothing else on the machine"
        )
    return lines


def _reached(samples: Sequence[Mapping[str, Any]], what: str, number: float) -> float:
    """When so many were done, between two looks by proportion."""
    for before, after in pairwise(samples):
        if after[what] >= number:
            part = (number - before[what]) / max(after[what] - before[what], 1)
            return float(before["at"] + part * (after["at"] - before["at"]))
    return float(samples[-1]["at"])


def _per(number: float, seconds: float) -> float:
    return number / seconds if seconds > 0 else 0.0


def _megabytes(sizes: Sequence[int]) -> str:
    return " and ".join(f"{size / 1e6:.0f}" for size in sizes) or "?"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.large", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--meetings", type=int, default=20, help="of each user (20)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=0, help="seconds between two kills; 0: none (0)")
    parser.add_argument("--every", type=float, default=10, help="seconds between two lines of figures (10)")
    parser.add_argument("--seed", type=int, default=1, help="decides meetings and kills (1)")
    parser.add_argument("--again", action="store_true", help="measure once more what the results hold already")
    parser.add_argument("--folder", type=Path, help="where the messages are written; else a temporary folder")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-large.jsonl")
    options = parser.parse_args()
    signal(SIGTERM, lambda *_: sys.exit(1))  # also then the service is stopped, and the database dropped
    names = ("users", "meetings", "workers", "kill_every", "seed")
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    results = Results(options.results, {name: getattr(options, name) for name in names} | {"database": database})
    if options.again or not results.rows():
        with (
            tempfile.TemporaryDirectory(dir=options.folder) as folder,
            new_installation(Path(folder), MMS_WORKERS=str(options.workers)) as installation,
        ):
            os.environ.update(installation.environment, DJANGO_SETTINGS_MODULE="mms_site.settings")
            import django

            django.setup()
            installation.run("migrate", "--verbosity", "0")
            found = measure(installation, options)
            from django.db import connections

            connections.close_all()
            results.add(**found)
    row = results.rows()[-1]
    for line in conclusions(row):
        say(line)
    return 1 if row["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
