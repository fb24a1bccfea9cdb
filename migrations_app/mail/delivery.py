"""Delivering the outbox: claim, compose, send, mark.

Everything here can be repeated. A message has the same Message-ID every time; where the mail backend can tell
repeats apart (files) a batch is marked at once, elsewhere each message directly after it was sent.
"""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from datetime import datetime

from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail import outbox
from migrations_app.mail.messages import UpdateMessage, messages_of
from migrations_app.models import Update
from tenants_app.bulk import batched

MOST_RECIPIENTS = 100
"""Recipients that every server takes at a time (RFC 5321 section 4.5.3.1.8)."""


def deliver(time_limit: datetime | None = None) -> int:
    """Send what is due, over one connection kept open; how many messages went out."""
    connection: BaseEmailBackend | None = None
    sent = 0
    try:
        while batch := outbox.claim():
            if connection is None:
                connection = get_connection()
            try:
                connection.open()
            except (OSError, smtplib.SMTPException) as error:
                outbox.postpone(batch, Failure("mail-server-unreachable", type(error).__name__))
                break
            sent += _deliver_batch(batch, connection)
            if time_limit and timezone.now() >= time_limit:
                break
    finally:
        if connection is not None:
            connection.close()
    return sent


def _deliver_batch(batch: list[Update], connection: BaseEmailBackend) -> int:
    mark_together = getattr(connection, "is_repeatable", False)
    sent: list[Update] = []
    total = 0
    for update, messages in messages_of(batch):
        if mark_together:
            try:
                connection.send_messages(messages)
            except OSError as error:
                outbox.postpone([update], Failure("mail-server-unreachable", type(error).__name__))
                continue
            sent.append(update)
            total += len(messages)
        elif outbox.hold(update):  # otherwise this worker was too slow, and another has taken the update over
            total += _send(update, messages, connection)
    outbox.mark_sent(sent)
    return total


def _send(update: Update, messages: Sequence[UpdateMessage], connection: BaseEmailBackend) -> int:
    """Send to everyone who is still to be told, and note whom the server refused; how many messages went out."""
    everyone = [address for message in messages for address in message.to]
    told_before = update.recipients_left is not None
    left = dict.fromkeys(each for each in everyone if not told_before or each in (update.recipients_left or ()))
    answers: dict[str, int] = {}
    sent = 0
    try:
        for message in messages:
            waiting = [address for address in message.to if address in left]
            for some in batched(waiting, MOST_RECIPIENTS):
                message.to = some
                refused = _transmit(message, connection)
                answers |= refused
                for address in some:
                    if address not in refused:
                        del left[address]
                outbox.note_left(update, list(left))
            sent += bool(waiting)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        code = "mail-server-unreachable" if 400 <= error.smtp_code < 500 else "mail-refused"
        outbox.postpone([update], Failure(code, f"answer {error.smtp_code}"))
    except ValueError as error:  # an address that the mail library cannot write; only this update is at fault
        outbox.postpone([update], Failure("mail-refused", type(error).__name__))
    except (OSError, smtplib.SMTPException) as error:
        connection.close()
        outbox.postpone([update], Failure("mail-server-unreachable", type(error).__name__))
    else:
        put_off = {address: answer for address, answer in answers.items() if 400 <= answer < 500}
        if put_off:
            outbox.postpone([update], Failure("mail-server-unreachable", _who(put_off)))
        elif len(answers) == len(everyone):
            outbox.postpone([update], Failure("mail-refused", _who(answers)))
        elif answers:
            outbox.close(update, Failure("recipients-refused", _who(answers)))
        else:
            outbox.mark_sent([update])
            return sent
    return 0


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
