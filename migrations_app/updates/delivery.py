"""Delivering the outbox: claim queued updates, compose each from the mailbox, send, mark.

Everything here can be repeated. A message has the same Message-ID every time; where the mail backend can tell
repeats apart (files) a batch is marked at once, elsewhere each message directly after it was sent.
"""

from __future__ import annotations

import logging
import smtplib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run, Update
from migrations_app.queue import RETRIES, pause_before_retry
from migrations_app.rewriting import itip
from migrations_app.rewriting.people import Person
from migrations_app.updates import imip
from tenants_app.models import ConferencingUser

log = logging.getLogger(__name__)

BATCH = 100
LEASE = timedelta(minutes=2)
"""How long a worker may be silent about its messages; well above what one message may take (EMAIL_TIMEOUT)."""


class _Composed:
    """What Django's mail backends want of ``EmailMessage.message()``, over bytes that are ready."""

    def __init__(self, message_id: str, data: bytes) -> None:
        self.message_id, self.data = message_id, data

    def __getitem__(self, name: str) -> str | None:
        return self.message_id if name.lower() == "message-id" else None

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\r\n") -> bytes:
        return self.data


class UpdateMessage(EmailMessage):
    """An iMIP message for Django's mail backends; the envelope's sender is the service."""

    def __init__(self, content: imip.Content) -> None:
        super().__init__(from_email=content.sender, to=[person.address for person in content.recipients])
        self._composed = _Composed(content.message_id, imip.compose(content))

    def message(self, **_: object) -> _Composed:  # type: ignore[override]
        return self._composed


def deliver(time_limit: datetime | None = None) -> int:
    """Send what is due, over one connection kept open; how many messages went out."""
    connection: BaseEmailBackend | None = None
    sent = 0
    try:
        while batch := _claim():
            if connection is None:
                connection = get_connection()
            try:
                connection.open()
            except (OSError, smtplib.SMTPException) as error:
                _postpone(batch, Failure("mail-server-unreachable", type(error).__name__))
                break
            sent += _deliver_batch(batch, connection)
            if time_limit and timezone.now() >= time_limit:
                break
    finally:
        if connection is not None:
            connection.close()
    return sent


def send_again(run: Run) -> int:
    """Queue the run's failed messages once more; how many there are."""
    failed = Update.objects.filter(result__run=run, state=Update.State.FAILED)
    return failed.update(state=Update.State.QUEUED, due_at=timezone.now(), attempts=0)


def due_updates() -> int:
    """How many messages are waiting to be sent now."""
    return Update.objects.filter(state=Update.State.QUEUED, due_at__lte=timezone.now()).count()


@transaction.atomic
def _claim() -> list[Update]:
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


def _deliver_batch(batch: list[Update], connection: BaseEmailBackend) -> int:
    mark_together = getattr(connection, "is_repeatable", False)
    sent: list[Update] = []
    total = 0
    for update, message in _messages(batch):
        if not mark_together and not _hold(update):
            continue  # this worker was too slow; another has taken the message over
        try:
            connection.send_messages([message])
        except smtplib.SMTPServerDisconnected as error:
            _postpone([update], Failure("mail-server-unreachable", type(error).__name__))
            connection.close()
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            _postpone([update], _refusal(error))
        except (OSError, smtplib.SMTPException) as error:
            _postpone([update], Failure("mail-server-unreachable", type(error).__name__))
        else:
            total += 1
            sent.append(update)
            if not mark_together:
                _mark_sent(sent)
                sent = []
    _mark_sent(sent)
    return total


def _messages(batch: list[Update]) -> Iterator[tuple[Update, UpdateMessage]]:
    """Each update with its message; one whose meeting is gone, or names nobody any more, is closed instead."""
    for user, group in groupby(batch, key=lambda update: update.result.run.user):
        updates = list(group)
        stored = EmbeddedMailbox(user).read([update.result.uid for update in updates])
        for update in updates:
            found = stored.get(update.result.uid)
            try:
                content = _content(update, user, found.body) if found else None
                message = UpdateMessage(content) if content else None
            except Exception:
                reference = update.result.run.correlation_id
                log.exception("update %s of run %s cannot be composed", update.pk, reference)
                _postpone([update], Failure("internal-error", f"reference {reference}"))
                continue
            if message is None:
                _close(update, Failure("meeting-gone"), Update.State.SUPERSEDED)
            else:
                yield update, message


def _content(update: Update, user: ConferencingUser, body: bytes) -> imip.Content | None:
    result, run, tenant = update.result, update.result.run, user.tenant
    invitation = itip.read(body, {user.upn.lower(), user.sip_address.lower()})
    if not invitation.recipients:
        return None
    return imip.Content(
        organizer=invitation.organizer or Person(user.display_name, user.upn),
        sender=settings.MMS_SENDER or f"meeting-migration@{tenant.domain}",
        recipients=invitation.recipients,
        message_id=imip.message_id(run.correlation_id, result.uid, result.sequence or 0, tenant.domain),
        date=update.queued_at.astimezone(UTC),
        subject=result.subject,
        description=invitation.description,
        html=invitation.html,
        calendar=invitation.request,
        language=user.language,
    )


def _hold(update: Update) -> bool:
    """Renew the lease right before sending; False where it is another worker's by now."""
    mine = Update.objects.filter(pk=update.pk, lease_token=update.lease_token)
    return mine.update(lease_until=timezone.now() + LEASE) == 1


def _mark_sent(updates: list[Update]) -> None:
    if updates:
        Update.objects.filter(pk__in=[update.pk for update in updates], lease_token=updates[0].lease_token).update(
            state=Update.State.SENT,
            sent_at=timezone.now(),
            lease_token=None,
            lease_until=None,
            error_code="",
            error_detail="",
        )


def _postpone(updates: list[Update], failure: Failure) -> None:
    """Try again later where waiting may help, with the same pauses as runs have (R28)."""
    for update in updates:
        if failure.cures_by_waiting and update.attempts <= RETRIES:
            Update.objects.filter(pk=update.pk, lease_token=update.lease_token).update(
                due_at=timezone.now() + pause_before_retry(update.attempts),
                lease_token=None,
                lease_until=None,
                error_code=failure.code,
                error_detail=failure.detail,
            )
        else:
            _close(update, failure)
    log.warning("%d updates not sent: %s %s", len(updates), failure.code, failure.detail)


def _close(update: Update, failure: Failure, state: str = Update.State.FAILED) -> None:
    Update.objects.filter(pk=update.pk, lease_token=update.lease_token).update(
        state=state,
        lease_token=None,
        lease_until=None,
        error_code=failure.code,
        error_detail=failure.detail,
    )


def _refusal(error: smtplib.SMTPException) -> Failure:
    """4xx answers may change (RFC 5321 section 4.2.1), 5xx ones will not."""
    answers = (
        [code for code, _ in error.recipients.values()]
        if isinstance(error, smtplib.SMTPRecipientsRefused)
        else [error.smtp_code]  # type: ignore[attr-defined]
    )
    code = "mail-server-unreachable" if all(400 <= answer < 500 for answer in answers) else "mail-refused"
    return Failure(code, f"answer {answers[0]}")
