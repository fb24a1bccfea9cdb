"""The watchdog: it starts the cluster, and starts it again when it has ended or fallen silent.

django-q replaces workers that die, but not itself: with its main process or its sentinel dead, the others go on
without anybody to stop them; and a process that is killed while it waits for a queue takes the queue's lock with it,
after which the cluster looks alive and does nothing. So the watchdog asks: whenever it has heard nothing for a while it
gives its cluster a wake-up, through a pipe to the process that also takes those in the queue. A cluster that is well
takes it at once and acknowledges it, whatever the clusters of other machines do. And the watchdog listens to the
sentinel: one that stands still replaces no worker that dies, which nobody would see as long as another worker answers.

The cluster is forked from the watchdog, where all of its code is loaded already: so it is back at once, on a machine
that is busy with other things too, and most of the memory is there only once.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkProcess
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, connections

from migrations_app.cluster import lifeline, systemd, watched
from migrations_app.cluster.signs import Signs
from migrations_app.monitoring import machines

log = logging.getLogger(__name__)

PATIENCE = 30
"""Seconds for which a cluster may leave a wake-up unanswered before it is started again."""
PATIENCE_WITH_NEW_WORKERS = 45
"""The same for one whose processes are all there, and none of whose workers has answered yet: they may have been killed
before they could, with the queue's lock."""
PATIENCE_AT_START = 120
"""The same for one whose processes are not all there yet: programs start slowly on a busy machine."""
LONGEST_PAUSE = 60
"""Seconds between one start and the next, at most, where none has come to anything."""
_TICK = 0.5
_TO_END = 5
"""Seconds that a cluster has to end in when no worker is at work. With the rest it is back within a minute."""
_TO_DIE = 5


class Watchdog:
    """Keeps one cluster going until :meth:`stop` is called."""

    def __init__(self, patience: float = PATIENCE, cluster: Callable[[int, int], object] = watched.run) -> None:
        """``cluster``: what the main process does; its arguments are the descriptors that it reports to, and that
        questions come from."""
        self._patience = patience
        self._cluster = cluster
        self._stops = 0
        self._database_answers = True

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Let the workers finish what they are at, then end; called again, end at once. Serves as a signal handler."""
        self._stops += 1

    def run(self) -> None:
        """Keep the cluster going. Returns when it was stopped, and with it every process of the cluster."""
        in_vain = 0
        while True:
            signs = Signs(longest_task=settings.MMS_TASK_SECONDS + 60)
            connections.close_all()
            cluster = lifeline.fork(self._cluster, signs.writing, signs.questions)
            systemd.notify("READY=1", "STATUS=The cluster is running.")
            why = self._watch(cluster, signs)
            if why:
                in_vain = 0 if signs.answered else in_vain + 1
                pause = pause_after(in_vain)
                log.error("The cluster is started again in %d s, because %s.", pause, why)
                systemd.notify(f"STATUS=The cluster is being started again, because {why}.")
            else:
                systemd.notify("STOPPING=1", "STATUS=Waiting for the workers to finish.")
            self._end(cluster, signs)
            signs.close()
            if not why or not self._wait(pause):
                break
        with suppress(DatabaseError):
            close_old_connections()
            machines.leave()

    def _watch(self, cluster: ForkProcess, signs: Signs) -> str:
        """Why the cluster must be started again; empty when it is to be stopped."""
        self._wake(signs, settings.MMS_WORKERS)
        woken = time.monotonic()
        while not self._stops:
            self._listen(signs)
            status = cluster.exitcode
            if status is not None:
                return f"its main process ended ({_in_words(status)})"
            patience = self._patience_with(signs)
            if signs.silence > patience:
                return f"no worker has answered for {signs.silence:.0f} s"
            # While somebody is at work this can wait, but not for ever: what is not acknowledged comes back.
            if signs.unacknowledged > (settings.MMS_TASK_SECONDS if signs.silence == 0 else patience):
                return f"nobody has taken the workers' results for {signs.unacknowledged:.0f} s"
            if signs.unguarded > self._patience:
                return f"nobody has looked after its processes for {signs.unguarded:.0f} s"
            if min(signs.silence, time.monotonic() - woken) > self._patience / 3:
                self._wake(signs, 1)
                woken = time.monotonic()
        return ""

    def _patience_with(self, signs: Signs) -> float:
        if signs.answered:
            return self._patience
        return max(self._patience, PATIENCE_WITH_NEW_WORKERS if signs.has_started else PATIENCE_AT_START)

    def _listen(self, signs: Signs) -> None:
        signs.listen(_TICK)
        systemd.notify("WATCHDOG=1")

    def _wake(self, signs: Signs, workers: int) -> None:
        try:
            ask_database()
        except DatabaseError as error:
            signs.excuse()
            if self._database_answers:
                log.warning("The database cannot be used, so nobody can tell how the cluster is: %s", error)
            self._database_answers = False
        else:
            self._database_answers = True
            signs.ask(workers)

    def _end(self, cluster: ForkProcess, signs: Signs) -> None:
        """End the cluster: in order as long as a worker is at work, then whatever is left of its processes."""
        if cluster.exitcode is None:
            cluster.terminate()
            signs.excuse()
            begun = time.monotonic()
            while (
                cluster.exitcode is None
                and signs.silence < _TO_END
                and time.monotonic() - begun < settings.MMS_TASK_SECONDS
                and self._stops < 2
            ):
                self._listen(signs)
        cluster.kill()  # first, so that it cannot get itself a group any more
        group = cluster.pid or 0
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        cluster.join(_TO_DIE)
        _await_end_of_group(group)

    def _wait(self, seconds: float) -> bool:
        """Wait this long; False when asked to stop meanwhile."""
        until = time.monotonic() + seconds
        while not self._stops and time.monotonic() < until:
            time.sleep(_TICK)
            systemd.notify("WATCHDOG=1")
        return not self._stops


def ask_database() -> None:
    """Raise DatabaseError where it cannot be used."""
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def pause_after(in_vain: int) -> int:
    """Seconds until the next start, after so many in a row that came to nothing."""
    return min(1 << in_vain, LONGEST_PAUSE)


def _in_words(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _await_end_of_group(group: int) -> None:
    """Until the kernel has ended every process of a group that was killed, and reaped those that became ours."""
    until = time.monotonic() + _TO_DIE
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            os.waitpid(-group, os.WNOHANG)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
