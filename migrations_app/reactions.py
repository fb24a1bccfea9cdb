"""What this app does when ``tenants_app`` announces a change, and when an administrator starts runs by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from migrations_app.models import Run
from migrations_app.queue import BULK, RunRequest, request_runs, run_now, wake_cluster
from migrations_app.triggers.rules import Decision, decide, decide_start_by_hand
from migrations_app.triggers.switches import switches_of
from migrations_app.updates.delivery import send_again
from tenants_app.announcements import Consequence, UserChange, UserSettings
from tenants_app.audit import Actor, entry, record
from tenants_app.models import ConferencingUser, Tenant


def on_users_changed(
    sender: object, *, tenant: Tenant, changes: list[UserChange], actor: Actor, due_now: bool, **_: Any
) -> list[Consequence]:
    """Decide for each changed user, and request the runs in the transaction of the change."""
    switches = switches_of(tenant)
    decided = [(change.user, decide(change, switches)) for change in changes]
    return _request(tenant, decided, actor, now_due=due_now)


def on_tenant_changed(sender: object, *, tenant: Tenant, fields: frozenset[str], **_: Any) -> None:
    """Runs that waited while the service was off go on at once (R12)."""
    if "meeting_migration_enabled" in fields and tenant.meeting_migration_enabled:
        wake_cluster()


@transaction.atomic
def start_by_hand(
    tenant: Tenant, users: Iterable[ConferencingUser], actor: Actor, *, now_due: bool = False
) -> list[Consequence]:
    """Start runs for the users (R11), or say for each why not. ``user.bridge`` should be loaded already."""
    tenant = Tenant.objects.get(pk=tenant.pk)
    switches = switches_of(tenant)
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
    return _request(tenant, decided, actor, now_due=now_due)


def _failed(pks: Sequence[int]) -> set[int]:
    """Those of the users whose latest run failed, so that to start another is to try again."""
    found: set[int] = set()
    for start in range(0, len(pks), BULK):
        latest = Run.objects.filter(user__in=pks[start : start + BULK], is_latest=True, state=Run.State.FAILED)
        found.update(latest.values_list("user_id", flat=True))
    return found


@transaction.atomic
def make_due_now(run: Run, actor: Actor) -> bool:
    """ "Run now" of a pending run (R19); whether it was pending still."""
    if not run_now(run):
        return False
    entry(run.tenant, actor, "run now", run.user.upn).save()
    return True


@transaction.atomic
def send_updates_again(run: Run, actor: Actor) -> int:
    """Have the run's messages that could not be sent tried once more; how many there are."""
    count = send_again(run)
    if count:
        entry(run.tenant, actor, "send messages again", run.user.upn, after={"messages": count}).save()
        wake_cluster()
    return count


def _request(
    tenant: Tenant, decided: list[tuple[ConferencingUser, Decision]], actor: Actor, *, now_due: bool = False
) -> list[Consequence]:
    requests = [
        RunRequest(user, decision.migration_type, decision.reasons) for user, decision in decided if decision.starts_run
    ]
    request_runs(tenant, requests, actor.name, now_due=now_due)
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
