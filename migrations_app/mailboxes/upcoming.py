"""How many meetings are still to come, by the facts stored with each."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from tenants_app.models import ConferencingUser


@dataclass(frozen=True, slots=True)
class FutureMeetings:
    """Meetings with an occurrence still to come that a run would look at, and how many invitations they stand for."""

    meetings: int
    invitations: int


def future_meetings(users: QuerySet[ConferencingUser]) -> FutureMeetings:
    """The meetings that the users organize and that are not over (R20), by the facts stored with each."""
    # Asked of the users, who may be few, and not of all the meetings that there are.
    theirs = Q(calendar_objects__organizer=Lower("upn")) | Q(calendar_objects__organizer=Lower("sip_address"))
    readable = Q(calendar_objects__cancelled=False, calendar_objects__unreadable="")
    attendees = F("calendar_objects__attendee_count")
    found = (
        users.order_by()
        .filter(theirs, readable, calendar_objects__last_end__gt=timezone.now())
        .aggregate(
            meetings=Count("calendar_objects"),
            invitations=Coalesce(Sum(attendees - 1, filter=Q(calendar_objects__attendee_count__gt=0)), 0),
        )
    )
    return FutureMeetings(**found)
