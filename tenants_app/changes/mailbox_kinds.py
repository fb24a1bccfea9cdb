"""What belongs to a connection of each kind, and what a connection of that kind cannot do without."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from tenants_app.certificates import is_pem, read_certificate
from tenants_app.models import MailboxConnection
from tenants_app.sentences import sentence
from tenants_app.validators import validate_domain

Kind = MailboxConnection.Kind

FIELDS: Mapping[str, tuple[str, ...]] = {
    Kind.CALDAV: ("address", "username", "path_template", "calendars", "who_tells", "ca_certificates"),
    Kind.GRAPH: ("cloud", "directory_id", "username", "secret_expires_at", "calendars"),
    Kind.EXCHANGE: ("address", "autodiscover", "username", "sign_in_by", "calendars", "ca_certificates"),
}
"""What is set of a connection of that kind, beside its name, its secret and how many requests it takes at once."""
_OF_SOME = {name for names in FIELDS.values() for name in names}
_ANYWHERE = {"common", "organizations", "consumers"}
_HAS_NOT = {
    "address": gettext_noop("A connection to %(kind)s has no address: leave that out."),
    "path_template": gettext_noop("A connection to %(kind)s has no path template: leave that out."),
    "who_tells": gettext_noop(
        "A connection to %(kind)s has nobody else to tell attendees, because the server does: leave that out."
    ),
    "ca_certificates": gettext_noop("A connection to %(kind)s has no CA certificates: leave that out."),
    "cloud": gettext_noop("A connection to %(kind)s has no cloud: leave that out."),
    "directory_id": gettext_noop("A connection to %(kind)s has no directory: leave that out."),
    "secret_expires_at": gettext_noop("A connection to %(kind)s has no end of its secret: leave that out."),
    "autodiscover": gettext_noop("A connection to %(kind)s has no autodiscovery: leave that out."),
    "sign_in_by": gettext_noop(
        "A connection to %(kind)s has no other way to sign in than by password (Basic): leave that out."
    ),
}


def check_kind(connection: MailboxConnection, *, has_password: bool) -> None:
    """Raise ``ValidationError`` with a sentence where something is missing, or belongs to another kind."""
    untouched = MailboxConnection()
    for name in sorted(_OF_SOME - set(FIELDS[connection.kind])):
        if getattr(connection, name) not in {getattr(untouched, name), None, ""}:
            _refuse(name, gettext(_HAS_NOT[name]) % {"kind": connection.get_kind_display()})
    {Kind.CALDAV: _check_caldav, Kind.GRAPH: _check_graph, Kind.EXCHANGE: _check_exchange}[Kind(connection.kind)](
        connection, has_password
    )


def _refuse(field: str, sentence: str) -> NoReturn:
    raise ValidationError({field: sentence})


def _check_caldav(connection: MailboxConnection, has_password: bool) -> None:
    if not connection.address:
        _refuse("address", sentence("Give the server's web address, such as https://dav.contoso.com/."))
    if bool(connection.username) != has_password:
        _refuse(
            "username",
            sentence(
                "A service account has both a user name and a password: give both, or neither where each user "
                "has a password of their own."
            ),
        )


def _check_graph(connection: MailboxConnection, has_password: bool) -> None:
    directory = connection.directory_id
    if directory.lower() in _ANYWHERE or not (_is_guid(directory) or _is_domain(directory)):
        _refuse(
            "directory_id",
            sentence(
                "Give the directory (tenant) ID from the overview in Microsoft Entra, a GUID, or a domain of "
                "the organization such as contoso.com."
            ),
        )
    if not _is_guid(connection.username):
        _refuse("username", sentence("Give the application (client) ID of the app registration, which is a GUID."))
    if not has_password:
        _refuse(
            "password",
            sentence("Give a certificate with its private key, or a client secret, of the app registration."),
        )


def _check_exchange(connection: MailboxConnection, has_password: bool) -> None:
    if connection.autodiscover and connection.address:
        _refuse(
            "address", sentence("Leave the address empty where it is asked for (autodiscovery), or switch that off.")
        )
    if not connection.autodiscover and not connection.address:
        _refuse("address", sentence("Give the address of its EWS, such as https://mail.contoso.com/EWS/Exchange.asmx."))
    if not connection.username or not has_password:
        _refuse(
            "password" if connection.username else "username",
            sentence("Give the user name and the password of a service account that may impersonate the organizers."),
        )


def note_secret(connection: MailboxConnection, secret: str | None, expires_at: datetime | None) -> None:
    """Take what may be shown of a new secret of a connection to Microsoft.

    With None as secret the old one stays, and only its end is another. Raises ``ValidationError`` with a sentence for a
    certificate that MMS could not sign in by, and for an end that is not that of the secret.
    """
    if connection.kind != Kind.GRAPH:
        if secret and is_pem(secret):
            _refuse("password", sentence("Give a password here: certificates sign in to Exchange Online only."))
        return
    is_certificate = bool(connection.certificate_fingerprint) if secret is None else is_pem(secret)
    if is_certificate and (secret is None or expires_at is not None):
        _refuse("secret_expires_at", sentence("MMS reads from a certificate when it ends: give no date."))
    if expires_at is not None and expires_at <= timezone.now():
        _refuse("secret_expires_at", sentence("That is over already: give the end of a secret that is valid."))
    if is_certificate and secret is not None:
        try:
            read = read_certificate(secret)
        except ValidationError as error:
            raise ValidationError({"password": error.messages}) from None
        connection.certificate_fingerprint, connection.secret_expires_at = read.fingerprint, read.ends_at
    elif secret:
        if "\n" in secret:
            _refuse(
                "password", sentence("A client secret has one line: give its value, or a certificate with its key.")
            )
        if _is_guid(secret):
            _refuse(
                "password", sentence("That is the ID of a client secret: give its value, which Microsoft shows once.")
            )
        connection.certificate_fingerprint, connection.secret_expires_at = "", expires_at


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _is_domain(text: str) -> bool:
    try:
        validate_domain(text.lower())
    except ValidationError:
        return False
    return True
