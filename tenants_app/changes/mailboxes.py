"""Changes of mailbox connections, and of the passwords with which MMS signs in to mailboxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.changes.locking import apply_values, audited_value, lock
from tenants_app.changes.mailbox_kinds import check_kind, note_secret
from tenants_app.changes.passwords import keep_password
from tenants_app.models import ConferencingUser, MailboxConnection, MailboxCredential, Sealed, Tenant
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.signals import mailboxes_changed
from tenants_app.wording import counted

EMBEDDED = "embedded"
"""The name of the mailboxes that MMS keeps itself."""
TENANTS_OWN = "tenant"
"""As the mailbox of a user, in commands and files: wherever the tenant's are."""
_OF_MICROSOFT = ("cloud", "directory_id", "secret_expires_at", "certificate_fingerprint")
_RESERVED = frozenset({EMBEDDED, TENANTS_OWN, "none"})


def read_mailbox(tenant: Tenant, name: str) -> MailboxConnection | None:
    """The connection of that name, as a user's; None for ``tenant``. ``ValueError`` with a sentence where none is."""
    word = name.strip().lower()
    if word == TENANTS_OWN:
        return None
    found = MailboxConnection.objects.filter(tenant=tenant, name__iexact=word).first()
    if found is None:
        raise ValueError(
            sentence(
                "%(tenant)s has no mailbox connection %(connection)s: add it first, or write embedded or tenant.",
                tenant=tenant.name,
                connection=name.strip(),
            )
        )
    return found


@transaction.atomic
def create_connection(
    tenant: Tenant, actor: Actor, name: str, *, password: str = "", make_default: bool = False, **values: Any
) -> MailboxConnection:
    """A new connection; ``values`` are fields of :class:`MailboxConnection`. With a password goes a user name."""
    tenant = lock(tenant)
    if name.strip().lower() in _RESERVED:
        raise ValidationError(
            {"name": sentence("%(name)s has a meaning of its own: choose another name.", name=name.strip())}
        )
    connection = MailboxConnection(tenant=tenant, name=name.strip(), **values)
    check_kind(connection, has_password=bool(password))
    note_secret(connection, password or None, connection.secret_expires_at)
    connection.full_clean()
    connection.save()
    if password:
        keep_password(connection, password)
        connection.save(update_fields=["sealed_password"])
    shown = (
        ("address", "username", "kind", *_OF_MICROSOFT) if connection.directory_id else ("address", "username", "kind")
    )
    after = {name: audited_value(getattr(connection, name)) for name in shown}
    entry(tenant, actor, "create mailbox connection", connection.name, {}, after).save()
    if make_default:
        _make_default(tenant, connection, actor)
    _tell(tenant)
    return connection


@transaction.atomic
def change_connection(
    connection: MailboxConnection,
    actor: Actor,
    *,
    password: str | None = None,
    make_default: bool = False,
    **values: Any,
) -> MailboxConnection:
    """Change what is given. A new password, user name or address takes up again what was paused."""
    tenant = lock(connection.tenant)
    connection = MailboxConnection.objects.select_for_update(no_key=True).get(pk=connection.pk)
    if not connection.is_outside:
        raise ValidationError(sentence("MMS keeps these mailboxes itself: there is nothing to set."))
    server, certificate = connection.server, connection.certificate_fingerprint
    before, after = apply_values(connection, values)
    if password is not None or "secret_expires_at" in after:
        note_secret(connection, password, connection.secret_expires_at if "secret_expires_at" in after else None)
    if connection.certificate_fingerprint != certificate:
        before["certificate"], after["certificate"] = certificate, connection.certificate_fingerprint
    if password is not None:
        keep_password(connection, password)
        after["password"] = "changed" if password else "removed"
    if after:
        if connection.server != server and connection.sealed_password and password is None:
            if connection.kind == MailboxConnection.Kind.GRAPH:
                told = sentence(
                    "Enter the certificate or client secret too: the stored one was given for another directory."
                )
                raise ValidationError({"directory_id": told})
            raise ValidationError(
                {
                    "address": sentence(
                        "Enter the password too: it is not sent to another server than the one it was given for."
                    )
                }
            )
        check_kind(connection, has_password=bool(connection.sealed_password))
        connection.full_clean()
        _resume(connection)
        # What was found of it as it was says nothing of it as it is.
        connection.findings, connection.tested_at, connection.tested_on = [], None, ""
        connection.save()
        entry(tenant, actor, "change mailbox connection", connection.name, before, after).save()
    if make_default:
        _make_default(tenant, connection, actor)
    _tell(tenant, moved=connection if connection.server != server else None)
    return connection


@transaction.atomic
def use_embedded_by_default(tenant: Tenant, actor: Actor) -> None:
    """Let MMS keep the mailboxes of users who have no connection of their own."""
    tenant = lock(tenant)
    _make_default(tenant, None, actor)
    _tell(tenant)


@transaction.atomic
def remove_connection(connection: MailboxConnection, actor: Actor) -> None:
    """Remove a connection that no user has, that is not the tenant's default, and by which Teams is not reached."""
    tenant = lock(connection.tenant)
    check_can_be_removed(connection, tenant)
    entry(tenant, actor, "remove mailbox connection", connection.name, {"address": connection.address}, {}).save()
    connection.delete()
    _tell(tenant)


def check_can_be_removed(connection: MailboxConnection, tenant: Tenant) -> None:
    """Raise ``ValidationError`` with the reason where it cannot; only reads."""
    users = connection.users.count()
    is_of_teams = tenant.teams_connection_id == connection.pk
    if not connection.is_outside or tenant.mailbox_id == connection.pk or users or is_of_teams:
        name = connection.name
        if not connection.is_outside:
            raise ValidationError(
                sentence("%(connection)s cannot be removed, because MMS keeps these mailboxes itself.", connection=name)
            )
        if tenant.mailbox_id == connection.pk:
            raise ValidationError(
                sentence("%(connection)s cannot be removed, because it is the default.", connection=name)
            )
        if users:
            raise ValidationError(
                sentence_plural(
                    "%(connection)s cannot be removed, because %(n)s user has it.",
                    "%(connection)s cannot be removed, because %(n)s users have it.",
                    users,
                    connection=name,
                )
            )
        raise ValidationError(
            sentence("%(connection)s cannot be removed, because Teams is reached by it.", connection=name)
        )


@transaction.atomic
def set_credentials(connection: MailboxConnection, rows: Iterable[tuple[str, str, str]], actor: Actor) -> int:
    """Keep users' own sign-ins for the connection's server: pairs of UPN, user name and password. All of them or,
    where one is bad, none.

    Returns how many there are. An empty password removes the sign-in.
    """
    tenant = lock(connection.tenant)
    connection.refresh_from_db(fields=["address"])
    if connection.kind != MailboxConnection.Kind.CALDAV:
        raise ValidationError(
            sentence(
                "%(connection)s signs in once for all its users: they have no sign-ins of their own.",
                connection=connection.name,
            )
        )
    count = 0
    for some in batched(list(rows)):
        users = {
            user.upn.lower(): user for user in ConferencingUser.objects.with_upns(tenant, [upn for upn, _, _ in some])
        }
        unknown = next((upn for upn, _, _ in some if upn.lower() not in users), None)
        if unknown is not None:
            raise ValidationError(
                sentence(
                    "%(tenant)s has no user %(unknown)s: correct the name, or add the user first.",
                    tenant=tenant.name,
                    unknown=unknown,
                )
            )
        for upn, username, password in some:
            user = users[upn.lower()]
            if password:
                credential = MailboxCredential.objects.filter(user=user).first() or MailboxCredential(user=user)
                credential.username, credential.server = username or user.upn, connection.server
                credential.full_clean()
                credential.save()
                keep_password(credential, password)
                credential.save(update_fields=["sealed_password"])
            else:
                MailboxCredential.objects.filter(user=user).delete()
            count += 1
    told = {"sign-ins": counted(count, "user")}
    entry(tenant, actor, "change mailbox sign-ins", tenant.slug, {}, told).save()
    _tell(tenant)
    return count


def rotate_secrets() -> tuple[int, list[str]]:
    """Close every stored password with the newest key. Returns how many, and which no key opens; repeatable.

    Each row is a transaction of its own, so that one that nobody can open does not keep the others. Raises
    ``NoSecretsKey``.
    """
    if not settings.MMS_SECRETS_KEYS:
        raise NoSecretsKey
    count, unopenable = 0, []
    for model, pk in _sealed_rows():
        with transaction.atomic():
            row = model.objects.select_for_update().filter(pk=pk).first()
            if row is None or not row.sealed_password:
                continue
            try:
                row.seal_password(row.password)
            except UnopenableSecret:
                unopenable.append(f"{model._meta.verbose_name} {row}")
                continue
            row.save(update_fields=["sealed_password"])
            count += 1
    return count, unopenable


def require_secrets_key() -> None:
    """Stop the start of a service that has passwords stored, and no key to open them with."""
    if settings.MMS_SECRETS_KEYS:
        return
    try:
        has_any = any(True for _ in _sealed_rows())
    except DatabaseError:
        return  # not there yet, or not prepared for this version: what needs it says so
    if has_any:
        raise SystemExit(
            sentence(
                "MMS cannot start: MMS_SECRETS_KEY is not set, but passwords are stored that only it opens: "
                "set it, or remove the mailbox connections that have them."
            )
        )


def _sealed_rows() -> Iterator[tuple[type[Any], int]]:
    for model in Sealed.__subclasses__():
        rows = model._default_manager.exclude(sealed_password="").order_by("pk")
        for pk in rows.values_list("pk", flat=True).iterator():
            yield model, pk


def _resume(connection: MailboxConnection) -> None:
    connection.paused_until = connection.problem_since = None
    connection.problem_code = connection.problem_detail = connection.found_at = ""


def _make_default(tenant: Tenant, connection: MailboxConnection | None, actor: Actor) -> None:
    if tenant.mailbox == connection:
        return
    before = {"default mailbox": audited_value(tenant.mailbox or EMBEDDED)}
    tenant.mailbox = connection
    tenant.save(update_fields=["mailbox"])
    # What the invitations of other mailboxes say is not known before runs have looked at them (R36).
    tenant.users.filter(mailbox=None).update(invitations_fingerprint="")
    after = {"default mailbox": audited_value(connection or EMBEDDED)}
    entry(tenant, actor, "change default mailbox", tenant.slug, before, after).save()


def _tell(tenant: Tenant, moved: MailboxConnection | None = None) -> None:
    mailboxes_changed.send(Tenant, tenant=tenant, moved=moved)
