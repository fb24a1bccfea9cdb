"""How far the migrations are: users by the state of their latest run (R29), meetings, messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count, Q, Sum
from django.utils import timezone

from migrations_app.models import LeftMeeting, Run, Update
from tenants_app.models import Tenant
from tenants_app.signals import Standing


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts at one moment. ``users`` has all four states, in the order of the specification."""

    users: dict[str, int]
    meetings_done: int
    meetings_total: int
    messages_waiting: int
    messages_sent: int
    messages_failed: int

    @property
    def is_idle(self) -> bool:
        """Nothing is pending, in progress or waiting to be sent."""
        return not (self.users["Pending"] or self.users["InProgress"] or self.messages_waiting)


def users_by_state(tenant: Tenant | None = None) -> dict[str, int]:
    """Users by the state of their latest run (R29), of one tenant or of all."""
    runs = Run.objects.filter(is_latest=True)
    if tenant is not None:
        runs = runs.filter(tenant=tenant)
    found = dict(runs.order_by().values_list("state").annotate(users=Count("*")))  # an index has all that this asks for
    return {state: found.get(state, 0) for state in Run.State.values}


def count_accepted(tenant: Tenant | None = None) -> int:
    """Users whose latest run failed, which somebody has accepted; of one tenant or of all, by an index of these."""
    runs = Run.objects.filter(is_latest=True, state=Run.State.FAILED, accepted_at__isnull=False)
    return (runs if tenant is None else runs.filter(tenant=tenant)).count()


def standings(tenants: Collection[Tenant]) -> dict[int, Standing]:
    """How each of the tenants stands, by its key; three statements for all of them, by indexes of what they count."""
    latest = Run.objects.filter(is_latest=True, tenant__in=tenants).order_by()
    users = {
        (tenant, state): count
        for tenant, state, count in latest.exclude(state=Run.State.SUCCEEDED)
        .values_list("tenant", "state")
        .annotate(rows=Count("*"))
    }
    accepted = latest.filter(state=Run.State.FAILED, accepted_at__isnull=False)
    forgiven = dict(accepted.values_list("tenant").annotate(rows=Count("*")))
    to_come = LeftMeeting.objects.filter(tenant__in=tenants, state=LeftMeeting.State.OPEN, last_end__gt=timezone.now())
    left = dict(to_come.order_by().values_list("tenant").annotate(rows=Count("*")))
    return {
        pk: Standing(
            failed=max(users.get((pk, Run.State.FAILED), 0) - forgiven.get(pk, 0), 0),
            waiting=users.get((pk, Run.State.PENDING), 0) + users.get((pk, Run.State.IN_PROGRESS), 0),
            left=left.get(pk, 0),
        )
        for pk in (tenant.pk for tenant in tenants)
    }


def progress() -> Progress:
    """How far the latest runs of all tenants are."""
    sums = Run.objects.filter(is_latest=True).aggregate(
        done=Sum("succeeded_meetings") + Sum("skipped_meetings") + Sum("failed_meetings"), total=Sum("total_meetings")
    )
    messages = Update.objects.aggregate(
        waiting=Count("pk", filter=Q(state=Update.State.QUEUED)),
        sent=Count("pk", filter=Q(state=Update.State.SENT)),
        failed=Count("pk", filter=Q(state=Update.State.FAILED)),
    )
    return Progress(
        users_by_state(),
        sums["done"] or 0,
        sums["total"] or 0,
        messages["waiting"],
        messages["sent"],
        messages["failed"],
    )
