"""How long history is kept (R30)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
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
from tenants_app.models import FormerConferenceId

_RUNS_AT_ONCE = 100
_RESULTS_AT_ONCE = 1000


def prune(before: datetime) -> Counter[str]:
    """Delete runs that ended ``before`` this, with their results and updates (R30). Returns how many rows of each kind.

    Imports of users go as well, applied or not, results of what was done for many users, who was told of runs,
    alerts, what charts show of that time, what checks of rollouts found but for the last of each, and what needed a
    person in meetings that were over by then. Plans of chat go that imported nothing and that nobody goes by any more.
    Kept are each user's latest run, which says what state they are in (R29), runs with a message still to be sent
    or one that keeps a number (R35), those just being undone, those of a rollout that has not ended, which may be
    taken back and are reported (R84, R93), what people answered to checks, and the audit. Conference IDs that no
    undo can bring back may be given to others. Deletes in small transactions, so it may be stopped at any time and
    never holds up the queue.
    """
    waiting = Update.objects.filter(result__run=OuterRef("pk"), state=Update.State.QUEUED)
    untold = UntoldNumber.objects.filter(update__result__run=OuterRef("pk"), meeting_ends_at__gt=timezone.now())
    being_undone = Run.objects.filter(undoes=OuterRef("pk")).exclude(state__in=[Run.State.SUCCEEDED, Run.State.FAILED])
    open_rollouts = WaveMember.objects.filter(wave__rollout__finished_at=None)
    of_rollout = open_rollouts.filter(Q(run=OuterRef("pk")) | Q(run=OuterRef("undoes")) | Q(undo_run=OuterRef("pk")))
    ended = Run.objects.filter(
        state__in=[Run.State.SUCCEEDED, Run.State.FAILED], is_latest=False, finished_at__lt=before
    ).exclude(Exists(waiting) | Exists(untold) | Exists(being_undone) | Exists(of_rollout))
    deleted: Counter[str] = Counter()
    while pks := list(ended.order_by("finished_at").values_list("pk", flat=True)[:_RUNS_AT_ONCE]):
        _, counts = Run.objects.filter(pk__in=pks).delete()
        deleted.update(counts)
    _free_conference_ids(before)
    LeftMeeting.objects.filter(last_end__lt=before).delete()
    imports, _ = UserImport.objects.filter(created__lt=before).exclude(state__in=UserImport.WAITING).delete()
    _forget_plans(before)
    BulkAction.objects.filter(created__lt=before, plan=None).exclude(state__in=BulkAction.OPEN).delete()
    samples.prune(before)
    NoticeRound.objects.filter(created__lt=before, plan=None, is_open=False).delete()
    Alert.objects.filter(created__lt=before).delete()
    AlertEvent.objects.filter(told_at__lt=before).exclude(thing=AlertEvent.Thing.CONNECTION, end_told_at=None).delete()
    _forget_check_results(before)
    _forget_plans_of_chat(before)
    WorkerSilence.objects.filter(ended__lt=before).delete()
    tasks, _ = Task.objects.filter(stopped__lt=before).delete()
    return Counter(
        runs=deleted["migrations_app.Run"],
        meetings=deleted["migrations_app.MeetingResult"],
        messages=deleted["migrations_app.Update"],
        imports=imports,
        wake_ups=tasks,
    )


def _forget_check_results(before: datetime) -> None:
    """What checks of rollouts found ``before`` this, by an index, but for the last result of each (R69)."""
    is_last = Exists(RolloutCheck.objects.filter(pk=OuterRef("rollout_check"), last_result=OuterRef("pk")))
    old = CheckResult.objects.filter(at__lt=before).exclude(is_last).order_by("at")
    while pks := list(old.values_list("pk", flat=True)[:_RESULTS_AT_ONCE]):
        CheckResult.objects.filter(pk__in=pks).delete()


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
