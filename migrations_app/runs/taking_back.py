"""Which runs an undo puts back where a member of a wave goes back, and which are not to be done any more (R84)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from migrations_app.models import Run, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.runs.undoing import changed_meetings, put_back
from migrations_app.targets import UNDO
from tenants_app.sentences import sentence

_State = WaveMember.State


def members_to_go_back(wave: Wave, users: Collection[int] | None = None) -> QuerySet[WaveMember]:
    """The members of the wave who have moved, or are moving; of the chosen users (keys) only where some are chosen."""
    moved = Q(state__in=[_State.MOVING, _State.UPDATING, _State.DONE]) | Q(state=_State.FAILED, moved_at__isnull=False)
    found = wave.members.filter(moved, is_current=True)
    return found if users is None else found.filter(user__in=users)


def runs_to_undo(member: WaveMember, since: datetime | None = None) -> list[Run]:
    """The runs that changed meetings of the member since they moved, and that were not put back: the latest first, by
    which they are undone. Left out are those whose undo was asked for after ``since`` and has ended."""
    theirs = Q(pk=member.run_id) if member.run_id else Q(pk__in=[])
    if member.moved_at is not None:
        theirs |= Q(created__gte=member.moved_at)
    runs = Run.objects.filter(theirs, user=member.user_id).exclude(migration_type=UNDO)
    if since is not None:
        ended = Run.objects.filter(
            user=member.user_id, migration_type=UNDO, created__gte=since, finished_at__isnull=False
        )
        runs = runs.exclude(pk__in=ended.filter(undoes__isnull=False).values("undoes"))
    loaded = runs.select_related("tenant", "user__tenant", "user__bridge", "user__mailbox").order_by("-created", "-pk")
    return [run for run in loaded if not run.is_of_tool and _is_to_be_put_back(run)]


def _is_to_be_put_back(run: Run) -> bool:
    return not {result.uid for result in changed_meetings(run)} <= put_back(run)


def withdraw_pending(users: Collection[int], by: str) -> int:
    """End the pending runs of these users (keys) that move them forward, without doing them; how many there were.

    In the caller's transaction, which holds the users. Nobody is alarmed by them: that they are not done is what was
    asked for.
    """
    locked = Run.objects.select_for_update().filter(user__in=users, state=Run.State.PENDING)
    pks = [run.pk for run in locked if not run.is_undo]
    now = clock.now()
    return Run.objects.filter(pk__in=pks).update(
        state=Run.State.FAILED,
        last_error_code="rolled-back",
        last_error_detail="",
        finished_at=now,
        modified=now,
        accepted_at=now,
        accepted_by=by[:200],
        accepted_note=sentence("The user's wave was taken back."),
    )
