"""What administrators do about messages."""

from __future__ import annotations

from django.db import transaction

from migrations_app.mail.outbox import send_again
from migrations_app.models import Run
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry


@transaction.atomic
def send_updates_again(run: Run, actor: Actor) -> int:
    """Queue the run's failed messages once more and wake the cluster. Returns how many there are."""
    count = send_again(run)
    if count:
        entry(run.tenant, actor, "send messages again", run.user.upn, after={"messages": count}).save()
        wake_cluster()
    return count
