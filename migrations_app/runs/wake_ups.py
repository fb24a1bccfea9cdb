"""Wake-ups in the queue of the cluster. Whoever adds them alone need not load what runs are made of."""

from __future__ import annotations

from django.conf import settings
from django_q.brokers import get_broker
from django_q.tasks import async_task


def add_wake_ups(runs: int) -> None:
    """Put as many wake-ups in the queue as there are workers for so many runs.

    Those that nobody has picked up yet will do; adding to them would only pile them up.
    """
    waiting = get_broker().queue_size()
    for _ in range(min(runs, settings.MMS_WORKERS) - waiting):
        async_task("migrations_app.tasks.work_queue", task_name="wake-up", save=False)  # kept only where it fails
