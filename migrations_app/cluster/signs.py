"""Signs of life: what the cluster's processes tell their watchdog, and what it asks them, through pipes that it gave
them.

Not through the database, so that neither its outages nor clocks that are set make a cluster look dead or alive, and
that no other cluster takes what this one is asked.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.dispatch import Signal
from django_q.signals import post_execute, post_execute_in_worker, pre_execute

from migrations_app.cluster.broker import guarded

_RECORD = struct.Struct("=cI")
"""What happened, and in which process. Shorter than PIPE_BUF, so that a record is written whole or not at all."""
BEGUN, ENDED, ACKNOWLEDGED, GUARDED = b"b", b"e", b"a", b"g"


def report_to(descriptor: int) -> None:
    """Report from this process, and from those forked from it, which tasks begin, end and are acknowledged, and
    that the sentinel guards them."""

    def report(signal: Signal, happened: bytes) -> None:
        def receive(**_: Any) -> None:
            with suppress(OSError):  # the pipe is full or cut: whoever should read it has other troubles
                os.write(descriptor, _RECORD.pack(happened, os.getpid()))

        signal.connect(receive, weak=False)

    report(pre_execute, BEGUN)
    report(post_execute_in_worker, ENDED)
    report(post_execute, ACKNOWLEDGED)
    report(guarded, GUARDED)


class Signs:
    """What was heard of one cluster. All times are seconds of a clock that nobody can set."""

    def __init__(self, longest_task: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``longest_task``: after this many seconds a worker is not at work any more but lost."""
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.writing, False)  # a worker never waits for its watchdog
        self.questions, self._asking = os.pipe()
        os.set_blocking(self.questions, False)
        os.set_blocking(self._asking, False)
        self._longest_task = longest_task
        self._clock = clock
        self._heard = clock()
        self._at_work: dict[int, float] = {}
        self._ended: float | None = None
        self._guarded: float | None = None
        self.answered = False
        """Whether a worker has ever taken a task."""

    @property
    def has_started(self) -> bool:
        """Whether the cluster's processes are there: the sentinel guards them, or a worker has taken a task."""
        return self.answered or self._guarded is not None

    def close(self) -> None:
        for descriptor in (self._reading, self.writing, self.questions, self._asking):
            os.close(descriptor)

    def ask(self, workers: int) -> None:
        """Ask so many workers for a sign of life, by a wake-up for each that no other cluster can take."""
        with suppress(BlockingIOError):
            os.write(self._asking, b"?" * workers)

    def listen(self, seconds: float) -> None:
        """Take in what is reported, waiting this long for it at most."""
        select.select([self._reading], [], [], seconds)
        with suppress(BlockingIOError):
            for happened, pid in _RECORD.iter_unpack(os.read(self._reading, 1000 * _RECORD.size)):
                self._note(happened, pid)

    def _note(self, happened: bytes, pid: int) -> None:
        now = self._clock()
        if happened == ACKNOWLEDGED:
            self._ended = None
            return
        if happened == GUARDED:
            if self._guarded is None:
                self._heard = now  # the workers are there from now on
            self._guarded = now
            return
        self.answered = True
        self._heard = now
        if happened == BEGUN:
            self._at_work[pid] = now
        else:
            self._at_work.pop(pid, None)
            self._ended = self._ended or now

    @property
    def silence(self) -> float:
        """How long no worker has been at work, nor begun or ended a task."""
        now = self._clock()
        for pid, since in list(self._at_work.items()):
            if now - since < self._longest_task and _is_alive(pid):
                self._heard = now
            else:
                del self._at_work[pid]
        return now - self._heard

    @property
    def unacknowledged(self) -> float:
        """How long the results of ended tasks have been waiting for somebody to take them."""
        return 0 if self._ended is None else self._clock() - self._ended

    @property
    def unguarded(self) -> float:
        """How long nobody has looked after the processes; zero until somebody has begun to."""
        return 0 if self._guarded is None else self._clock() - self._guarded

    def excuse(self) -> None:
        """Begin to count anew: until now nobody could have answered."""
        self._heard = self._clock()
        self._ended = None
        if self._guarded is not None:
            self._guarded = self._heard


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
