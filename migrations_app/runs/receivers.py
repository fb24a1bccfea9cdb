"""What happens when ``tenants_app`` announces a change: runs are requested, and waiting ones go on."""

from __future__ import annotations

from typing import Any

from migrations_app.meeting_services.of_user import service_of
from migrations_app.runs.actions import request_decided
from migrations_app.runs.queue import wake_cluster
from migrations_app.triggers.rules import decide
from migrations_app.triggers.switches import Switches
from tenants_app.audit import Actor
from tenants_app.models import Tenant
from tenants_app.signals import Consequence, UserChange


def on_users_changed(
    sender: object, *, tenant: Tenant, changes: list[UserChange], actor: Actor, due_now: bool, **_: Any
) -> list[Consequence]:
    """Decide for each changed user, and request the runs in the transaction of the change."""
    switches = Switches.of(tenant)
    for change in changes:
        change.user.tenant = tenant  # the row that the change has locked, read once for all of them
    decided = [(change.user, decide(change, switches, service_of(change.user))) for change in changes]
    return request_decided(tenant, decided, actor, now_due=due_now)


def on_tenant_changed(sender: object, *, tenant: Tenant, fields: frozenset[str], **_: Any) -> None:
    """Runs that waited while the service was off go on at once (R12)."""
    if "meeting_migration_enabled" in fields and tenant.meeting_migration_enabled:
        wake_cluster()
