"""What time it is for the queue, where several machines share it and clocks are set.

Due times, leases and heartbeats are written and judged by one clock: the database server's, where there is one. On
SQLite the only clock is this machine's, which may be set back. Then rows bear a time that is still to come, and
waiting for it would be waiting for nothing: whoever finds one treats it as wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

TOLERANCE = timedelta(minutes=1)
"""Clocks of one network differ by less; what lies further ahead was written by a clock that is, or was, wrong."""


def now() -> datetime:
    """The time by the database server's clock, or by this machine's on SQLite."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")  # also within a transaction the time of this moment
        moment: datetime = cursor.fetchone()[0]
    return moment


def for_query() -> Any:
    """The same to be written or compared by a query, without asking for it first."""
    return Now() if connection.vendor == "postgresql" else timezone.now()


def lease_is_over(now: datetime, longest: timedelta) -> Q:
    """Which rows have a lease that has ended, or one beyond the ``longest`` that is given: that is of another time."""
    return Q(lease_until__lt=now) | Q(lease_until__gt=now + longest + TOLERANCE)


def drift() -> timedelta:
    """How far this machine's clock is ahead of the database server's; negative where it is behind."""
    return timezone.now() - now()
