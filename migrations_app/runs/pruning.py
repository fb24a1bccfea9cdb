"""How long history is kept (R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django_q.models import Task

from migrations_app.models import (
    Alert,
    AlertEvent,
    BulkAction,
    ChatPlan,
    ChatRoom,
    ChatStep,
    CheckResult,
    LeftMeeting,
    MeetingResult,
    NoticeRound,
    NumberRelease,
    Plan,
    RolloutCheck,
    Run,
    UntoldNumber,
    Update,
    UserImport,
    WaveMember,
    WorkerSilence,
)
from migrations_app.monitoring import samples
from tenants_app.bulk import delete, let_others_write
from tenants_app.models import FormerConferenceId

_RUNS_AT_ONCE = 1000
_MEETINGS_AT_ONCE = 5000
_ROWS_AT_ONCE = 1000

_Told = Callable[[Counter[str]], object]


def prune(before: datetime, tell: _Told = lambda deleted: None) -> Counter[str]:
    """Delete runs that ended ``before`` this, with their results and updates (R30). Returns how many rows of each kind.

    Imports of users go as well, applied or not, results of what was done for many users, who was told of runs,
    alerts, what charts show of that time, what checks of rollouts found but for the last of each, and what needed a
    person in meetings that were over by then. Plans of chat go that imported nothing and that nobody goes by any more.
    Kept are each user's latest run, which says what state they are in (R29), runs with a message still to be sent
    or one that keeps a number (R35), those just being undone, those of a rollout that has not ended, which may be
    taken back and are reported (R84, R93), what people answered to checks, and the audit. Conference IDs that no
    undo can bring back may be given to others.

    Deletes in small transactions, so it may be stopped at any time, goes on from there the next time, and never holds
    up the queue. ``tell`` is given the count so far after each of those with runs.
    """
    deleted = _forget_runs(before, tell)
    _free_conference_ids(before)
    _forget(LeftMeeting.objects.filter(last_end__lt=before))
    imports = UserImport.objects.filter(created__lt=before).exclude(state__in=UserImport.WAITING)
    deleted["imports"] = _forget(imports, at_once=1)
    _forget_plans(before)
    _forget(BulkAction.objects.filter(created__lt=before, plan=None).exclude(state__in=BulkAction.OPEN), at_once=1)
    samples.prune(before)
    _forget(NoticeRound.objects.filter(created__lt=before, plan=None, is_open=False), at_once=1)
    _forget(Alert.objects.filter(created__lt=before))
    told = AlertEvent.objects.filter(told_at__lt=before)
    _forget(told.exclude(thing=AlertEvent.Thing.CONNECTION, end_told_at=None))
    is_last = Exists(RolloutCheck.objects.filter(pk=OuterRef("rollout_check"), last_result=OuterRef("pk")))
    _forget(CheckResult.objects.filter(at__lt=before).exclude(is_last))
    _forget_plans_of_chat(before)
    _forget(WorkerSilence.objects.filter(ended__lt=before))
    deleted["wake_ups"] = _forget(Task.objects.filter(stopped__lt=before))
    return deleted


def _forget_runs(before: datetime, tell: _Told) -> Counter[str]:
    """Runs in the order in which they ended, by an index, each looked at once."""
    waiting = Update.objects.filter(result__run=OuterRef("pk"), state=Update.State.QUEUED)
    untold = UntoldNumber.objects.filter(update__result__run=OuterRef("pk"), meeting_ends_at__gt=timezone.now())
    being_undone = Run.objects.filter(undoes=OuterRef("pk")).exclude(state__in=[Run.State.SUCCEEDED, Run.State.FAILED])
    open_rollouts = WaveMember.objects.filter(wave__rollout__finished_at=None)
    of_rollout = open_rollouts.filter(Q(run=OuterRef("pk")) | Q(run=OuterRef("undoes")) | Q(undo_run=OuterRef("pk")))
    ended = Run.objects.filter(
        state__in=[Run.State.SUCCEEDED, Run.State.FAILED], is_latest=False, finished_at__lt=before
    )
    needless = ended.exclude(Exists(waiting) | Exists(untold) | Exists(being_undone) | Exists(of_rollout))
    deleted: Counter[str] = Counter()
    rest = ended.order_by("finished_at", "pk")
    while some := _few(rest):
        with transaction.atomic():
            # Whoever is just about to undo one of them, or to send its messages again, holds it, and it is left to the
            # next time. What was decided before is looked up once nobody can decide anything more.
            free = ended.filter(pk__in=[pk for pk, _ in some]).order_by("pk").select_for_update(skip_locked=True)
            keys = list(free.values_list("pk", flat=True))
            gone = delete(Run, list(needless.filter(pk__in=keys).order_by().values_list("pk", flat=True)))
        deleted.update(runs=gone[Run], meetings=gone[MeetingResult], messages=gone[Update])
        tell(deleted)
        let_others_write()
        last, at = some[-1]
        rest = rest.filter(Q(finished_at__gt=at) | Q(pk__gt=last), finished_at__gte=at)
    return deleted


def _few(runs: QuerySet[Run]) -> list[tuple[int, datetime | None]]:
    """Keys and ends of the first runs, as many as one transaction should delete; of large ones fewer, but one."""
    some: list[tuple[int, datetime | None]] = []
    meetings = 0
    for pk, at, of_run in runs.values_list("pk", "finished_at", "total_meetings")[:_RUNS_AT_ONCE]:
        meetings += of_run
        if some and meetings > _MEETINGS_AT_ONCE:
            break
        some.append((pk, at))
    return some


def _forget(rows: QuerySet[Any], at_once: int = _ROWS_AT_ONCE) -> int:
    """Delete the rows with all that hangs on them, so many in a transaction; how many there were."""
    count = 0
    rest = rows.order_by("pk")
    while keys := list(rest.values_list("pk", flat=True)[:at_once]):
        with transaction.atomic():
            count += delete(rows.model, keys)[rows.model]
        let_others_write()
        rest = rows.filter(pk__gt=keys[-1]).order_by("pk")
    return count


def _forget_plans(before: datetime) -> None:
    """Plans that ended ``before`` this, together with what was planned, so that none is left that plans nothing. Runs
    of theirs that are kept are runs like others then. Numbers taken off are kept, and so are their plans."""
    of_number = NumberRelease.objects.filter(plan=OuterRef("pk"))
    ended = Plan.objects.filter(finished_at__lt=before).exclude(state__in=Plan.OPEN).exclude(Exists(of_number))
    for plan in ended:
        with transaction.atomic():
            Run.objects.filter(plan=plan).update(plan=None)
            BulkAction.objects.filter(plan=plan).delete()
            plan.delete()


def _forget_plans_of_chat(before: datetime) -> None:
    """Plans of chat made ``before`` this by which nobody goes: without any room that was imported or compared, and
    without a step that somebody has done."""
    nobodys = Q(state__in=[ChatPlan.State.REFUSED, ChatPlan.State.OUTDATED]) | Q(replaced_by__isnull=False)
    touched = ChatRoom.objects.filter(plan=OuterRef("pk")).exclude(target_id="", comparison="")
    done = ChatStep.objects.filter(plan=OuterRef("pk"))
    old = ChatPlan.objects.filter(nobodys, created__lt=before, started_at=None).exclude(Exists(touched) | Exists(done))
    for plan in old.order_by("pk"):
        with transaction.atomic():
            plan.findings.all().delete()
            plan.delete()


def _free_conference_ids(before: datetime) -> None:
    """Let IDs of old go to others that were taken out of invitations ``before`` this, by runs that are pruned."""
    kept = Run.objects.filter(user=OuterRef("user"), finished_at__lte=OuterRef("taken_out_at"))
    former = FormerConferenceId.objects.filter(is_free=False, taken_out_at__lt=before)
    former.exclude(Exists(kept)).update(is_free=True)
