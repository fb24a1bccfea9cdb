"""By which server a tenant's messages go out, and in whose name: the tenant's own settings or the installation's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import Exists, OuterRef, Q, QuerySet

from migrations_app.failures import Failure
from migrations_app.mail import outbox, smtp
from migrations_app.mail.limits import Limits
from migrations_app.monitoring import clock, mail_server
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sealing import NoSecretsKey, UnopenableSecret


@dataclass(frozen=True, slots=True)
class Service:
    """Who stands in a message beside the organizer."""

    address: str
    is_author: bool
    """Whether the service stands in From, instead of as Sender beside the organizer."""


def service_of(tenant: Tenant, connection: MailServerConnection) -> Service:
    """As whom MMS sends the tenant's messages."""
    usual = f"meeting-migration@{tenant.domain}"
    address = connection.sender or (usual if connection.is_own else settings.MMS_SENDER or usual)
    return Service(address, connection.sender_mode == connection.SenderMode.SERVICE)


@dataclass(frozen=True, slots=True)
class Server:
    """A server with what its messages are. ``connection`` is None for the installation's."""

    name: str
    limits: Limits
    connection: MailServerConnection | None = None

    @classmethod
    def installations(cls) -> Server:
        limits = Limits(settings.MMS_MAIL_PER_MINUTE, settings.MMS_MAIL_PER_DOMAIN_PER_MINUTE)
        return cls(mail_server.installations(), limits)

    @classmethod
    def of(cls, connection: MailServerConnection) -> Server:
        """The server of a tenant."""
        if not connection.is_own:
            return cls.installations()
        limits = Limits(connection.messages_per_minute, connection.per_domain_per_minute)
        return cls(mail_server.name_of(connection), limits, connection)

    def messages(self, messages: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the messages that go through it."""
        if self.connection:
            return messages.filter(tenant=self.connection.tenant_id)
        own = list(MailServerConnection.objects.exclude(host="").values_list("tenant", flat=True))
        return messages.exclude(tenant__in=own) if own else messages

    def has_due(self) -> bool:
        """Whether a message that goes through it is due."""
        now = clock.now()
        return any(self.messages(outbox.due(now, kind)).exists() for kind in outbox.KINDS)

    @property
    def _settings(self) -> tuple[Any, ...]:
        """What a connection that is kept open depends on."""
        row = self.connection
        if row is None:
            return (settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_FILE_PATH)
        return (row.pk, row.host, row.port, row.security, row.username, row.sealed_password, row.ca_certificates)

    def backend(self) -> BaseEmailBackend:
        """What takes its messages, not open yet. Raises ``Failure`` where its password cannot be read."""
        row = self.connection
        if row:
            return smtp.EmailBackend(**_options(row))
        if settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":
            return smtp.EmailBackend()
        return get_connection()


def _options(row: MailServerConnection) -> Mapping[str, Any]:
    try:
        password = row.password
    except (NoSecretsKey, UnopenableSecret) as error:
        raise Failure("mail-server-without-sign-in", str(error)) from error
    return {
        "host": row.host,
        "port": row.port,
        "username": row.username,
        "password": password,
        "use_tls": row.security == row.Security.STARTTLS,
        "use_ssl": row.security == row.Security.TLS,
        "ca_certificates": row.ca_certificates,
        "allowed_hosts": settings.MMS_ALLOWED_MAIL_HOSTS,
    }


def due() -> list[Server]:
    """The servers for which a message is due and that are not known to be silent; who has waited longest first."""
    now = clock.now()
    has_due = Q()
    for kind in outbox.KINDS:
        has_due |= Q(Exists(outbox.due(now, kind).filter(tenant=OuterRef("tenant"))))
    own = MailServerConnection.objects.exclude(host="").filter(has_due)
    found = [Server.of(connection) for connection in own.select_related("tenant").order_by("pk")]
    installations = Server.installations()
    if installations.has_due():
        found.insert(0, installations)
    usable = [server for server in found if mail_server.may_try(server.name)]
    turns = mail_server.last_turns() if len(usable) > 1 else {}
    return sorted(usable, key=lambda server: turns[server.name].timestamp() if server.name in turns else 0.0)


class Connections:
    """Connections to mail servers, one for each, kept open until the end of the ``with``."""

    def __init__(self) -> None:
        self._backends: dict[tuple[Any, ...], BaseEmailBackend] = {}

    def to(self, server: Server, while_waiting: Callable[[], object]) -> BaseEmailBackend:
        """The connection to a server, which may have to be opened; ``while_waiting`` is called while one waits for it.

        Raises ``Failure`` where its password cannot be read.
        """
        key = (server.name, *server._settings)
        backend = self._backends.get(key)
        if backend is None:
            self._close([other for other in self._backends if other[0] == server.name])
            backend = self._backends[key] = server.backend()
        if isinstance(backend, smtp.EmailBackend):
            backend.while_waiting = while_waiting
        return backend

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close(list(self._backends))

    def _close(self, keys: list[tuple[Any, ...]]) -> None:
        for key in keys:
            self._backends.pop(key).close()
