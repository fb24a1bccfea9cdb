"""Processes of the service under test: which there are, and whether they are gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """As the kernel lists them for each thread: it is asked many times a second, too often to look at all processes."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    return sorted(found)


def with_descendants(pid: int) -> list[int]:
    """The process and all below it, parents before their children."""
    found = [pid]
    for one in found:
        found += children_of(one)
    return found


def living(pids: Iterable[int]) -> set[int]:
    """Those that have not ended; one that only waits to be reaped has."""
    return {pid for pid in pids if _state(pid) not in {"", "Z"}}


def _state(pid: int) -> str:
    """One letter; none of a process that is not there."""
    try:
        # The name in brackets may have any character in it.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
