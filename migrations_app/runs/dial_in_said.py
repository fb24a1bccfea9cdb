"""What a user's meeting service says of dialling in, kept so that a change of it makes the user out of date (R36)."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from migrations_app.models import TeamsLook
from migrations_app.monitoring import clock
from migrations_app.rewriting.online_meeting import DialInFacts
from migrations_app.runs.outcomes import Outcomes
from migrations_app.targets import Targets
from tenants_app import fingerprints
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import ConferencingUser

LOOK_EVERY = timedelta(hours=6)
"""Teams answers 2,000 questions about the meetings of a user in a month: these are 120 of them."""


def note_run(outcomes: Outcomes) -> None:
    """Keep what was said in a run that ended well.

    Who is up to date by now stays so, since all invitations say it; unless some were left out.
    """
    if outcomes.dial_in_said is not None:
        join_url, said = outcomes.dial_in_said
        selects_all = Targets.of(outcomes.run.targets).selects_all
        note(outcomes.user, join_url, said, invitations_follow=selects_all)


def note(user: ConferencingUser, join_url: str, said: DialInFacts, *, invitations_follow: bool = False) -> None:
    """Keep what Teams said now about one meeting of the user, and when it is to be asked about that again."""
    now, of_all = clock.now(), said.of_all_meetings
    rows = ConferencingUser.objects.filter(pk=user.pk)
    with transaction.atomic():
        if rows.exclude(teams_dial_in=of_all).exists():  # seldom, so that changes of the tenant wait seldom
            wait_for_others(user.tenant)
            rows.update(teams_dial_in=of_all)
            fingerprints.refresh(rows, invitations_follow=invitations_follow)
        TeamsLook.objects.update_or_create(
            user_id=user.pk,
            defaults={
                "join_url": join_url,
                "due_at": now + LOOK_EVERY,
                "looked_at": now,
                "code": "",
                "detail": "",
            },
        )
