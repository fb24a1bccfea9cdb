"""What starting runs by hand will do to meetings and mail, by the code that will do it (R11, R40). Only reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import QuerySet

from migrations_app.failures import Failure
from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import MeetingResult
from migrations_app.preview.meetings import foresee_meetings
from migrations_app.runs.movements import Movements
from migrations_app.runs.out_of_date import in_chunks
from migrations_app.runs.starts import decide_starts
from migrations_app.targets import Targets
from tenants_app.audit import Actor
from tenants_app.models import ConferencingUser, Tenant

MOST_ON_A_PAGE = 1_000
"""Meetings that are looked at while somebody waits for a page: a second or two."""


@dataclass(slots=True)
class StartEffect:
    """What the runs will do; exact as long as nobody changes anything in between."""

    updated: int = 0
    """Meetings whose block changes."""
    mailed: int = 0
    """Invitations that are sent to attendees."""
    failed: int = 0
    """Meetings that cannot be read or changed."""
    failing_runs: int = 0
    """Runs that fail before they look at any meeting."""
    movements: Movements = field(default_factory=Movements)


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
                    effect.updated += outcome.result.outcome == MeetingResult.Outcome.SUCCEEDED
                    effect.failed += outcome.result.outcome == MeetingResult.Outcome.FAILED
                    effect.mailed += outcome.recipient_count
                    effect.movements.note(outcome.result)
            except Failure:
                effect.failing_runs += 1
    return effect
