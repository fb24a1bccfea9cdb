"""Processes of the service under test: which there are, and whether they are gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def _listed() -> list[tuple[int, int, str]]:
    """Every process: itself, its parent, its state. Read from ``/proc``: it is asked for many times a second."""
    rows = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in brackets may have any character in it.
            state, parent = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            rows.append((int(pid), int(parent), state))
    return rows


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
