"""Which mailbox a user has. Nothing else knows the kinds by name, but for the commands that fill an embedded one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from django.utils import timezone

from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.base import Mailbox
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.mailboxes.exchange.source import Source
from migrations_app.mailboxes.exchange_mailbox import ExchangeMailbox
from migrations_app.mailboxes.findings import Finding
from migrations_app.mailboxes.graph_mailbox import GraphMailbox
from migrations_app.mailboxes.viewed import ViewedMailbox
from tenants_app.models import ConferencingUser, MailboxConnection

_KINDS: Mapping[str, type[CalDavMailbox | ViewedMailbox]] = {
    MailboxConnection.Kind.CALDAV: CalDavMailbox,
    MailboxConnection.Kind.GRAPH: GraphMailbox,
    MailboxConnection.Kind.EXCHANGE: ExchangeMailbox,
}
KINDS: Sequence[type[Mailbox]] = (EmbeddedMailbox, *_KINDS.values())
"""Every kind of mailbox there is."""


def mailbox_of(user: ConferencingUser) -> Mailbox:
    """The user's mailbox."""
    connection = user.mailbox_connection
    return _KINDS[connection.kind](user) if connection else EmbeddedMailbox(user)


def source_of(user: ConferencingUser) -> Source:
    """A session with the calendars of a user whose mailbox is in Exchange, for a check that speaks its protocol itself.
    Raises ``Failure``."""
    mailbox = mailbox_of(user)
    if not isinstance(mailbox, ViewedMailbox):
        raise TypeError(f"The mailbox of {user.upn} is none of Exchange.")
    return mailbox.source()


def try_connection(connection: MailboxConnection, user: ConferencingUser) -> Iterator[Finding]:
    """What works of the connection and what does not, tried on the user's mailbox step by step; changes nothing there.

    ``user`` need not have the connection, as before anybody is given it. What was found is kept with the connection;
    one that was left alone is taken up again where all of it works.
    """
    user.mailbox = connection
    findings = []
    for finding in _KINDS[connection.kind](user).try_it():
        findings.append(finding)
        yield finding
    MailboxConnection.objects.filter(pk=connection.pk).update(
        tested_at=timezone.now(), tested_on=user.upn, findings=[asdict(finding) for finding in findings]
    )
    if all(finding.ok for finding in findings):
        throttling.note_success(connection)
