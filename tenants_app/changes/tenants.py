"""Changes of a tenant's settings and switches, and of who may act in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from tenants_app import directory_keys, fingerprints
from tenants_app.audit import Actor, entry
from tenants_app.catalogue import SHOWN_IN_INVITATIONS
from tenants_app.changes.locking import apply_values, audited_value, lock
from tenants_app.models import MailboxConnection, Role, Tenant
from tenants_app.sentences import sentence
from tenants_app.signals import tenant_changed


@transaction.atomic
def create_tenant(actor: Actor, **values: Any) -> Tenant:
    """A new organization; ``values`` are the fields of :class:`Tenant`."""
    values = _as_shown(values)
    _check(values)
    tenant = Tenant(**values)
    tenant.full_clean()
    tenant.save()
    MailboxConnection.objects.create(tenant=tenant, kind=MailboxConnection.Kind.EMBEDDED, name="embedded")
    entry(tenant, actor, "create tenant", tenant.slug, {}, {k: audited_value(v) for k, v in values.items()}).save()
    return tenant


@transaction.atomic
def change_tenant(tenant: Tenant, actor: Actor, **values: Any) -> Tenant:
    """Change the tenant's settings or switches (R12 to R14)."""
    tenant = lock(tenant)
    before, after = _applied(tenant, values)
    if after:
        tenant.save()
        entry(tenant, actor, "change tenant", tenant.slug, before, after).save()
        if SHOWN_IN_INVITATIONS.intersection(after):
            fingerprints.refresh(tenant.users.all())
        tenant_changed.send(Tenant, tenant=tenant, fields=frozenset(after))
    return tenant


def foresee_tenant(tenant: Tenant, values: Mapping[str, Any]) -> Tenant:
    """The tenant as :func:`change_tenant` would make it, checked and not saved; only reads."""
    tenant = Tenant.objects.get(pk=tenant.pk)
    _applied(tenant, values)
    return tenant


def _applied(tenant: Tenant, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set and check the values on the tenant in memory; the audit's before and after."""
    before, after = apply_values(tenant, _as_shown(values))
    if after:
        _check(after)
        tenant.full_clean()
    return before, after


@transaction.atomic
def renew_directory_key(tenant: Tenant, actor: Actor) -> str:
    """A new key with which telephone bridges ask the dial-in directory by conference ID (R46); the old one ends.

    Only its hash is kept, so that whoever calls this shows it now or never. The audit says who renewed it.
    """
    key = directory_keys.new_key()
    tenant = lock(tenant)
    tenant.directory_key_hash = directory_keys.hash_of(key)
    tenant.save(update_fields=["directory_key_hash"])
    entry(tenant, actor, "renew directory key", tenant.slug).save()
    return key


def _check(values: Mapping[str, Any]) -> None:
    """What is asked of new values only: a meeting URL that was stored with http:// stays valid until it changes."""
    check_meeting_url(values.get("meeting_url", ""))


def check_meeting_url(meeting_url: str) -> None:
    """Raise ``ValidationError`` where no new join link may begin so."""
    if meeting_url.startswith("http://"):
        raise ValidationError({"meeting_url": sentence("A meeting URL begins with https://: give one that does.")})
    if meeting_url.startswith("https://") and not _can_begin_links(meeting_url):
        told = sentence(
            "Join links begin with the meeting URL: give a server and perhaps a path, without user name, ? and #."
        )
        raise ValidationError({"meeting_url": told})


def _can_begin_links(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_server = bool(parts.hostname) and parts.port != 0  # reading the port raises where it is no port
    except ValueError:
        return False
    return has_server and not {"?", "#"}.intersection(url) and "@" not in parts.netloc


def _as_shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as invitations show them, so that a slash or a line break at the end makes nobody out of date."""
    shown = dict(values)
    if "domain" in shown:
        shown["domain"] = shown["domain"].lower()
    if "meeting_url" in shown:
        shown["meeting_url"] = shown["meeting_url"].rstrip("/")
    if "footer_text" in shown:
        text = shown["footer_text"].replace("\r\n", "\n").replace("\r", "\n")
        shown["footer_text"] = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return shown


@transaction.atomic
def grant_role(tenant: Tenant, account: User, name: str, actor: Actor, *, by_groups: bool = False) -> Role:
    """Let ``account`` act in ``tenant``; replaces the role it had there. One given ``by_groups`` ends with them."""
    if name not in Role.Name.values:
        raise ValidationError(sentence("There is no role %(name)r: use viewer, operator or admin.", name=name))
    role = Role.objects.select_for_update().filter(tenant=tenant, account=account).first()
    before = {"role": role.name} if role else {}
    if role is None:
        role = Role(tenant=tenant, account=account)
    role.name, role.by_groups = name, by_groups
    role.save()
    entry(tenant, actor, "grant role", account.get_username(), before, {"role": name}).save()
    return role


@transaction.atomic
def revoke_role(role: Role, actor: Actor) -> None:
    """Take the role away; the account keeps its other tenants."""
    entry(role.tenant, actor, "revoke role", role.account.get_username(), {"role": role.name}).save()
    role.delete()
