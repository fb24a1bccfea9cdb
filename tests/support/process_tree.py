"""Processes of the service under test: which there are, and whether they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress


def _listed() -> list[tuple[int, int, str]]:
    """Every process: itself, its parent, its state."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [(int(pid), int(parent), state) for pid, parent, state in rows]


def children_of(pid: int) -> list[int]:
    return [child for child, parent, _ in _listed() if parent == pid]


def with_descendants(pid: int) -> list[int]:
    """The process and all below it, parents before their children."""
    rows = _listed()
    found = [pid]
    for one in found:
        found += [child for child, parent, _ in rows if parent == one]
    return found


def living(pids: Iterable[int]) -> set[int]:
    """Those that have not ended; one that only waits to be reaped has."""
    wanted = set(pids)
    return {pid for pid, _, state in _listed() if pid in wanted and not state.startswith("Z")}


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
