"""Several threads at once, each with a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection, connections

T = TypeVar("T")
WORKERS = 4


def together(work: Callable[[int], T], threads: int = WORKERS) -> list[T]:
    """What ``work`` returns in each of several threads that begin at the same moment."""
    barrier = Barrier(threads)

    def begin(number: int) -> T:
        barrier.wait()
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def elsewhere(work: Callable[[], T]) -> T:
    """What ``work`` returns on another connection, beside an open transaction of this one (PostgreSQL).

    Having to wait for a lock of this transaction is an error: it would wait for ever.
    """

    def begin() -> T:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '10s'")
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(begin).result()
