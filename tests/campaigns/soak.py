"""`make soak`: the tests of the cluster and of concurrency many times in a row, beside a busy loop on one core.

Each round runs the files in another order, on SQLite or on the server of MMS_TEST_DATABASE_URL.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaigns.results import Results, database_name

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    "tests/cluster/test_kill.py",
    "tests/cluster/test_number_release.py",
    "tests/cluster/test_watchdog.py",
    "tests/runs/test_concurrency.py",
    "tests/runs/test_one_run.py",
    "tests/runs/test_service_off.py",
]


@contextmanager
def busy_core() -> Iterator[None]:
    """One core that is never idle."""
    spin = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); campaign = os.getppid()\n"
        "while os.getppid() == campaign: pass"
    )
    process = subprocess.Popen([sys.executable, "-c", spin])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="rounds (50)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of the files (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-soak.jsonl")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    results = Results(options.results, {"commit": commit, "seed": options.seed, "database": database})
    with busy_core():
        for number in range(options.count):
            if results.has(round=number):
                continue
            files = FILES.copy()
            random.Random(f"{options.seed}-{number}").shuffle(files)  # noqa: S311 - an order, no secret
            begun = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-n", "0", *files], cwd=ROOT, capture_output=True, text=True
            )
            failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
            results.add(round=number, status=done.returncode, failed=failed, seconds=round(time.monotonic() - begun))
            if done.returncode:
                options.results.with_suffix(f".{database}-{number}.txt").write_text(done.stdout, encoding="utf-8")
            sys.stdout.write(
                f"{database} round {number + 1} of {options.count}: {'green' if done.returncode == 0 else failed}\n"
            )
            sys.stdout.flush()
    rows = results.rows()
    red = sum(row["status"] != 0 for row in rows)
    sys.stdout.write(f"{database}: {len(rows)} rounds, {red} of them not green: {options.results}\n")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
