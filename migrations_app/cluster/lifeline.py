"""Processes that end when the one that started them has ended, however that came about.

The starter alone holds the writing end of a pipe; what it starts inherits the reading end, through every fork. The
kernel closes the writing end when the starter ends, at ``kill -9`` too, and every process below notices by itself.
Plain Python, for wherever there are pipes:

``python -m migrations_app.cluster.lifeline DESCRIPTOR MODULE ARGUMENT …`` runs a module that is tied in this way. Where
all that is needed is loaded already, :func:`fork` does without a new Python.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkProcess
from pathlib import Path

GRACE = 20
"""Seconds between the end of the starter and the end of what it started: to finish what is nearly done."""
_ROOT = Path(__file__).resolve().parents[2]
_tied_to = -1
"""The descriptor of the pipe whose cut ends this process; of no pipe where it is negative."""


def start(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Run a module with its arguments in a session of its own, where Ctrl-C does not reach, until this process ends."""
    reading, _ = _pipe()
    return subprocess.Popen(  # noqa: S603 - our own programs with our own arguments
        [sys.executable, "-m", "migrations_app.cluster.lifeline", str(reading), module, *arguments],
        cwd=_ROOT,
        env=environment,
        pass_fds=[reading],
        start_new_session=True,
    )


def fork(work: Callable[..., object], *arguments: object) -> ForkProcess:
    """Do this in a copy of this process, in a session of its own, until this process ends.

    What this one has open is open there too: connections, which two cannot share, are to be closed before.
    """
    process = multiprocessing.get_context("fork").Process(target=_work, args=(*_pipe(), work, arguments))
    process.start()
    return process


def _work(reading: int, writing: int, work: Callable[..., object], arguments: Sequence[object]) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL)
    os.setsid()
    os.close(writing)
    _pipe.cache_clear()  # it has none yet for what it starts itself
    tie(reading)
    work(*arguments)


@cache
def _pipe() -> tuple[int, int]:
    """The pipe that is cut when this process ends: nothing that it starts inherits the writing end."""
    return os.pipe()


def tie(descriptor: int) -> None:
    """End this process, and all that is forked from it, when the pipe behind the descriptor is cut.

    This one is asked by SIGTERM first, so that it ends as its program wants to; the others end as it tells them.
    Whichever is left after ``GRACE`` seconds ends at once. A process that was tied to another pipe is so no more.
    """
    global _tied_to  # noqa: PLW0603 - one for the process, and for those forked from it
    if _tied_to < 0:
        os.register_at_fork(after_in_child=lambda: _watch(_tied_to, is_first=False))
    _tied_to = descriptor
    _watch(descriptor, is_first=True)


def _watch(descriptor: int, *, is_first: bool) -> None:
    threading.Thread(target=_follow, args=(descriptor, is_first), name="lifeline", daemon=True).start()


def _follow(descriptor: int, is_first: bool) -> None:
    os.read(descriptor, 1)  # nobody ever writes: it returns when the pipe is cut
    if descriptor != _tied_to:
        return
    if is_first:
        # To the main thread itself: what it waits for in the kernel, a signal to another thread would leave alone.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    _, _descriptor, _module, *_arguments = sys.argv
    # Of the module that others import, not of this copy: it has to know of the pipe.
    importlib.import_module("migrations_app.cluster.lifeline").tie(int(_descriptor))
    sys.argv = [_module, *_arguments]
    runpy.run_module(_module, run_name="__main__", alter_sys=True)
