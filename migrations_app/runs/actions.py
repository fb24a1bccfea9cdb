"""What administrators do about runs, and how what was decided becomes a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from migrations_app.models import Run
from migrations_app.runs.queue import RunRequest, request_runs, run_now
from migrations_app.triggers.rules import Decision, decide_start_by_hand
from migrations_app.triggers.switches import Switches
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import Consequence
from tenants_app.user_settings import UserSettings


@transaction.atomic
def start_by_hand(
    tenant: Tenant, users: Iterable[ConferencingUser], actor: Actor, *, now_due: bool = False
) -> list[Consequence]:
    """Start runs for the users (R11), or say for each why not. ``user.bridge`` should be loaded already."""
    tenant = Tenant.objects.get(pk=tenant.pk)
    switches = Switches.of(tenant)
    decided = [(user, decide_start_by_hand(UserSettings.of(user, ""), switches, actor.name)) for user in users]
    starting = [(user, decision) for user, decision in decided if decision.starts_run]
    failed = _failed([user.pk for user, _ in starting])
    record(
        entry(
            tenant,
            actor,
            "retry migration" if user.pk in failed else "start migration",
            user.upn,
            consequence=decision.sentence,
        )
        for user, decision in starting
    )
    return request_decided(tenant, decided, actor, now_due=now_due)


def _failed(pks: Sequence[int]) -> set[int]:
    """The users whose latest run failed: to start another run is then to try again."""
    found: set[int] = set()
    for some in batched(pks):
        latest = Run.objects.filter(user__in=some, is_latest=True, state=Run.State.FAILED)
        found.update(latest.values_list("user_id", flat=True))
    return found


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
        RunRequest(user, decision.migration_type, decision.reasons) for user, decision in decided if decision.starts_run
    ]
    request_runs(tenant, requests, actor.name, now_due=now_due)
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
