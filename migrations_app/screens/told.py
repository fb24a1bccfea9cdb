"""What organizers were told in advance, for the pages of users, runs and plans (R37)."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q, QuerySet

from migrations_app.models import Notice, NoticeKind, NoticeRound, Plan, Run
from migrations_app.procedures.notices import told_of_another_time
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


def told_of_plan(plan: Plan) -> dict[str, Any]:
    """The plan's notices with their counts, and how many name another time; nothing where nobody is told."""
    if not plan.wants_notice:
        return {}
    found = with_counts(NoticeRound.objects.filter(plan=plan)).annotate(on_the_way=F("counting") + F("queued")).first()
    is_ahead = found is not None and plan.state == Plan.State.PLANNED
    return {"round": found, "misled": told_of_another_time(found).count() if found and is_ahead else 0}


def with_counts(rounds: QuerySet[NoticeRound]) -> QuerySet[NoticeRound]:
    """The rounds with how many of their notices are in each state."""
    told = Q(notices__kind=NoticeKind.ADVANCE)
    by_state = {
        "counting": Notice.COUNTING,
        "queued": Notice.State.QUEUED,
        "sent": Notice.State.SENT,
        "failed": Notice.State.FAILED,
        "untold": Notice.State.SUPERSEDED,
    }
    counts = {name: Count("notices", filter=told & Q(notices__state=state)) for name, state in by_state.items()}
    counts["in_doubt"] = Count("notices", filter=told & Q(notices__error_code=Notice.IN_DOUBT))
    counts["called_off"] = Count(
        "notices", filter=Q(notices__kind=NoticeKind.CANCELLED, notices__state=Notice.State.SENT)
    )
    return rounds.select_related("plan__tenant").annotate(**counts)
