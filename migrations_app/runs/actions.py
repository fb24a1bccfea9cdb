"""What administrators do about runs, and how what was decided becomes a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    switches = Switches.of(tenant)
    users = list(users)
    latest = _latest(sorted(user.pk for user in users))
    decided = []
    for user in users:
        user.tenant = tenant
        service = service_of(user)
        failed, pending = (_targets(latest.get(user.pk), state) for state in (Run.State.FAILED, Run.State.PENDING))
        wanted = targets or (ALL_CURRENT.joined(failed) if failed.services <= {service} else ALL_CURRENT)
        settings = UserSettings.of(user, "")
        decided.append((user, decide_start_by_hand(settings, switches, actor.name, wanted, service, pending)))
    starting = [(user, decision) for user, decision in decided if decision.starts_run]
    retried = {pk for pk, run in latest.items() if run.state == Run.State.FAILED}
    record(
        entry(
            tenant,
            actor,
            "retry migration" if user.pk in retried else "start migration",
            user.upn,
            consequence=decision.sentence,
        )
        for user, decision in starting
    )
    return request_decided(tenant, decided, actor, now_due=now_due)


def _latest(pks: Sequence[int]) -> Mapping[int, Run]:
    """The users' latest runs, by user. Whoever requests another one, or joins one, waits until the transaction ends."""
    found: dict[int, Run] = {}
    for some in batched(pks):
        lock_users(some)
        runs = Run.objects.filter(user__in=some, is_latest=True).only("user_id", "state", "targets")
        found |= {run.user_id: run for run in runs}
    return found


def _targets(run: Run | None, state: Run.State) -> Targets:
    """Those of a run that is in this state, else those that add nothing."""
    return Targets.of(run.targets) if run is not None and run.state == state else ALL_CURRENT


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
