"""What a change will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from migrations_app.models import CalendarObject
from tenants_app.announcements import Consequence
from tenants_app.changes import UserEdit, change_users
from tenants_app.models import ConferencingUser, Tenant


@dataclass(frozen=True, slots=True)
class FutureMeetings:
    """Meetings with an occurrence still to come that a run would look at, and how many invitations they stand for."""

    meetings: int
    invitations: int


def foresee(tenant: Tenant, edits: Sequence[UserEdit], actor: str) -> list[Consequence]:
    """What saving ``edits`` would answer. Makes the change and takes it back, so the answer cannot differ.

    Raises ``ValidationError`` as the change itself would.
    """
    with transaction.atomic():
        consequences = change_users(tenant, edits, actor)
        transaction.set_rollback(True)
    return consequences


def future_meetings(users: QuerySet[ConferencingUser]) -> FutureMeetings:
    """The meetings that the users organize and that are not over (R20), by the facts stored with each."""
    found = (
        CalendarObject.objects.filter(user__in=users.order_by().values("pk"), last_end__gt=timezone.now())
        .filter(cancelled=False, unreadable="")
        .filter(Q(organizer=Lower("user__upn")) | Q(organizer=Lower("user__sip_address")))
        .aggregate(
            meetings=Count("pk"),
            invitations=Coalesce(Sum(F("attendee_count") - 1, filter=Q(attendee_count__gt=0)), 0),
        )
    )
    return FutureMeetings(**found)
