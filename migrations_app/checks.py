"""System checks: settings of the cluster under which runs would be lost or doubled are refused at start.

What is tagged "installation" is checked by every command, everything by ``manage.py check``."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django_q.brokers import get_broker

BROKERS = ("migrations_app.cluster.broker.DatabaseBroker", "migrations_app.cluster.redis_broker.RedisBroker")


@register("installation")
def check_cluster(**_: Any) -> list[CheckMessage]:
    """The guarantees of the queue hold only with these settings of django-q."""
    cluster: dict[str, Any] = settings.Q_CLUSTER
    wanted = {
        "queue_limit": (1, "a prefetched task is redelivered while it waits"),
        "bulk": (1, "a prefetched task is redelivered while it waits"),
        "ack_failures": (True, "a failed wake-up would come back for ever"),
        "max_attempts": (1, "a failed wake-up would come back for ever"),
        "save_limit": (0, "pruning successes on every task slows the queue"),
        "catch_up": (False, "missed wake-ups would all be replayed"),
    }
    found: list[CheckMessage] = [
        Error(f"Q_CLUSTER[{name!r}] must be {value}: otherwise {why}.", id="mms.E001")
        for name, (value, why) in wanted.items()
        if cluster.get(name) != value
    ]
    timeout: int = cluster["timeout"]
    retry: int = cluster["retry"]
    waves = 1 + math.ceil((cluster.get("queue_limit", 1) + cluster.get("bulk", 1)) / cluster["workers"])
    if retry < timeout * waves + 60:
        found.append(
            Error(
                f"Q_CLUSTER['retry'] must be at least {timeout * waves + 60} seconds.",
                id="mms.E002",
            )
        )
    if cluster.get("broker_class") not in BROKERS:
        found.append(
            Error(
                f"Q_CLUSTER['broker_class'] must be {' or '.join(BROKERS)}: others do not answer the watchdog.",
                id="mms.E003",
            )
        )
    if "pool" in settings.DATABASES["default"].get("OPTIONS", {}):
        found.append(Error("A connection pool breaks in the cluster, which shares it across forks.", id="mms.E004"))
    return found


@register("broker")
def check_broker(**_: Any) -> list[CheckMessage]:
    """Without a broker everything goes on, but later."""
    if not settings.MMS_BROKER_URL or get_broker().ping():
        return []
    return [
        checks.Warning(
            "The broker of MMS_BROKER_URL does not answer: workers look every few seconds for what is due.",
            hint="Start that Redis, or correct the address; leave MMS_BROKER_URL empty to do without.",
            id="mms.W001",
        )
    ]
