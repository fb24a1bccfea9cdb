"""What starting runs by hand will do to meetings and mail, by the code that will do it (R11, R40). Only reads."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from migrations_app.failures import Failure
from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.preview.meetings import Tally, foresee_meetings
from migrations_app.runs.out_of_date import in_chunks
from migrations_app.runs.starts import decide_starts
from migrations_app.targets import Targets
from tenants_app.audit import Actor
from tenants_app.models import ConferencingUser, Tenant

MOST_ON_A_PAGE = 1_000
"""Meetings that are looked at while somebody waits for a page: a second or two."""


@dataclass(slots=True)
class StartEffect(Tally):
    """What the runs will do."""

    failing_runs: int = 0
    """Runs that fail before they look at any meeting."""


def effect_of_starts(
    tenant: Tenant, users: QuerySet[ConferencingUser], actor: Actor, targets: Targets | None
) -> StartEffect | None:
    """What starting the users' runs will do; None where they have more meetings than fit :data:`MOST_ON_A_PAGE`."""
    if future_meetings(users).meetings > MOST_ON_A_PAGE:
        return None
    effect = StartEffect()
    for some in in_chunks(users):
        for start in decide_starts(tenant, some, actor, targets):
            if not start.decision.starts_run:
                continue
            try:
                for outcome in foresee_meetings(start.user, start.targets):
                    effect.note(outcome)
            except Failure:
                effect.failing_runs += 1
    return effect
