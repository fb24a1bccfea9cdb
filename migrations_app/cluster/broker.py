"""The brokers of django-q: wake-ups wait in the database, or in Redis by one setting; questions come by a pipe.

Whichever it is, a wake-up is only a hint that there is something to do. What is to be done stands in rows.
"""

from __future__ import annotations

import os
import select
from datetime import timedelta
from typing import Any

from django.dispatch import Signal
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from migrations_app.monitoring import clock
from migrations_app.runs.wake_ups import wake_up

guarded = Signal()
"""Sent in the sentinel, twice a second: it has looked after the cluster's processes just now."""

Tasks = list[tuple[Any, str]] | None
"""What a broker hands over: each task with the key by which it is acknowledged, None where it need not be."""

_questions: int | None = None


def answer(descriptor: int) -> None:
    """Take each octet that comes in here as a wake-up for this cluster alone."""
    global _questions  # noqa: PLW0603 - one for the process, and for those forked from it
    _questions = descriptor


def is_asked(within: float = 0) -> bool:
    """Take one question, waiting this many seconds for it; whether there was one."""
    global _questions  # noqa: PLW0603
    coming, _, _ = select.select([] if _questions is None else [_questions], [], [], within)
    try:
        question = b"".join(os.read(descriptor, 1) for descriptor in coming)
    except BlockingIOError:  # another process was quicker: the one before this, as it ended
        return False
    if coming and not question:  # cut: nobody will ever ask again
        _questions = None
    return bool(question)


def own_wake_up() -> Tasks:
    """A wake-up that was in no queue."""
    taken = _Taken()
    wake_up(broker=taken)
    return [(None, taken.task)]


class _Taken:
    """Stands for a broker, and keeps what it is given."""

    list_key = "own"
    task = ""

    def enqueue(self, task: str) -> None:
        self.task = task


class Watched:
    """What each broker of ours does for the watchdog. To be inherited before a broker of django-q."""

    def dequeue(self) -> Tasks:
        """A question first. It takes the way of all that is in the queue, and so shows whether that is open."""
        return own_wake_up() if is_asked() else self.take()

    def take(self) -> Tasks:
        """What is in the queue; waits a moment where there is nothing."""
        raise NotImplementedError

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Only the sentinel saves a status, once in each turn of its loop."""
        guarded.send(sender=Watched)
        super().set_stat(key, value, timeout)  # type: ignore[misc]


class DatabaseBroker(Watched, ORM):
    """Goes by the clock of the queue: by those of several machines, one would not see what another has put there.

    Any number of clusters may ask: a wake-up is for the first whose UPDATE finds it as it was read.
    """

    def queue_size(self) -> int:
        size: int = self._waiting().count()
        return size

    def enqueue(self, task: str) -> int:
        key: int = self.get_connection().create(key=self.list_key, payload=task, lock=clock.for_query()).pk
        return key

    def take(self) -> Tasks:
        found = list(self._waiting().order_by("pk")[: Conf.BULK])
        until = clock.for_query() + timedelta(seconds=Conf.RETRY)
        taken = [
            (task.pk, task.payload)
            for task in found
            if self.get_connection().filter(pk=task.pk, lock=task.lock).update(lock=until)
        ]
        if not found and is_asked(within=Conf.POLL):
            return own_wake_up()
        return taken

    def _waiting(self) -> Any:
        return self.get_connection().filter(key=self.list_key, lock__lte=clock.for_query())
