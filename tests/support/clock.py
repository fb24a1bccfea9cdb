"""The time as workers see it, standing still until somebody moves it on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import time_machine
from django.utils import timezone

from migrations_app import tasks
from migrations_app.mail import delivery, smtp
from migrations_app.monitoring import clock as database_clock
from migrations_app.runs import queue


class Clock:
    """The time as workers see it, on the wall and since the start. It stands still until somebody moves it on."""

    def __init__(self, wall: time_machine.Coordinates) -> None:
        self._wall = wall
        self._since_start = 0.0
        self._looks = 0

    def passes(self, seconds: float) -> None:
        self._since_start += seconds
        self._wall.shift(timedelta(seconds=seconds))

    def since_start(self) -> float:
        self._looks += 1
        return self._since_start

    async def is_looked_at(self) -> None:
        """Wait until somebody has seen what time it is now, and done something about it."""
        seen = self._looks
        while self._looks < seen + 2:
            await asyncio.sleep(0)


@contextmanager
def clock(monkeypatch: Any) -> Iterator[Clock]:
    """Replace the workers' time. Whoever waits for a mail server looks at it often."""
    with time_machine.travel(timezone.now(), tick=False) as wall:
        now = Clock(wall)
        for module in (delivery, queue, smtp, tasks):
            monkeypatch.setattr(module, "monotonic", now.since_start)
        monkeypatch.setattr(database_clock, "now", timezone.now)  # a database server does not travel
        monkeypatch.setattr(smtp, "_GLANCE", 0.01)
        yield now
