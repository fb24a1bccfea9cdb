"""Why a message is asleep in the queue, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from migrations_app.failures import happened
from migrations_app.models import MailServer, Update
from migrations_app.monitoring import clock, mail_server
from tenants_app.models import Tenant
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a queued message is not sent yet."""

    reason: str
    """A sentence."""
    until: datetime | None = None
    """When it is tried next, at the earliest; None where that is as soon as a worker gets to it."""


class Queue:
    """The queue of one tenant's messages at one moment."""

    def __init__(self, tenant: Tenant) -> None:
        self._now = clock.now()
        self._name = mail_server.of_tenant(tenant)
        self._silent: MailServer | None = mail_server.silence(self._name)
        self._held_until = mail_server.holds().get(self._name)

    def why(self, update: Update) -> Waiting | None:
        """Why the message waits; None where it does not."""
        if update.state != Update.State.QUEUED:
            return None
        if update.lease_until and update.lease_until > self._now:
            return Waiting(sentence("A worker has it in hand."))
        own = update.due_at if update.due_at > self._now else None
        if self._silent:
            why = self._silent.last_error
            return Waiting(
                sentence("The mail server turns MMS away (%(error)s).", error=why)
                if self._silent.turns_away
                else sentence("The mail server does not answer (%(error)s).", error=why),
                _later(own, self._silent.next_try_at, self._now),
            )
        if own:
            return Waiting(happened(update.error_code, update.error_detail) if update.error_code else _PUT_OFF, own)
        if self._held_until:
            return Waiting(sentence("As many messages as the limit allows were sent in this minute."), self._held_until)
        return Waiting(sentence("It is next, as soon as a worker is free."))


_PUT_OFF = sentence("It was put off.")


def _later(one: datetime | None, other: datetime | None, now: datetime) -> datetime | None:
    known = [moment for moment in (one, other) if moment and moment > now]
    return max(known, default=None)


def oldest(tenant: Tenant | None = None) -> Update | None:
    """The message that has waited longest, of one tenant or of all."""
    queued = Update.objects.filter(state=Update.State.QUEUED).order_by("queued_at", "pk")
    if tenant:
        queued = queued.filter(result__run__tenant=tenant)
    return queued.select_related("result__run__tenant").defer("result__spans").first()
