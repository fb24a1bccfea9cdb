"""What starting runs by hand leads to, user by user (R11, R40). Only reads: ``actions`` starts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from django.db.models import prefetch_related_objects

from migrations_app.meeting_services.of_user import service_of
from migrations_app.models import Run
from migrations_app.targets import ALL_CURRENT, Targets
from migrations_app.triggers.rules import Decision, Decisions
from migrations_app.triggers.switches import Switches
from tenants_app.audit import Actor
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import UserChange
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
    """What starting runs for the users would lead to now; see ``actions.start_by_hand``."""
    decisions = Decisions(Switches.of(tenant))
    latest = _latest([user.pk for user in users])
    prefetch_related_objects(list(users), "deployment")
    starts = []
    for user in users:
        user.tenant = tenant  # read once for all of them
        service = service_of(user)
        failed, pending = (_targets(latest.get(user.pk), state) for state in (Run.State.FAILED, Run.State.PENDING))
        wanted = targets or (ALL_CURRENT.joined(failed) if failed.services <= {service} else ALL_CURRENT)
        decision = decisions.of_start(UserSettings.of(user, ""), actor.name, wanted, service, pending)
        starts.append(Start(user, decision, pending.joined(wanted), is_retry=bool(failed.pairs)))
    return starts


def decide_changes(tenant: Tenant, changes: Sequence[UserChange]) -> list[tuple[ConferencingUser, Decision]]:
    """What changes of users lead to, as the tenant's switches are."""
    decisions = Decisions(Switches.of(tenant))
    for change in changes:
        change.user.tenant = tenant  # read once for all of them
    return [(change.user, decisions.of_change(change, service_of(change.user))) for change in changes]


def targets_of_pending(users: Sequence[ConferencingUser]) -> dict[int, Targets]:
    """The targets of the users' pending runs, which a start joins (R40), by user; none at all where there is none."""
    latest = _latest([user.pk for user in users])
    return {user.pk: _targets(latest.get(user.pk), Run.State.PENDING) for user in users}


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
