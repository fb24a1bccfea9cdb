"""The outbox: rows of updates to be sent, claimed by one worker at a time."""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.models import Run, Update
from migrations_app.retries import RETRIES, pause_before_retry

log = logging.getLogger(__name__)

BATCH = 100
"""Messages that are claimed, and whose meetings are read, together."""
LEASE = timedelta(minutes=2)
"""How long a worker may be silent about its messages; well above what one message may take (EMAIL_TIMEOUT)."""


def send_again(run: Run) -> int:
    """Queue the run's failed messages once more; how many there are."""
    failed = Update.objects.filter(result__run=run, state=Update.State.FAILED)
    return failed.update(state=Update.State.QUEUED, due_at=timezone.now(), attempts=0)


@transaction.atomic
def claim() -> list[Update]:
    """Take the messages that have been due longest. Each counts an attempt, and is this worker's for a lease."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    pks = list(
        Update.objects.filter(free, state=Update.State.QUEUED, due_at__lte=now)
        .order_by("due_at", "pk")
        .select_for_update(skip_locked=True)
        .values_list("pk", flat=True)[:BATCH]
    )
    token = uuid.uuid4()
    Update.objects.filter(pk__in=pks).update(lease_token=token, lease_until=now + LEASE, attempts=F("attempts") + 1)
    return list(
        Update.objects.filter(pk__in=pks)
        .select_related("result")
        .defer("result__spans")
        .prefetch_related("result__run__user__tenant")  # many results share a run
        .order_by("result__run__user", "pk")
    )


def _mine(update: Update) -> QuerySet[Update]:
    """The claimed row, as long as it carries this worker's token."""
    return Update.objects.filter(pk=update.pk, lease_token=update.lease_token)


def note_left(update: Update, left: list[str]) -> None:
    """Remember who is still to be told, so that a repeated delivery reaches nobody twice."""
    if left or update.recipients_left is not None:
        update.recipients_left = left
        _mine(update).update(recipients_left=left)


def hold(update: Update) -> bool:
    """Renew the lease right before sending; False where it is another worker's by now."""
    return _mine(update).update(lease_until=timezone.now() + LEASE) == 1


def mark_sent(updates: list[Update]) -> None:
    """Note that these updates of one claim have reached everybody."""
    if updates:
        token = updates[0].lease_token
        claimed = Update.objects.filter(pk__in=[update.pk for update in updates], lease_token=token)
        _let_go(claimed, None, state=Update.State.SENT, sent_at=timezone.now())


def postpone(updates: list[Update], failure: Failure) -> None:
    """Try again later where waiting may help, with the same pauses as runs have (R28)."""
    for update in updates:
        if failure.cures_by_waiting and update.attempts <= RETRIES:
            _let_go(_mine(update), failure, due_at=timezone.now() + pause_before_retry(update.attempts))
        elif failure.cures_by_waiting:
            close(update, Failure("message-retries-used-up", failure.what))
        else:
            close(update, failure)
    log.warning("%d updates not sent: %s %s", len(updates), failure.code, failure.detail)


def close(update: Update, failure: Failure, state: str = Update.State.FAILED) -> None:
    """Give the update up for good."""
    _let_go(_mine(update), failure, state=state)


def _let_go(claimed: QuerySet[Update], failure: Failure | None, **changes: object) -> None:
    """Give up the claim, with what came of it."""
    claimed.update(
        lease_token=None,
        lease_until=None,
        error_code=failure.code if failure else "",
        error_detail=failure.detail if failure else "",
        **changes,
    )
