"""Microsoft Graph by a connection of a tenant: for mailboxes, meeting services, imports and checks."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from migrations_app.failures import Failure
from migrations_app.microsoft.client import Graph, Limits
from migrations_app.microsoft.clouds import CLOUDS, Cloud
from migrations_app.microsoft.sign_in import Application
from tenants_app.models import MailboxConnection
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tenants_app.sentences import sentence


def graph_for(connection: MailboxConnection, limits: Limits | None = None) -> Graph:
    """Graph as the app registration of the connection sees it; closed by ``with``. Raises ``Failure``."""
    return Graph(application_of(connection), limits, allowed_hosts=settings.MMS_ALLOWED_MAIL_HOSTS)


def application_of(connection: MailboxConnection) -> Application:
    """The app registration that a connection of kind ``graph`` is, with its secret. Raises ``Failure``."""
    if connection.kind != MailboxConnection.Kind.GRAPH:
        raise ValueError(f"{connection} is no connection to Microsoft 365")
    try:
        credential = connection.password
    except (NoSecretsKey, UnopenableSecret) as error:
        raise Failure("secret-unopenable", sentence("that of %(connection)s", connection=str(connection))) from error
    if not credential or not connection.username or not connection.directory_id:
        raise Failure(
            "mailbox-without-sign-in",
            sentence("%(connection)s has no directory, application or secret", connection=str(connection)),
        )
    return Application(cloud_of(connection), connection.directory_id, connection.username, credential)


def cloud_of(connection: MailboxConnection) -> Cloud:
    """Where to sign in and where Graph is: only the operator can name another place (``MMS_MICROSOFT_ENDPOINTS``)."""
    cloud = CLOUDS[connection.cloud]
    endpoints = settings.MMS_MICROSOFT_ENDPOINTS
    return cloud.reached_at(*(_origin(each) for each in endpoints)) if endpoints else cloud


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
