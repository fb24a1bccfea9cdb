"""Looks at Teams: how people dial into meetings by now, so that a change made there makes users out of date (R36).

Each user of whom Teams has said anything has a row that says when the next look is due. Whoever takes it puts it off
first, so that after a kill it is simply looked at the next time.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.meeting_services.of_user import service_named
from migrations_app.models import TeamsLook
from migrations_app.monitoring import clock
from migrations_app.runs import queue
from migrations_app.runs.dial_in_said import LOOK_EVERY, note
from migrations_app.targets import TEAMS
from tenants_app.models import MeetingService, Tenant

log = logging.getLogger(__name__)

IS_WAITED_FOR = False
TURN = timedelta(seconds=20)
"""How long a worker looks until messages have their turn; a look that was begun goes on."""
PAUSE = timedelta(minutes=15)
"""How long a tenant's Teams is left alone that cannot be asked, where it does not say itself."""

_NOT_NAMED = Q(user__deployment=None) | Q(user__deployment__meeting_service="")
_BY_TEAMS = Q(user__deployment__meeting_service=MeetingService.TEAMS) | _NOT_NAMED & (
    Q(user__meeting_service=MeetingService.TEAMS)
    | Q(user__meeting_service="", user__tenant__meeting_service=MeetingService.TEAMS)
)
"""As ``ConferencingUser.effective_meeting_service``."""


def advance(until: datetime) -> bool:
    """Look at one user after the other who is due, until a run is due or messages have their turn."""
    turn_ends = timezone.now() + TURN
    while timezone.now() < until and (look := _claim()):
        _look(look)
        if timezone.now() >= turn_ends or queue.is_due():
            return True
    return False


def is_due(now: datetime) -> bool:
    """Whether somebody is to be looked at."""
    return _due(clock.now()).exists()


def settles_at() -> datetime | None:
    """None: looks do not wait for a settling time."""
    return None


def _due(now: datetime) -> QuerySet[TeamsLook]:
    asked = TeamsLook.objects.filter(_BY_TEAMS, due_at__lte=now)
    return asked.filter(user__tenant__meeting_migration_enabled=True).exclude(user__tenant__teams_connection=None)


def _claim() -> TeamsLook | None:
    """Take the look that has been due longest. Looked for before the transaction, as runs are."""
    if not _due(clock.now()).exists():
        return None
    with transaction.atomic():
        now = clock.now()
        due = _due(now).order_by("due_at", "pk").select_related("user__tenant__teams_connection")
        look = due.select_for_update(skip_locked=True, of=("self",)).first()
        if look is not None:
            look.due_at = now + LOOK_EVERY
            look.save(update_fields=["due_at"])
        return look


def _look(look: TeamsLook) -> None:
    user = look.user
    try:
        said = service_named(TEAMS, user).dial_in([look.join_url])[look.join_url]
    except Failure as failure:
        log.warning("Teams cannot be asked for %s: %s %s", user.tenant.slug, failure.code, failure.detail)
        _leave_alone(user.tenant, failure)
        said = failure
    except Exception:
        log.exception("Teams cannot be asked about the meetings of %s", user.upn)
        return
    if isinstance(said, Failure):
        TeamsLook.objects.filter(pk=look.pk).update(code=said.code, detail=said.detail)
    else:
        note(user, look.join_url, said)


def _leave_alone(tenant: Tenant, failure: Failure) -> None:
    """Who of the tenant is due until then waits with it, instead of each finding out by itself."""
    until = clock.now() + (failure.retry_after or PAUSE)
    TeamsLook.objects.filter(user__tenant=tenant, due_at__lt=until).update(due_at=until)
