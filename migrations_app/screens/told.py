"""What an organizer was told in advance, for the pages of users and runs (R37)."""

from __future__ import annotations

from django.db.models import QuerySet

from migrations_app.models import Notice, Run
from tenants_app.models import ConferencingUser

LATEST = 3


def told_of_runs(user: ConferencingUser) -> list[Notice]:
    """The latest notices to the user; those that there was no need for are left out."""
    found = Notice.objects.filter(user=user).exclude(error_code="no-meeting-changes")
    return list(found.order_by("-pk")[:LATEST])


def told_of_run(run: Run) -> QuerySet[Notice]:
    """What the user was told of the run's plan."""
    if run.plan_id is None:
        return Notice.objects.none()
    return Notice.objects.filter(round__plan=run.plan_id, user=run.user_id).order_by("pk")
