"""What this app does when ``tenants_app`` announces a change, and when an administrator starts runs by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from migrations_app.decisions import Decision, Switches, decide, decide_start_by_hand
from migrations_app.models import Run
from migrations_app.queue import RunRequest, request_runs, run_now, wake_cluster
from migrations_app.updates.delivery import send_again
from tenants_app.announcements import Consequence, UserChange, UserSettings
from tenants_app.models import AuditEntry, ConferencingUser, Tenant


def switches_of(tenant: Tenant) -> Switches:
    """The switches that the decision table reads (R12 to R14)."""
    return Switches(
        tenant.meeting_migration_enabled,
        tenant.automatically_migrate_user_meetings,
        tenant.automatically_replace_acp_provider,
    )


def on_users_changed(
    sender: object, *, tenant: Tenant, changes: list[UserChange], actor: str, **_: Any
) -> list[Consequence]:
    """Decide for each changed user, and request the runs in the transaction of the change."""
    switches = switches_of(tenant)
    decided = [(change.user, decide(change, switches)) for change in changes]
    return _request(tenant, decided, actor)


def on_tenant_changed(sender: object, *, tenant: Tenant, fields: frozenset[str], **_: Any) -> None:
    """Runs that waited while the service was off go on at once (R12)."""
    if "meeting_migration_enabled" in fields and tenant.meeting_migration_enabled:
        wake_cluster()


@transaction.atomic
def start_by_hand(
    tenant: Tenant, users: Iterable[ConferencingUser], actor: str, *, now_due: bool = False
) -> list[Consequence]:
    """Start runs for the users (R11), or say for each why not. ``user.bridge`` should be loaded already."""
    tenant = Tenant.objects.get(pk=tenant.pk)
    switches = switches_of(tenant)
    decided = [(user, decide_start_by_hand(UserSettings.of(user, ""), switches, actor)) for user in users]
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(tenant=tenant, actor=actor, action="start migration", target=user.upn)
            for user, decision in decided
            if decision.starts_run
        ],
        batch_size=500,
    )
    return _request(tenant, decided, actor, now_due=now_due)


@transaction.atomic
def make_due_now(run: Run, actor: str) -> None:
    """ "Run now" of a pending run (R19)."""
    AuditEntry.objects.create(tenant=run.tenant, actor=actor, action="run now", target=run.user.upn)
    run_now(run)


@transaction.atomic
def send_updates_again(run: Run, actor: str) -> int:
    """Have the run's messages that could not be sent tried once more; how many there are."""
    count = send_again(run)
    if count:
        AuditEntry.objects.create(tenant=run.tenant, actor=actor, action="send messages again", target=run.user.upn)
        wake_cluster()
    return count


def _request(
    tenant: Tenant, decided: list[tuple[ConferencingUser, Decision]], actor: str, *, now_due: bool = False
) -> list[Consequence]:
    requests = [
        RunRequest(user, decision.migration_type, decision.reasons) for user, decision in decided if decision.starts_run
    ]
    request_runs(tenant, requests, actor, now_due=now_due)
    return [Consequence(user.upn, decision.starts_run, decision.sentence) for user, decision in decided]
