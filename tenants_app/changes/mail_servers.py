"""Changes of the way in which a tenant's messages go out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values, lock
from tenants_app.changes.passwords import keep_password
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sentences import Sentence, sentence
from tenants_app.signals import mail_server_changed

_WHERE_IT_GOES = ("host", "port", "security")
"""Of a change of any of these the password is asked for again, since it would go elsewhere, or go unprotected."""


@transaction.atomic
def change_mail_server(
    tenant: Tenant, actor: Actor, *, password: str | None = None, **values: Any
) -> MailServerConnection:
    """Change what is given; ``values`` are fields of :class:`MailServerConnection`.

    Messages that are asleep because of the old way are tried at once. An empty ``host`` is the installation's server,
    and forgets what belonged to the tenant's own.
    """
    tenant = lock(tenant)
    server = MailServerConnection.objects.select_for_update().filter(tenant=tenant).first()
    if server is None:
        server = MailServerConnection(tenant=tenant)
    if "host" in values:
        values["host"] = values["host"].strip().rstrip(".").lower()
        if not values["host"]:
            values |= {name: _default_of(name) for name in _OF_ITS_OWN_SERVER}
    if values.get("username") == "" and server.sealed_password and not password:
        password = ""  # it was for the user who is gone
    before, after = apply_values(server, values)
    if password is not None:
        after["password"] = "changed" if password else "removed"
    if not after:
        return server
    if server.sealed_password and password is None and any(name in before for name in _WHERE_IT_GOES):
        raise ValidationError(
            {
                "host": sentence(
                    "Enter the password too: it is not sent elsewhere, or in another way, than it was given for."
                )
            }
        )
    has_password = bool(password) if password is not None else bool(server.sealed_password)
    _check(server, has_password=has_password, password=password or "")
    server.full_clean()
    server.save()
    if password is not None:
        keep_password(server, password)
        server.save(update_fields=["sealed_password"])
    entry(tenant, actor, "change mail server", tenant.slug, before, after).save()
    mail_server_changed.send(Tenant, tenant=tenant)
    return server


_OF_ITS_OWN_SERVER = (
    "port",
    "security",
    "username",
    "ca_certificates",
    "messages_per_minute",
    "per_domain_per_minute",
)


def _default_of(name: str) -> Any:
    return getattr(MailServerConnection(), name)


def _check(server: MailServerConnection, *, has_password: bool, password: str) -> None:
    problems = _problems(server, has_password=has_password, password=password)
    if problems:
        raise ValidationError(dict(problems))


def _problems(server: MailServerConnection, *, has_password: bool, password: str) -> list[tuple[str, Sentence]]:
    found = []
    if not server.is_own:
        if any(getattr(server, name) != _default_of(name) for name in _OF_ITS_OWN_SERVER) or has_password:
            found.append(
                ("host", sentence("Name the server that this is about: the installation's is set by its operator."))
            )
        if server.sender and not _is_within(server.sender, server.tenant.domain):
            found.append(
                (
                    "sender",
                    sentence(
                        "With the installation's server the address is one of %(domain)s: choose one.",
                        domain=server.tenant.domain,
                    ),
                )
            )
        return found
    if bool(server.username) != has_password:
        found.append(("username", sentence("Signing in takes both a user name and a password: give both, or neither.")))
    if not (server.username.isascii() and password.isascii()):
        found.append(
            ("username", sentence("Not every mail server takes more than ASCII here: choose such a name and password."))
        )
    if server.security == server.Security.NONE and server.host not in _allowed_hosts():
        found.append(
            (
                "security",
                sentence("Without TLS only a host may be used that the operator names in MMS_ALLOWED_MAIL_HOSTS."),
            )
        )
    return found


def _is_within(address: str, domain: str) -> bool:
    host = address.rpartition("@")[2].lower()
    return host == domain or host.endswith(f".{domain}")


def _allowed_hosts() -> set[str]:
    return {name.strip().rstrip(".").lower() for name in settings.MMS_ALLOWED_MAIL_HOSTS}
