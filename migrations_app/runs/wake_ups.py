"""Wake-ups in the queue of the cluster. Whoever adds them alone need not load what runs are made of."""

from __future__ import annotations

import logging
from typing import Any

from django_q.brokers import get_broker
from django_q.tasks import async_task

from migrations_app.monitoring.machines import all_workers

log = logging.getLogger(__name__)


def add_wake_ups(runs: int) -> None:
    """Put as many wake-ups in the queue as there are workers, on all machines, for so many runs.

    Those that nobody has picked up yet will do; adding to them would only pile them up. Where the broker cannot be
    reached there is one line in the log: workers look for what there is to do by themselves.
    """
    try:
        broker = get_broker()
        for _ in range(min(runs, all_workers()) - broker.queue_size()):
            wake_up(broker=broker)
    except ConnectionError as error:
        log.warning("The workers could not be woken, and look for what there is to do by themselves: %s", error)


def wake_up(broker: Any) -> None:
    """Put one wake-up in a queue."""
    # Kept only where it fails.
    async_task("migrations_app.tasks.work_queue", task_name="wake-up", save=False, broker=broker)
