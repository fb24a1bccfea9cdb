"""How many meetings users still have before them, whatever kinds of mailboxes they are in."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from migrations_app.mailboxes.base import FutureMeetings
from migrations_app.mailboxes.of_user import KINDS
from tenants_app.models import ConferencingUser


def future_meetings(users: QuerySet[ConferencingUser]) -> FutureMeetings:
    """The meetings that the users organize and that are not over (R20), by what MMS knows of them already."""
    now = timezone.now()
    return sum((kind.count_upcoming(users, now) for kind in KINDS), FutureMeetings())
