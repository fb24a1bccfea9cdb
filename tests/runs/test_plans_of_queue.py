"""The statements of the queue go by indexes, however many runs there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from migrations_app.mail import outbox
from migrations_app.models import Plan, Run
from migrations_app.monitoring import health
from migrations_app.runs import queue
from tenants_app.models import Tenant
from tests.support.many_runs import fill_history, fill_pending
from tests.support.plans import explained

RUNS, UPDATES = "migrations_app_run", "migrations_app_update"


def scanned(plan: str) -> list[str]:
    """Tables of runs and messages that the plan reads from end to end."""
    names = {RUNS, UPDATES}
    if connection.vendor == "postgresql":
        return [name for name in re.findall(r"Seq Scan on (\w+)", plan) if name in names]
    # What bears an index's name is read by it, or is an index of the few rows that its condition leaves.
    return re.findall(r"^SCAN (?:migrations_app_run|migrations_app_update|[UV]\d+)$", plan, re.MULTILINE)


def sorted_runs(plan: str) -> bool:
    """Whether runs or messages are put in order, rather than read in it."""
    if connection.vendor == "postgresql":
        return re.search(r"Sort Key: migrations_app_(?:run|update)\.", plan) is not None
    # What was found by its keys is some few rows, which may be sorted; tenants are.
    found_by_keys = "PRIMARY KEY" in plan or "sqlite_autoindex" in plan or "tenants_app_tenant" in plan
    return "USE TEMP B-TREE FOR ORDER BY" in plan and not found_by_keys


WORKS: dict[str, Callable[[], object]] = {
    "claim": queue.claim,
    "is_due": queue.is_due,
    "sweep": queue.sweep,
    "claim of messages": outbox.claim,
    "sweep of messages": outbox.sweep,
    "workers": health.workers,
    "clocks": health.clocks,
}


def test_no_statement_of_the_queue_reads_all_runs_of_a_long_history_or_sorts_them(db: None) -> None:
    fill_history(4000, 3)
    for what, work in WORKS.items():
        for plan in explained(work, RUNS, UPDATES):
            assert not scanned(plan), f"{what}:\n{plan}"
            assert not sorted_runs(plan), f"{what}:\n{plan}"


def test_a_claim_reads_the_first_run_of_many_that_are_all_due(db: None) -> None:
    fill_pending(4000, 3)
    plans = explained(queue.claim, RUNS)
    assert any("waiting_runs" in plan for plan in plans)
    for plan in plans:
        assert not scanned(plan), plan
        assert not sorted_runs(plan), plan


@pytest.mark.parametrize("reason", ["off", "closed"])
def test_runs_that_may_not_begin_are_not_looked_at(db: None, reason: str) -> None:
    """A tenant that is switched off, and a plan that is closed, cost what none would."""
    fill_pending(4000, 1)
    tenant = Tenant.objects.get(slug="many-0")
    if reason == "off":
        Tenant.objects.update(meeting_migration_enabled=False)
    else:
        opens = timezone.now() + timedelta(days=1)
        plan = Plan.objects.create(tenant=tenant, not_before=opens, opens_at=opens, requested_by="test")
        Run.objects.filter(state=Run.State.PENDING).update(plan=plan)
    asked = explained(queue.is_due, RUNS)
    assert not queue.is_due()
    assert len(asked) == 2  # for the lanes of plans, and for those of tenants: none of them is looked into
