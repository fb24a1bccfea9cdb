"""What administrators do about runs, and how what was decided becomes a request."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from migrations_app.models import Run
from migrations_app.runs.queue import RunRequest, lock_users, request_runs, run_now
from migrations_app.runs.starts import decide_starts
from migrations_app.targets import Targets
from migrations_app.triggers.rules import Decision
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import Consequence


@transaction.atomic
def start_by_hand(
    tenant: Tenant,
    users: Iterable[ConferencingUser],
    actor: Actor,
    *,
    targets: Targets | None = None,
    now_due: bool = False,
) -> list[Consequence]:
    """Start runs for the users (R11), or say for each why not. ``user.bridge`` should be loaded already.

    Without ``targets`` all meetings stay in their service (R40); but where the user's latest run failed, to start
    another one is to try again, so it moves to a service what that one was to move.
    """
    tenant = Tenant.objects.get(pk=tenant.pk)
    users = list(users)
    for some in batched(sorted(user.pk for user in users)):
        lock_users(some)  # nobody requests or joins a run of theirs before this is committed
    starts = decide_starts(tenant, users, actor, targets)
    record(
        entry(
            tenant,
            actor,
            "retry migration" if start.is_retry else "start migration",
            start.user.upn,
            consequence=start.decision.sentence,
        )
        for start in starts
        if start.decision.starts_run
    )
    return request_decided(tenant, [(start.user, start.decision) for start in starts], actor, now_due=now_due)


@transaction.atomic
def make_due_now(run: Run, actor: Actor) -> bool:
    """Make a pending run due at once (“Run now”, R19). Returns whether it was still pending."""
    if not run_now(run):
        return False
    entry(run.tenant, actor, "run now", run.user.upn).save()
    return True


def request_decided(
    tenant: Tenant, decided: list[tuple[ConferencingUser, Decision]], actor: Actor, *, now_due: bool = False
) -> list[Consequence]:
    """Put the runs that were decided on in the queue. Returns what to tell about each user."""
    requests = [
        RunRequest(user, decision.reasons, decision.targets) for user, decision in decided if decision.starts_run
    ]
    request_runs(tenant, requests, actor.name, now_due=now_due)
    return told(decided)


def told(decided: Iterable[tuple[ConferencingUser, Decision]]) -> list[Consequence]:
    """What to tell about each user."""
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
