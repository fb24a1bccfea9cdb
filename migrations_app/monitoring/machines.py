"""The machines whose background services work for this installation: which there are, and which has fallen silent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Sum

from migrations_app.models import Machine
from migrations_app.monitoring import clock

SILENT = timedelta(minutes=3)
"""A cluster that is well is asked for a sign every ten seconds, and one that works gives one after each run."""
KEPT = timedelta(days=1)
"""How long a machine is told of after its last sign."""
EVERY = 10
"""Seconds between two signs of one process."""


class _Own:
    """This process, where it belongs to a cluster: nobody else gives signs."""

    works = False
    signed = float("-inf")


def begin() -> None:
    """This process, and all that is forked from it, gives signs from now on."""
    _Own.works, _Own.signed = True, float("-inf")


def sign() -> None:
    """Leave a sign of this machine, unless this process has just left one; forget machines that are long gone."""
    if not _Own.works or time.monotonic() - _Own.signed < EVERY:
        return
    _Own.signed = time.monotonic()
    signed = {"workers": settings.MMS_WORKERS, "at": clock.now()}
    Machine.objects.update_or_create(name=settings.MMS_MACHINE_NAME, defaults=signed)
    Machine.objects.filter(at__lt=clock.now() - KEPT).delete()


def leave() -> None:
    """The service of this machine is stopped, and nobody need look for it."""
    Machine.objects.filter(name=settings.MMS_MACHINE_NAME).update(workers=0)


@dataclass(frozen=True, slots=True)
class Known:
    """One machine."""

    name: str
    workers: int
    """None at work where it is 0: the service was stopped in order."""
    last_sign: datetime
    silence: timedelta

    @property
    def is_silent(self) -> bool:
        """Whether it should give signs, and does not."""
        return self.workers > 0 and self.silence > SILENT


def machines() -> list[Known]:
    """All that gave a sign within a day, by name."""
    now = clock.now()
    rows = Machine.objects.filter(at__gte=now - KEPT).order_by("name")
    return [Known(row.name, row.workers, row.at, max(now - row.at, timedelta(0))) for row in rows]


def all_workers() -> int:
    """How many workers there are on all machines that give signs; those of this one where none does yet."""
    at_work = Machine.objects.filter(at__gte=clock.now() - SILENT).aggregate(workers=Sum("workers"))
    return at_work["workers"] or settings.MMS_WORKERS
