"""How long archives are kept, and the end of what was cut off (R129): a procedure beside the others."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from migrations_app.chat import archives, evidence, readings
from migrations_app.models import ChatReading

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

KEPT = timedelta(days=90)
"""How long it is told what became of a file that was given."""
_EVERY = timedelta(hours=1)
_last: list[datetime] = []
"""When this process looked last."""


def advance(until: datetime) -> bool:
    """Once an hour, delete what is kept long enough, and remove what nobody can use. It makes no run due."""
    now = timezone.now()
    if now < until and (not _last or not _last[0] <= now < _last[0] + _EVERY):
        _last[:] = [now]
        try:
            look(now)
        except OSError:
            log.exception("folders of chat could not be tidied; it is tried again in an hour")
    return False


def is_due(now: datetime) -> bool:
    """False: it has time until the service wakes for something else, or by its schedule."""
    return False


def settles_at() -> datetime | None:
    """None: nothing here waits for a settling time."""
    return None


def look(now: datetime) -> None:
    """Do it now."""
    archives.delete_old(now)
    archives.sweep(now)
    readings.sweep()
    evidence.sweep()
    over = ChatReading.objects.filter(finished_at__lt=now - KEPT).exclude(state=ChatReading.State.WAITING)
    over.delete()
