"""Delivering the outbox: claim, compose, hand over, mark.

Everything here can be repeated, and stopped anywhere. Where the mail backend can tell repeats apart (files) a batch is
marked at once. A mail server cannot: there the row says before and after each step who is told, as :mod:`outbox` lays
down, so that a repetition goes on with the others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPSenderRefused
from time import monotonic

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import DatabaseError, connection
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail import outbox, smtp
from migrations_app.mail.messages import UpdateMessage, is_outdated, messages_of
from migrations_app.models import Update
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import beat

log = logging.getLogger(__name__)

TURN = timedelta(seconds=20)
"""How long a worker delivers until it looks for other work; a message that is on its way is brought to its end."""
MOST_RECIPIENTS = 100
"""Recipients that every server takes at a time (RFC 5321 section 4.5.3.1.8)."""
OCTETS = 8_000_000
"""Messages that are marked together are no larger in sum, but for a single one."""
_TURNED_AWAY = frozenset({530, 534, 535, 538})
"""Answers by which the server wants another sign-in (RFC 4954 section 6): they say nothing about the message."""
_SIGN = outbox.LEASE.total_seconds() / 3
"""Seconds after which a worker at work renews its lease and shows that it is alive."""


def is_due() -> bool:
    """Whether a message is to be delivered now, and the mail server is not known to be silent."""
    return outbox.is_due() and mail_server.may_try()


def deliver(until: datetime | None = None) -> int:
    """Send what is due, but begin nothing after ``until``; how many updates reached everybody."""
    turn = _Turn(until)
    try:
        return turn.deliver()
    finally:
        turn.end()


class _Unreachable(Exception):
    """The mail server cannot be reached, or turns us away; no message is at fault."""


class _Turn:
    """One worker's delivering, over one connection that is kept open."""

    def __init__(self, until: datetime | None) -> None:
        self._until = until
        self._claimed: list[Update] = []
        self._is_server_silent = False
        self._has_tried = False
        self._next_sign = 0.0
        if settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":
            self._backend: BaseEmailBackend = smtp.EmailBackend(self._live)
        else:
            self._backend = get_connection()

    def deliver(self) -> int:
        """Claim and send, some at a time, as long as there is something to send, time, and a server that answers."""
        sent = 0
        while self._has_time() and outbox.is_due() and (room := mail_server.room(outbox.BATCH)):
            self._claimed = outbox.claim(room)
            self._next_sign = monotonic() + _SIGN
            if not self._claimed:
                break
            failure = None
            try:
                sent += self._deliver_claimed()
            except _Unreachable as unreachable:
                failure = Failure("mail-server-unreachable", str(unreachable))
                break
            finally:
                outbox.put_back(self._claimed, failure)
            if not self._has_tried:
                mail_server.was_not_tried()
        return sent

    def end(self) -> None:
        self._backend.close()

    def _has_time(self) -> bool:
        return self._until is None or timezone.now() < self._until

    def _may_go_on(self) -> bool:
        return self._has_time() and not self._is_server_silent

    def _server_answered(self) -> None:
        self._has_tried = True
        mail_server.answered()

    def _server_failed(self, error: BaseException) -> None:
        self._has_tried = True
        self._is_server_silent = mail_server.failed(smtp.told_by(error), after_waiting=smtp.timed_out(error))

    def _live(self) -> None:
        """Show that this worker is alive and holds its messages; called often, and dear only now and then."""
        if monotonic() < self._next_sign:
            return
        self._next_sign = monotonic() + _SIGN
        try:
            outbox.keep(self._claimed)
            beat()
        except DatabaseError as error:
            # Not while a server is about to answer: what it says is worth more than a lease, which has some time left.
            log.warning("the lease on messages was not renewed: %s", type(error).__name__)
            connection.close_if_unusable_or_obsolete()

    def _deliver_claimed(self) -> int:
        if getattr(self._backend, "is_repeatable", False):
            return self._write_together()
        sent = 0
        for update, messages in messages_of(self._claimed):
            if not self._may_go_on():
                break
            self._live()
            sent += self._send(update, messages)
        return sent

    # --- to files ---------------------------------------------------------------------------------------

    def _write_together(self) -> int:
        sent, octets = 0, 0
        together: list[tuple[Update, Sequence[UpdateMessage]]] = []
        for update, messages in messages_of(self._claimed):
            self._live()
            together.append((update, messages))
            octets += sum(len(message.message().as_bytes()) for message in messages)
            if octets >= OCTETS:
                sent += self._write(together)
                together, octets = [], 0
        return sent + self._write(together)

    def _write(self, together: Sequence[tuple[Update, Sequence[UpdateMessage]]]) -> int:
        if not together:
            return 0
        updates = [update for update, _ in together]
        try:
            outbox.begin(updates)
            self._backend.send_messages([message for _, messages in together for message in messages])
        except outbox.LeaseLost:
            log.warning("%d updates were taken over by another worker", len(updates))
            return 0
        except OSError as error:
            self._server_failed(error)
            outbox.postpone(updates, Failure("mail-server-unreachable", type(error).__name__))
            return 0
        self._server_answered()
        outbox.mark_sent(updates)
        return len(updates)

    # --- to a server ------------------------------------------------------------------------------------

    def _send(self, update: Update, messages: Sequence[UpdateMessage]) -> bool:
        """Send to everyone who is still to be told, and note what the server says; whether the update is done."""
        try:
            return self._send_in_portions(update, messages)
        except outbox.LeaseLost:
            log.warning("update %s was taken over by another worker", update.pk)
        except (SMTPSenderRefused, SMTPDataError) as error:
            if error.smtp_code in _TURNED_AWAY:
                self._server_failed(error)
                raise _Unreachable(smtp.told_by(error)) from error
            if error.smtp_code == 421:
                self._server_failed(error)
            else:
                self._server_answered()
            code = "mail-server-unreachable" if 400 <= error.smtp_code < 500 else "mail-refused"
            outbox.postpone([update], Failure(code, f"answer {error.smtp_code}"))
        except ValueError as error:  # an address that the mail library cannot write; only this message is at fault
            outbox.postpone([update], Failure("mail-refused", type(error).__name__))
        except OSError as error:
            self._server_failed(error)
            outbox.postpone([update], Failure("mail-server-unreachable", smtp.told_by(error)))
        return False

    def _send_in_portions(self, update: Update, messages: Sequence[UpdateMessage]) -> bool:
        everyone = [address for message in messages for address in message.to]
        addressed = [(message, list(message.to)) for message in messages]
        put_off: dict[str, int] = {}
        has_begun = False
        for message, to in addressed:
            while some := [each for each in outbox.still_to_ask(update, to) if each not in put_off]:
                if has_begun and not self._may_go_on():
                    if put_off:
                        outbox.postpone([update], Failure("mail-server-unreachable", outbox.who(put_off)))
                    return False  # otherwise the rest is due still, and goes out with the next turn
                session = self._session()
                if not has_begun and is_outdated(update):
                    outbox.close(update, Failure("meeting-changed-since"), Update.State.SUPERSEDED)
                    return False
                if not has_begun:
                    outbox.begin([update])
                    has_begun = True
                put_off |= self._hand_over(session, update, message, everyone, some[:MOST_RECIPIENTS])
        if put_off:
            outbox.postpone([update], Failure("mail-server-unreachable", outbox.who(put_off)))
            return False
        return outbox.finish(update, everyone)

    def _hand_over(
        self,
        session: smtp.Session | None,
        update: Update,
        message: UpdateMessage,
        everyone: Sequence[str],
        some: Sequence[str],
    ) -> dict[str, int]:
        """One transaction; whom the server puts off."""
        try:
            if session is None:
                message.to = list(some)
                self._backend.send_messages([message])
                answers = smtp.Answers(taken=list(some))
            else:
                answers = session.transmit(
                    message.from_email,
                    some,
                    message.message().as_bytes(),
                    may_ask_more=self._has_time,
                    before_the_end=lambda taken: outbox.note_doubt(update, everyone, taken, message.content.message_id),
                )
        except smtp.Unanswered as silence:
            log.warning("update %s: no answer from the mail server after the message (%s)", update.pk, silence)
            self._server_failed(silence)
            return {}
        except (OSError, ValueError):
            outbox.note_not_taken(update, some)
            raise
        self._server_answered()
        outbox.note_answers(update, everyone, answers)
        return answers.put_off

    def _session(self) -> smtp.Session | None:
        """The connection, opened where it is not; None for a backend that has none of our kind."""
        try:
            if isinstance(self._backend, smtp.EmailBackend):
                return self._backend.session()
            self._backend.open()
        except OSError as error:
            self._server_failed(error)
            raise _Unreachable(smtp.told_by(error)) from error
        return None
