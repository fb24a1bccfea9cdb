"""Where due runs wait: in lanes, so that the next one is found by an index, however many wait beside it.

The runs of one tenant that wait for no plan are a lane, and so are those of each plan. A lane whose tenant is switched
off, whose plan is not open, or whose mail system is left alone is passed over as a whole, and none of its runs is read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, F, OuterRef, QuerySet, Subquery, When

from migrations_app.mailboxes import throttling
from migrations_app.models import Plan, Run, is_open
from migrations_app.monitoring import clock
from migrations_app.targets import UNDO
from tenants_app.models import MailboxConnection, Tenant


@dataclass(frozen=True, slots=True)
class Lane:
    """Runs of one tenant (key), and of one plan or of none."""

    tenant: int
    first: datetime
    """When the first of them was due."""
    runs: QuerySet[Run] = field(compare=False)
    """Those that may be claimed, the first one first."""


def in_turn() -> list[Lane]:
    """The lanes in which a run is due: first those of the tenant whose last claim was longest ago (R12)."""
    now = clock.now()
    due = Run.objects.filter(state=Run.State.PENDING, due_at__lte=now).order_by("due_at", "pk")
    unavailable = throttling.unavailable_connections()
    of_plans: dict[int, list[Lane]] = {}
    plans = Plan.objects.filter(is_open(now), tenant__meeting_migration_enabled=True).annotate(
        first=Subquery(due.filter(plan=OuterRef("pk")).values("due_at")[:1])
    )
    for plan, tenant, mailbox, first in plans.values_list("pk", "tenant", "tenant__mailbox", "first"):
        runs = _reachable(due.filter(plan=plan), tenant, mailbox, unavailable) if first else None
        if runs is not None:
            of_plans.setdefault(tenant, []).append(Lane(tenant, first, runs))
    lanes: list[Lane] = []
    tenants = _tenants(due).order_by(F("turn__at").asc(nulls_first=True), "pk")
    for tenant, is_on, mailbox, first in tenants.values_list("pk", "meeting_migration_enabled", "mailbox", "first"):
        own = of_plans.get(tenant, [])
        if first:
            waiting = due.filter(tenant=tenant, plan=None)
            runs = _reachable(waiting if is_on else waiting.filter(migration_type=UNDO), tenant, mailbox, unavailable)
            own += [Lane(tenant, first, runs)] if runs is not None else []
        lanes += sorted(own, key=lambda lane: lane.first)
    return lanes


def _tenants(due: QuerySet[Run]) -> QuerySet[Any]:
    """All tenants with the moment since which a run of theirs is due; of those switched off, an undo (R12)."""
    waiting = due.filter(tenant=OuterRef("pk"), plan=None).values("due_at")
    first = Case(
        When(meeting_migration_enabled=True, then=Subquery(waiting[:1])),
        default=Subquery(waiting.filter(migration_type=UNDO)[:1]),
    )
    return Tenant.objects.annotate(first=first)


def _reachable(
    runs: QuerySet[Run], tenant: int, mailbox: int | None, unavailable: Collection[int]
) -> QuerySet[Run] | None:
    """Those of users whose earlier run is not still going on, and whose mail system is not left alone; None where it
    is that of all users of the tenant."""
    busy = Run.objects.filter(user=OuterRef("user"), state=Run.State.IN_PROGRESS)
    runs = runs.filter(~Exists(busy))
    if not unavailable:
        return runs
    theirs = list(MailboxConnection.objects.filter(tenant=tenant).values_list("pk", flat=True))
    if mailbox in unavailable:
        others = [pk for pk in theirs if pk not in unavailable]
        return runs.filter(user__mailbox__in=others) if others else None
    left_alone = [pk for pk in theirs if pk in unavailable]
    return runs.exclude(user__mailbox__in=left_alone) if left_alone else runs
