"""A start that is planned."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from migrations_app.models import BulkAction, Plan
from tenants_app.models import ConferencingUser


def plan_for(user: ConferencingUser, **values: Any) -> Plan:
    """A start of the user's run that is planned for tomorrow, and has not begun."""
    tomorrow = timezone.now() + timedelta(days=1)
    plan = Plan.objects.create(
        **{"tenant": user.tenant, "not_before": tomorrow, "opens_at": tomorrow, "requested_by": "alice", **values}
    )
    action = BulkAction.objects.create(tenant=user.tenant, kind="start", channel="screen", user_count=1, plan=plan)
    action.users.create(user=user, upn=user.upn)
    return plan
