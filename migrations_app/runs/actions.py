"""What administrators do about runs, and how what was decided becomes a request."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from migrations_app.models import Plan, Run
from migrations_app.monitoring import clock
from migrations_app.runs.queue import RunRequest, lock_users, request_runs, run_now
from migrations_app.runs.starts import decide_starts
from migrations_app.targets import Targets
from migrations_app.triggers.rules import Decision
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched
from tenants_app.changes.locking import lock
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
    plan: Plan | None = None,
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
    return request_decided(
        tenant, [(start.user, start.decision) for start in starts], actor, now_due=now_due, plan=plan
    )


@transaction.atomic
def make_due_now(run: Run, actor: Actor) -> bool:
    """Make a pending run due at once (“Run now”, R19). Returns whether it was still pending."""
    if not run_now(run):
        return False
    entry(run.tenant, actor, "run now", run.user.upn).save()
    return True


@transaction.atomic
def accept_failures(tenant: Tenant, runs: Iterable[Run], note: str, actor: Actor) -> int:
    """Take it that these runs failed, and why that may be, until their users' next run. Returns how many are new.

    Nobody is alarmed by an accepted failure any more. Passed over are runs that are not their user's latest, did not
    fail, or are accepted already.
    """
    found = _locked_failures(tenant, runs).filter(accepted_at=None)
    users = {run.pk: run.user.upn for run in found.select_related("user")}
    _set_accepted(users, at=clock.now(), by=actor.name, note=note)
    record(entry(tenant, actor, "accept failure", upn, after={"note": note}) for upn in users.values())
    return len(users)


@transaction.atomic
def take_back_acceptance(tenant: Tenant, runs: Iterable[Run], actor: Actor) -> int:
    """Let the failures of these runs count again. Returns how many were accepted."""
    found = list(_locked_failures(tenant, runs).exclude(accepted_at=None).select_related("user"))
    _set_accepted([run.pk for run in found], at=None, by="", note="")
    record(
        entry(tenant, actor, "take back accepted failure", run.user.upn, before={"note": run.accepted_note})
        for run in found
    )
    return len(found)


def _locked_failures(tenant: Tenant, runs: Iterable[Run]) -> QuerySet[Run]:
    """Those that are a failure now, and stay so until the transaction ends; read when they are looked at."""
    runs = list(runs)
    lock(tenant)
    for some in batched(sorted(run.user_id for run in runs)):
        lock_users(some)  # nobody requests a run of theirs before this is committed
    return Run.objects.filter(
        pk__in=[run.pk for run in runs], tenant=tenant, is_latest=True, state=Run.State.FAILED
    ).order_by("pk")


def _set_accepted(pks: Iterable[int], *, at: datetime | None, by: str, note: str) -> None:
    for some in batched(pks):
        Run.objects.filter(pk__in=some).update(accepted_at=at, accepted_by=by, accepted_note=note)


def request_decided(
    tenant: Tenant,
    decided: list[tuple[ConferencingUser, Decision]],
    actor: Actor,
    *,
    now_due: bool = False,
    plan: Plan | None = None,
) -> list[Consequence]:
    """Put the runs that were decided on in the queue. Returns what to tell about each user."""
    requests = [
        RunRequest(user, decision.reasons, decision.targets) for user, decision in decided if decision.starts_run
    ]
    request_runs(tenant, requests, actor.name, now_due=now_due, plan=plan)
    return told(decided)


def told(decided: Iterable[tuple[ConferencingUser, Decision]]) -> list[Consequence]:
    """What to tell about each user."""
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
