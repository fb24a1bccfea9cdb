"""The part of the main loop that is about alerts. What there is to do stands in rows; each step can be repeated."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.utils import timezone

from migrations_app.alerts import delivering, grouping
from migrations_app.mail.servers import Connections
from migrations_app.models import AlertSettings
from migrations_app.monitoring import clock

log = logging.getLogger(__name__)

TURN = timedelta(seconds=20)
"""How long alerts are delivered until other work has its turn."""


def advance(until: datetime, connections: Connections) -> None:
    """Look what has happened, put together what is to be told now, and deliver what is due."""
    for pk in grouping.due(clock.now()).order_by("looked_at", "pk").values_list("pk", flat=True):
        try:
            grouping.look(pk)
        except DatabaseError:
            raise
        except Exception:  # of one tenant's rows: runs, messages and other tenants' alerts go on
            log.exception("what has happened in the tenant of alert settings %s could not be told", pk)
            AlertSettings.objects.filter(pk=pk).update(looked_at=clock.now())
    delivering.deliver(min(until, timezone.now() + TURN), connections)


def is_due(now: datetime) -> bool:
    """Whether an alert is to be delivered at this moment."""
    return delivering.due(now).exists()
