"""How far the import of a file of users is, while a worker is at it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.utils import timezone

from migrations_app.models import UserImport
from migrations_app.monitoring import clock

LEASE = timedelta(minutes=1)
"""For how long nobody takes over from a worker that says nothing; it renews it with each piece, and while it reads."""

LIVELY = timedelta(minutes=1)
"""How long a worker may say nothing about its progress before it is taken to be gone."""


def progress_of(user_import: UserImport) -> dict[str, Any] | None:
    """What a worker that is at work on the import said last: ``happened``, ``done`` and ``total``."""
    said = cache.get(key_of(user_import.pk))
    return said if said and timezone.now() - said["at"] < LIVELY else None


def key_of(pk: int) -> str:
    return f"user-import-{pk}"


class Progress:
    """Shows the page how far it is, and keeps the lease while the file is read.

    Through the cache: nobody else sees what is in a transaction.
    """

    def __init__(self, user_import: UserImport, token: UUID) -> None:
        self.pk, self.token = user_import.pk, token
        self.told, self.renewed = 0.0, time.monotonic()

    def __call__(self, happened: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.told > 0.5:
            said = {"happened": happened, "done": done, "total": total, "at": timezone.now()}
            cache.set(key_of(self.pk), said, LIVELY.total_seconds())
            self.told = now
        if now - self.renewed > LEASE.total_seconds() / 4:
            UserImport.objects.filter(pk=self.pk, lease_token=self.token).update(lease_until=clock.now() + LEASE)
            self.renewed = now
