"""System checks: settings of the cluster under which runs would be lost or doubled are refused at start.

What is tagged "installation" is checked by every command, everything by ``manage.py check``."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


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
    if "orm" not in cluster:
        found.append(Error("Q_CLUSTER must use the ORM broker: others lose tasks when a worker dies.", id="mms.E003"))
    if "pool" in settings.DATABASES["default"].get("OPTIONS", {}):
        found.append(Error("A connection pool breaks in the cluster, which shares it across forks.", id="mms.E004"))
    return found
