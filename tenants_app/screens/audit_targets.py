"""What entries of the audit are about, as far as it is still there: the addresses of its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model
from django.db.models.functions import Lower

from tenants_app.models import AuditEntry, ConferencingUser, Tenant


def addresses_of(tenant: Tenant, entries: Iterable[AuditEntry]) -> Mapping[int, str]:
    """By the key of an entry the page of the user, bridge, number or connection that it is about.

    At most four questions to the database. What has another name by now, or is gone, has no page here.
    """
    wanted: dict[str, dict[str, list[int]]] = {}
    for entry in entries:
        wanted.setdefault(_kind(entry), {}).setdefault(entry.target.lower(), []).append(entry.pk)
    rows: dict[str, Any] = {
        "user": lambda names: ConferencingUser.objects.with_upns(tenant, names),
        "number": lambda names: tenant.service_numbers.filter(number__in=names),
        "bridge": lambda names: tenant.bridges.alias(folded=Lower("name")).filter(folded__in=names),
        "connection": lambda names: tenant.mailbox_connections.alias(folded=Lower("name")).filter(folded__in=names),
    }
    return {
        pk: _address(row, tenant)
        for kind, names in wanted.items()
        if kind in rows
        for row in rows[kind](list(names))
        for pk in names.get(str(row).lower(), [])
    }


def _kind(entry: AuditEntry) -> str:
    if entry.action.endswith("mailbox connection"):
        return "connection"
    if entry.action.endswith("bridge"):
        return "bridge"
    if entry.target.startswith("+"):
        return "number"
    return "user" if "@" in entry.target else ""


def _address(row: Model, tenant: Tenant) -> str:
    row.tenant = tenant  # type: ignore[attr-defined]
    address: str = row.get_absolute_url()  # type: ignore[attr-defined]
    return address
