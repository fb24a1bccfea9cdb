"""Mailboxes of an Exchange on-premises, by its web services (EWS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings

from migrations_app.failures import Failure, describe
from migrations_app.https.session import SOMEBODY_WAITS, Account, Limits
from migrations_app.mailboxes.findings import Finding
from migrations_app.mailboxes.indexed import of_kind
from migrations_app.mailboxes.viewed import ViewedMailbox
from tenants_app.models import MailboxConnection

if TYPE_CHECKING:
    from migrations_app.mailboxes.ews.source import EwsSource


class ExchangeMailbox(ViewedMailbox):
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over EWS.

    ``exchangelib`` is an extra of the installation, and looked for only when a mailbox is opened.
    """

    whose = of_kind(MailboxConnection.Kind.EXCHANGE)
    most_octets: ClassVar[int] = 8_000_000
    """Of one text. With a message limit of 10 MB, which Exchange has unless somebody changes it, more is refused."""

    def source(self) -> EwsSource:
        return self._opened()

    def try_it(self) -> Iterator[Finding]:
        """What works and what does not, step by step, in words (see :mod:`migrations_app.mailboxes.ews.steps`)."""
        try:
            username, _ = self.sign_in()
            from migrations_app.mailboxes.ews.steps import check
        except (Failure, ImportError) as error:
            failure = error if isinstance(error, Failure) else Failure("exchange-not-installed")
            step = "sign-in" if isinstance(error, Failure) else "address"
            yield Finding(step, False, describe(failure.code, failure.detail), failure.code)
            return
        yield from check(
            lambda: self._opened(SOMEBODY_WAITS),
            self.user.upn,
            username,
            impersonates=self._impersonates,
            discovers=self.connection.autodiscover,
        )

    @property
    def _impersonates(self) -> bool:
        return self.connection.username != ""

    def _opened(self, limits: Limits | None = None) -> EwsSource:
        try:
            from migrations_app.mailboxes.ews.discovery import discover
            from migrations_app.mailboxes.ews.source import EwsSource
        except ImportError:
            raise Failure("exchange-not-installed") from None
        connection, hosts = self.connection, settings.MMS_ALLOWED_MAIL_HOSTS
        account = Account(connection.address, *self.sign_in(), connection.ca_certificates)
        how = str(connection.sign_in_by)
        if connection.autodiscover:
            account = discover(account, self.user.upn, sign_in_by=how, allowed_hosts=hosts, limits=limits)
        return EwsSource(
            account,
            self.user.upn,
            sign_in_by=how,
            impersonate=self._impersonates,
            calendars=connection.calendars.split(","),
            allowed_hosts=hosts,
            limits=limits,
        )
