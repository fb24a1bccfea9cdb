"""What administrators do about runs, and how what was decided becomes a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import transaction

from migrations_app.meeting_services.of_user import service_of
from migrations_app.models import Run
from migrations_app.runs.queue import RunRequest, lock_users, request_runs, run_now
from migrations_app.targets import ALL_CURRENT, Targets
from migrations_app.triggers.rules import Decision, decide_start_by_hand
from migrations_app.triggers.switches import Switches
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import Consequence
from tenants_app.user_settings import UserSettings


class Start(NamedTuple):
    """What starting a run for a user by hand leads to."""

    user: ConferencingUser
    decision: Decision
    targets: Targets
    """Of the run, with those of the pending one that it joins."""
    is_retry: bool
    """Whether the user's latest run failed."""


def decide_starts(
    tenant: Tenant, users: Sequence[ConferencingUser], actor: Actor, targets: Targets | None = None
) -> list[Start]:
    """What starting runs for the users would lead to now; see :func:`start_by_hand`. Only reads."""
    switches = Switches.of(tenant)
    latest = _latest([user.pk for user in users])
    starts = []
    for user in users:
        user.tenant = tenant  # read once for all of them
        service = service_of(user)
        failed, pending = (_targets(latest.get(user.pk), state) for state in (Run.State.FAILED, Run.State.PENDING))
        wanted = targets or (ALL_CURRENT.joined(failed) if failed.services <= {service} else ALL_CURRENT)
        decision = decide_start_by_hand(UserSettings.of(user, ""), switches, actor.name, wanted, service, pending)
        starts.append(Start(user, decision, pending.joined(wanted), is_retry=bool(failed.pairs)))
    return starts


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


def _latest(pks: Sequence[int]) -> Mapping[int, Run]:
    """The users' latest runs, by user."""
    found: dict[int, Run] = {}
    for some in batched(pks):
        runs = Run.objects.filter(user__in=some, is_latest=True).only("user_id", "state", "targets")
        found |= {run.user_id: run for run in runs}
    return found


def _targets(run: Run | None, state: Run.State) -> Targets:
    """Those of a run that is in this state; else none at all."""
    return Targets.of(run.targets if run is not None and run.state == state else {})


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
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
