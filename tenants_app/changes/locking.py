"""What all changes share: the lock on the tenant, and the audit's before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from tenants_app.models import Tenant


def audited_value(value: Any) -> Any:
    """A value as the audit shows it."""
    return value if isinstance(value, bool | int | type(None)) else str(value)


def lock(tenant: Tenant) -> Tenant:
    """Changes of one tenant wait for each other: what invitations should say is computed from all of them."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def wait_for_others(tenant: Tenant) -> None:
    """In a transaction: until it ends nobody else changes the tenant, so what is read from now on stays as it is."""
    lock(tenant)


def apply_values(row: models.Model, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the values that differ on ``row``; the audit's before and after."""
    before, after = {}, {}
    for name, value in values.items():
        old = getattr(row, name)
        if old != value:
            if name == "ca_certificates":  # pages long, and no secret: that they changed is what the audit needs
                before[name], after[name] = "", "changed" if value else "removed"
            else:
                before[name], after[name] = audited_value(old), audited_value(value)
            setattr(row, name, value)
    return before, after
