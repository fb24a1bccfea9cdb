"""What administrators do about messages."""

from __future__ import annotations

from django.db import transaction

from migrations_app.mail.outbox import confirm, send_again
from migrations_app.models import Run
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry


@transaction.atomic
def send_updates_again(run: Run, actor: Actor, *, in_doubt: bool = False) -> int:
    """Queue the run's failed messages once more and wake the cluster. Returns how many there are.

    ``in_doubt``: instead those of which the mail server did not say whether it took them. Whoever got one of these is
    told a second time, so it is for a person who has looked.
    """
    count = send_again(run, in_doubt=in_doubt)
    if count:
        entry(run.tenant, actor, "send messages again", run.user.upn, after={"messages": count}).save()
        wake_cluster()
    return count


@transaction.atomic
def confirm_updates_delivered(run: Run, actor: Actor) -> int:
    """Take the run's messages in doubt as delivered, because somebody has looked; how many there are."""
    count = confirm(run)
    if count:
        entry(run.tenant, actor, "confirm messages delivered", run.user.upn, after={"messages": count}).save()
        wake_cluster()
    return count
