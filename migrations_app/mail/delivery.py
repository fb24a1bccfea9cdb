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

from django.db import DatabaseError, connection
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail import limits, outbox, servers, smtp
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.messages import messages_of, why_outdated
from migrations_app.mail.servers import Connections, Server
from migrations_app.models import Outgoing
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import beat
from tenants_app.sentences import sentence

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
    """Whether a message is to be delivered now, by a mail server that is not known to be silent."""
    return bool(servers.due())


def deliver(until: datetime | None = None, connections: Connections | None = None) -> int:
    """Send what is due, but begin nothing after ``until``; how many messages reached everybody.

    Each server gets its part of the time, so that one with many messages, or a slow one, holds up no other's. With
    ``connections`` these are left open.
    """
    if connections is None:
        with Connections() as opened:
            return deliver(until, opened)
    sent, tried = 0, set[str]()
    while found := [server for server in servers.due() if server.name not in tried]:
        if until is not None and timezone.now() >= until:
            break
        server = found[0]
        if len(found) > 1:
            mail_server.begin_turn(server.name)
        turn = _Turn(server, connections, _part(until, len(found)))
        sent += turn.deliver()
        if turn.is_through:
            tried.add(server.name)
    return sent


def _part(until: datetime | None, parts: int) -> datetime | None:
    """The end of one of so many parts of the time that is left."""
    if parts == 1:
        return until
    now = timezone.now()
    return now + (TURN if until is None else until - now) / parts


class _Unreachable(Exception):
    """The mail server cannot be reached, or turns us away; no message is at fault."""


class _Turn:
    """One worker's delivering by one server, over one connection that is kept open."""

    def __init__(self, server: Server, connections: Connections, until: datetime | None) -> None:
        self._server = server
        self._connections = connections
        self._until = until
        self._claimed: Sequence[Outgoing] = []
        self._is_server_silent = False
        self._is_held = False
        self._has_tried = False
        self._next_sign = 0.0
        self.is_through = False
        """Whether there is nothing more to do with the server for now, though there be time."""

    def deliver(self) -> int:
        """Claim and send, some at a time, as long as there is something to send, time, and a server that answers."""
        sent = 0
        while self._has_time():
            room = mail_server.room(self._server.name, outbox.BATCH) if self._is_due() else 0
            self._claimed = outbox.claim(room, self._server.messages) if room else []
            if not self._claimed:
                self.is_through = True
                break
            self._next_sign = monotonic() + _SIGN
            failure = None
            try:
                sent += self._deliver_claimed()
            except _Unreachable as unreachable:
                failure = unreachable.args[0]
                self.is_through = True
                break
            finally:
                outbox.put_back(self._claimed, failure)
            if not self._has_tried:
                mail_server.was_not_tried(self._server.name)
        return sent

    def _is_due(self) -> bool:
        return self._server.has_due()

    def _has_time(self) -> bool:
        return self._until is None or timezone.now() < self._until

    def _may_go_on(self) -> bool:
        return self._has_time() and not self._is_server_silent and not self._is_held

    def _server_answered(self) -> None:
        self._has_tried = True
        mail_server.answered(self._server.name)

    def _server_failed(self, error: BaseException) -> None:
        self._failed(smtp.told_by(error), after_waiting=smtp.timed_out(error))

    def _failed(self, why: str, *, after_waiting: bool = False) -> None:
        self._has_tried = True
        self._is_server_silent = mail_server.failed(self._server.name, why, after_waiting=after_waiting)

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
        try:
            self._backend = self._connections.to(self._server, self._live)
        except Failure as failure:
            self._failed(failure.what)
            raise _Unreachable(failure) from failure
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
        together: list[tuple[Outgoing, Sequence[ComposedMessage]]] = []
        for update, messages in messages_of(self._claimed):
            self._live()
            together.append((update, messages))
            octets += sum(len(message.message().as_bytes()) for message in messages)
            if octets >= OCTETS:
                sent += self._write(together)
                together, octets = [], 0
        return sent + self._write(together)

    def _write(self, together: Sequence[tuple[Outgoing, Sequence[ComposedMessage]]]) -> int:
        if not together:
            return 0
        updates = [update for update, _ in together]
        try:
            outbox.begin(updates)
            self._backend.send_messages([message for _, messages in together for message in messages])
        except outbox.LeaseLost:
            log.warning("%d messages were taken over by another worker", len(updates))
            return 0
        except OSError as error:
            self._server_failed(error)
            outbox.postpone(updates, Failure("mail-server-unreachable", type(error).__name__))
            return 0
        self._server_answered()
        outbox.mark_sent(updates)
        return len(updates)

    # --- to a server ------------------------------------------------------------------------------------

    def _send(self, update: Outgoing, messages: Sequence[ComposedMessage]) -> bool:
        """Send to everyone who is still to be told, and note what the server says; whether the update is done."""
        try:
            return self._send_in_portions(update, messages)
        except outbox.LeaseLost:
            log.warning("%s was taken over by another worker", update)
        except (SMTPSenderRefused, SMTPDataError) as error:
            if error.smtp_code in _TURNED_AWAY:
                self._server_failed(error)
                raise _Unreachable(Failure("mail-server-unreachable", smtp.told_by(error))) from error
            if error.smtp_code == 421:
                self._server_failed(error)
            else:
                self._server_answered()
            outbox.postpone(
                [update],
                Failure(_code_of(error.smtp_code), sentence("answer %(smtp_code)s", smtp_code=error.smtp_code)),
            )
        except ValueError as error:  # an address that the mail library cannot write; only this message is at fault
            outbox.postpone([update], Failure("mail-refused", type(error).__name__))
        except OSError as error:
            self._server_failed(error)
            outbox.postpone([update], Failure("mail-server-unreachable", smtp.told_by(error)))
        return False

    def _send_in_portions(self, update: Outgoing, messages: Sequence[ComposedMessage]) -> bool:
        everyone = [address for message in messages for address in message.to]
        addressed = [(message, list(message.to)) for message in messages]
        put_off: dict[str, int] = {}
        asleep: dict[str, datetime] = {}
        has_begun = False
        for message, to in addressed:
            while some := [each for each in outbox.still_to_ask(update, to) if each not in put_off.keys() | asleep]:
                if has_begun and not self._may_go_on():
                    return self._leave(update, put_off)
                session = self._session()
                if not has_begun and (outdated := why_outdated(update)):
                    outbox.close(update, outdated, Outgoing.State.SUPERSEDED)
                    return False
                grant = limits.take(self._server.name, self._server.limits, some[:MOST_RECIPIENTS])
                asleep |= grant.asleep
                if grant.held_until:
                    mail_server.hold(self._server.name, grant.held_until)
                    self._is_held = True
                    return self._leave(update, put_off)
                if not grant.now:
                    continue
                if not has_begun:
                    outbox.begin([update])
                    has_begun = True
                put_off |= self._hand_over(session, update, message, everyone, grant.now)
        if put_off:
            return self._leave(update, put_off)
        if asleep:
            domains = sorted({limits.domain_of(address) for address in asleep})
            outbox.sleep_until(update, min(asleep.values()), Failure("mail-limit", ", ".join(domains)[:300]))
            return False
        return outbox.finish(update, everyone)

    def _leave(self, update: Outgoing, put_off: dict[str, int]) -> bool:
        """Leave the message unfinished: the rest is due still, but where the server asked to wait. Returns False."""
        if put_off:
            outbox.postpone([update], Failure("mail-put-off", outbox.who(put_off)))
        return False

    def _hand_over(
        self,
        session: smtp.Session | None,
        update: Outgoing,
        message: ComposedMessage,
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
                    before_the_end=lambda taken: outbox.note_doubt(update, everyone, taken, message.message_id),
                )
        except smtp.Unanswered as silence:
            log.warning("%s: no answer from the mail server after the message (%s)", update, silence)
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
            raise _Unreachable(Failure("mail-server-unreachable", smtp.told_by(error))) from error
        return None


def _code_of(answer: int) -> str:
    """What it means for a message that the server answered so to MAIL or DATA."""
    if answer == 421:
        return "mail-server-unreachable"
    return "mail-put-off" if 400 <= answer < 500 else "mail-refused"
