"""Wake-ups in Redis. It hands each over once, and loses those of a worker that dies. Rows are the queue, so that only
time is lost; while Redis does not answer, the cluster looks into the rows by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django_q.brokers.redis_broker import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from migrations_app.cluster.broker import Tasks, Watched, is_asked, own_wake_up

log = logging.getLogger(__name__)

LOOK_EVERY = 5
"""Seconds after which a worker looks for what is due, while nobody can wake it."""
_TO_CONNECT = 2
_TO_ANSWER = 5
"""Seconds. Longer than the one for which the server holds back its answer to whoever waits for a wake-up."""


class RedisBroker(Watched, Redis):
    """Its methods raise ConnectionError, in one sentence, where the server does not answer."""

    _is_gone = False

    @staticmethod
    @cache
    def get_connection(list_key: str | None = None) -> Any:
        """The connections of this process. Once broken, as when the server was started again, each is made anew."""
        return redis.from_url(
            settings.MMS_BROKER_URL,
            socket_connect_timeout=_TO_CONNECT,
            socket_timeout=_TO_ANSWER,
            retry=Retry(NoBackoff(), 1),
        )

    def take(self) -> Tasks:
        try:
            with in_one_sentence():
                task: Tasks = Redis.dequeue(self)
        except ConnectionError as error:
            if not self._is_gone:
                log.error("%s Until it answers, the workers look for what is due every %d s.", error, LOOK_EVERY)
            self._is_gone = True
            is_asked(within=LOOK_EVERY)
            return own_wake_up()
        if self._is_gone:
            log.info("The broker answers again.")
        self._is_gone = False
        return task

    def enqueue(self, task: str) -> int:
        with in_one_sentence():
            length: int = super().enqueue(task)
        return length

    def queue_size(self) -> int:
        with in_one_sentence():
            size: int = super().queue_size()
        return size

    def ping(self) -> bool:
        """Whether the server answers. The cluster starts without it too."""
        try:
            with in_one_sentence():
                return bool(self.connection.ping())
        except ConnectionError:
            return False

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Says nothing where the server does not answer, twice a second; :meth:`take` does, once."""
        with suppress(ConnectionError), in_one_sentence():
            super().set_stat(key, value, timeout)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """What the client raises where the server does not answer, or refuses, as a ConnectionError."""
    try:
        yield
    except redis.RedisError as error:
        server = urlsplit(settings.MMS_BROKER_URL).hostname or settings.MMS_BROKER_URL
        raise ConnectionError(f"The broker at {server} (MMS_BROKER_URL) cannot be used: {error}.") from None
