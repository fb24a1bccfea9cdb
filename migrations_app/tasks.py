"""What the cluster calls. Every task is a wake-up without arguments; what there is to do stands in the database."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from migrations_app.mail.delivery import deliver
from migrations_app.models import Heartbeat
from migrations_app.procedures import number_release, user_import
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run

log = logging.getLogger(__name__)

TIME_BUDGET = timedelta(minutes=4)
"""A wake-up stops taking work after this, well inside the cluster's task timeout; the schedule wakes the next."""


def work_queue() -> int:
    """Work due runs and due messages until there are none or the budget is spent; how many runs were worked."""
    until = timezone.now() + TIME_BUDGET
    beat("worker")
    queue.sweep()
    worked = 0
    while timezone.now() < until:
        user_import.advance(until)  # before the runs, because somebody waits for it
        run = queue.claim()
        if run is None:
            deliver(until)
            if not advance(until):
                break
            continue
        work_run(run)
        deliver(until)
        worked += 1
        beat("worker")
    deliver(until)
    return worked


def advance(until: datetime) -> bool:
    """Take what goes on by itself beside the runs a step further; whether that may have made new runs due."""
    return user_import.advance(until) | number_release.advance(until)


def beat(name: str) -> None:
    """Leave the sign of life that ``check_worker`` looks for."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now()})
