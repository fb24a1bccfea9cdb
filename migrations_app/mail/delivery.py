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
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.people import Person
from migrations_app.failures import Failure
from migrations_app.mail import imip
from migrations_app.mailboxes.base import Stored
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import Run, Update
from migrations_app.retries import RETRIES, pause_before_retry
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser

log = logging.getLogger(__name__)

BATCH = 100
MOST_RECIPIENTS = 100
"""Recipients that every server takes at a time (RFC 5321 section 4.5.3.1.8)."""
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
        self.content = content
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
        if mark_together:
            try:
                connection.send_messages([message])
            except OSError as error:
                _postpone([update], Failure("mail-server-unreachable", type(error).__name__))
                continue
            sent.append(update)
            total += 1
        elif _hold(update):  # otherwise this worker was too slow, and another has taken the message over
            total += _send(update, message, connection)
    _mark_sent(sent)
    return total


def _send(update: Update, message: UpdateMessage, connection: BaseEmailBackend) -> bool:
    """Send to everyone who is still to be told, and note whom the server refused; whether the message is done."""
    left = message.to if update.recipients_left is None else [a for a in message.to if a in update.recipients_left]
    put_off: dict[str, int] = {}
    refused: dict[str, int] = {}
    try:
        done = 0
        for some in batched(left, MOST_RECIPIENTS):
            message.to, done = some, done + len(some)
            for address, answer in _transmit(message, connection).items():
                (put_off if 400 <= answer < 500 else refused)[address] = answer
            _note_left(update, [*put_off, *refused, *left[done:]])
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        code = "mail-server-unreachable" if 400 <= error.smtp_code < 500 else "mail-refused"
        _postpone([update], Failure(code, f"answer {error.smtp_code}"))
    except ValueError as error:  # an address that the mail library cannot write; only this message is at fault
        _postpone([update], Failure("mail-refused", type(error).__name__))
    except (OSError, smtplib.SMTPException) as error:
        connection.close()
        _postpone([update], Failure("mail-server-unreachable", type(error).__name__))
    else:
        if put_off:
            _postpone([update], Failure("mail-server-unreachable", _who(put_off)))
        elif len(refused) == len(message.content.recipients):
            _postpone([update], Failure("mail-refused", _who(refused)))
        elif refused:
            _close(update, Failure("recipients-refused", _who(refused)))
        else:
            _mark_sent([update])
            return True
    return False


def _transmit(message: UpdateMessage, connection: BaseEmailBackend) -> dict[str, int]:
    """Hand the message over; the recipients that were refused, with the server's answer (RFC 5321 section 4.2.1)."""
    connection.open()  # once for all messages; again where the server has hung up
    session = getattr(connection, "connection", None)
    if not isinstance(session, smtplib.SMTP):
        connection.send_messages([message])
        return {}
    # Not through Django's backend, which does not tell whom the server refused while it took the others.
    try:
        answers = session.sendmail(message.from_email, message.to, message.message().as_bytes())
    except smtplib.SMTPRecipientsRefused as error:
        answers = error.recipients
    return {address: code for address, (code, _) in answers.items()}


def _who(answers: dict[str, int]) -> str:
    """The refused recipients in short, with the first answer."""
    first, *others = answers
    more = f" and {len(others)} more" if others else ""
    return f"{first}{more}, answer {answers[first]}"


def _messages(batch: list[Update]) -> Iterator[tuple[Update, UpdateMessage]]:
    """Each update with its message; one whose meeting is gone, or names nobody any more, is closed instead."""
    for user, group in groupby(batch, key=lambda update: update.result.run.user):
        updates = list(group)
        stored = mailbox_of(user).read([update.result.uid for update in updates])
        for update in updates:
            found = stored.get(update.result.uid)
            try:
                content = _content(update, user, found)
                message = UpdateMessage(content)
            except Failure as failure:
                _close(update, failure, Update.State.SUPERSEDED)
                continue
            except Exception:
                reference = update.result.run.correlation_id
                log.exception("update %s of run %s cannot be composed", update.pk, reference)
                _postpone([update], Failure("internal-error", f"reference {reference}"))
                continue
            yield update, message


def _content(update: Update, user: ConferencingUser, found: Stored | None) -> imip.Content:
    """What the message is made of; a ``Failure`` where it is not to be sent any more."""
    result, run, tenant = update.result, update.result.run, user.tenant
    if found is None:
        raise Failure("meeting-gone")
    invitation = itip.read(found.body, user.addresses, now=timezone.now())
    if not invitation.recipients:
        raise Failure("meeting-gone", "it names nobody to be told any more")
    if found.listed.cancelled or invitation.sequence != result.sequence:
        # Another revision than the one that this update is about; whoever made it tells the attendees.
        raise Failure("meeting-changed-since")
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


def _mine(update: Update) -> QuerySet[Update]:
    """The claimed row, as long as it carries this worker's token."""
    return Update.objects.filter(pk=update.pk, lease_token=update.lease_token)


def _note_left(update: Update, left: list[str]) -> None:
    """Remember who is still to be told, so that a repeated delivery reaches nobody twice."""
    if left or update.recipients_left is not None:
        update.recipients_left = left
        _mine(update).update(recipients_left=left)


def _hold(update: Update) -> bool:
    """Renew the lease right before sending; False where it is another worker's by now."""
    return _mine(update).update(lease_until=timezone.now() + LEASE) == 1


def _mark_sent(updates: list[Update]) -> None:
    if updates:
        token = updates[0].lease_token
        claimed = Update.objects.filter(pk__in=[update.pk for update in updates], lease_token=token)
        _let_go(claimed, None, state=Update.State.SENT, sent_at=timezone.now())


def _postpone(updates: list[Update], failure: Failure) -> None:
    """Try again later where waiting may help, with the same pauses as runs have (R28)."""
    for update in updates:
        if failure.cures_by_waiting and update.attempts <= RETRIES:
            _let_go(_mine(update), failure, due_at=timezone.now() + pause_before_retry(update.attempts))
        elif failure.cures_by_waiting:
            _close(update, Failure("message-retries-used-up", failure.what))
        else:
            _close(update, failure)
    log.warning("%d updates not sent: %s %s", len(updates), failure.code, failure.detail)


def _close(update: Update, failure: Failure, state: str = Update.State.FAILED) -> None:
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
