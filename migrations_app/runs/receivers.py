"""What happens when ``tenants_app`` announces a change: runs are requested, and waiting ones go on."""

from __future__ import annotations

from typing import Any

from migrations_app.models import Plan
from migrations_app.runs import plans
from migrations_app.runs.actions import request_decided, told
from migrations_app.runs.queue import wake_cluster
from migrations_app.runs.starts import decide_changes
from tenants_app.audit import Actor
from tenants_app.models import Tenant
from tenants_app.signals import Consequence, UserChange


def on_users_changed(
    sender: object,
    *,
    tenant: Tenant,
    changes: list[UserChange],
    actor: Actor,
    due_now: bool,
    part_of: object = None,
    **_: Any,
) -> list[Consequence]:
    """Decide for each changed user, and request the runs in the transaction of the change."""
    plan = part_of if isinstance(part_of, Plan) else None
    return request_decided(tenant, decide_changes(tenant, changes), actor, now_due=due_now, plan=plan)


def on_change_foreseen(sender: object, *, tenant: Tenant, changes: list[UserChange], **_: Any) -> list[Consequence]:
    """The same for a change that is not made; only reads."""
    return told(decide_changes(tenant, changes))


def on_tenant_changed(sender: object, *, tenant: Tenant, fields: frozenset[str], **_: Any) -> None:
    """Runs that waited while the service was off go on at once (R12), and daily windows follow the time zone."""
    if "time_zone" in fields:
        plans.roll(tenant)
    if "meeting_migration_enabled" in fields and tenant.meeting_migration_enabled:
        wake_cluster()
