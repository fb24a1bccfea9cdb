"""Mailboxes in Exchange Online, by Microsoft Graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from migrations_app.failures import Failure, describe
from migrations_app.graph_access import graph_for
from migrations_app.https.session import SOMEBODY_WAITS
from migrations_app.mailboxes.exchange.source import Source
from migrations_app.mailboxes.findings import Finding
from migrations_app.mailboxes.graph.source import GraphSource
from migrations_app.mailboxes.graph.steps import check
from migrations_app.mailboxes.indexed import of_kind
from migrations_app.mailboxes.viewed import ViewedMailbox
from tenants_app.models import MailboxConnection


class GraphMailbox(ViewedMailbox):
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over Microsoft Graph."""

    whose = of_kind(MailboxConnection.Kind.GRAPH)
    tells_of_series_and_occurrences: ClassVar[bool] = True
    """As Microsoft documents the update of an event that is a series."""

    def source(self) -> Source:
        return GraphSource(graph_for(self.connection), self.user.upn, self._addresses, self._names)

    def try_it(self) -> Iterator[Finding]:
        """What works and what does not, step by step, in words (see :mod:`migrations_app.mailboxes.graph.steps`)."""
        try:
            graph = graph_for(self.connection, SOMEBODY_WAITS)
        except Failure as failure:
            yield Finding("sign-in", False, describe(failure.code, failure.detail), failure.code)
            return
        with graph:
            yield from check(graph, self.user.upn, self._addresses, self._names, self.connection.secret_expires_at)

    @property
    def _addresses(self) -> frozenset[str]:
        return frozenset(address.lower() for address in self.user.addresses)

    @property
    def _names(self) -> frozenset[str]:
        """Of the calendars that are meant, folded; none where all are."""
        return frozenset(name.strip().casefold() for name in self.connection.calendars.split(",")) - {""}
