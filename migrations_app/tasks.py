"""The main loop, and the task by which the cluster wakes it: without arguments, since all there is to do is in rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from django.utils import timezone

from migrations_app import registry
from migrations_app.alerts import worker as alerts
from migrations_app.mail import delivery, outbox
from migrations_app.mail.servers import Connections
from migrations_app.models import Run
from migrations_app.monitoring import clock, samples
from migrations_app.monitoring.health import beat
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from tenants_app.languages import in_english

TIME_BUDGET = timedelta(minutes=4)
"""A wake-up stops taking work after this, well inside the cluster's task timeout; the schedule wakes the next."""

SWEPT_EVERY = 10
"""Seconds after which a worker that is busy looks whether another has fallen silent, and left a run."""


@in_english
def work_queue() -> int:
    """The cluster's task: work what is due until the budget is spent. Returns how many runs were worked."""
    return work(timezone.now() + TIME_BUDGET)


def work(
    until: datetime, *, stop: Callable[[], bool] = lambda: False, after_run: Callable[[Run], None] = lambda run: None
) -> int:
    """Work procedures, runs and messages as long as any is due, ``until`` is not reached and ``stop`` says no.

    Runs and messages take turns, and a mail server that is slow costs the runs no more than half of the time.
    ``after_run`` is called with each run when it was worked. Returns how many these were.
    """
    _sweep()
    with Connections() as connections:
        return _work(until, stop, after_run, connections)


def _work(until: datetime, stop: Callable[[], bool], after_run: Callable[[Run], None], connections: Connections) -> int:
    worked = 0
    swept_at = monotonic()
    mail_from = monotonic()
    while timezone.now() < until and not stop():
        if monotonic() >= swept_at + SWEPT_EVERY:
            swept_at = monotonic()
            _sweep()
        registry.advance_what_is_waited_for(until)
        run = queue.claim()
        if run:
            work_run(run)
            worked += 1
            beat()
            samples.take()
        if run is None or monotonic() >= mail_from:
            mail_from = _deliver(until, connections)
        if run:
            after_run(run)
        elif not registry.advance(until) and not delivery.is_due() and not alerts.is_due(clock.now()):
            break
    return worked


def _sweep() -> None:
    beat()
    samples.take()
    queue.sweep()
    outbox.sweep()


def _deliver(until: datetime, connections: Connections) -> float:
    """One turn of delivering, alerts first, which are few; when the next may begin, so that runs have as much time
    before as this one took."""
    began = monotonic()
    alerts.advance(until, connections)
    delivery.deliver(min(until, timezone.now() + delivery.TURN), connections)
    beat()
    return 2 * monotonic() - began
