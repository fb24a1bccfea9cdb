"""Notices to organizers before runs: counting what each is told of, holding the runs meanwhile, and calling off (R37).

Whom it is about is settled when it is asked for: each user has a :class:`Notice`, and none gets a second one. How many
meetings would be changed is counted some users a step, by the code that previews; who has none is not told. The runs of
a plan wait until each notice is handed over or given up, or an administrator lets them begin.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.models import MeetingResult, Notice, NoticeKind, NoticeRound, Plan, Run
from migrations_app.monitoring import clock
from migrations_app.preview.foretold import Totals, foretell
from migrations_app.preview.plans import plan_of
from migrations_app.rewriting.labels import language_of
from migrations_app.runs.queue import wake_cluster
from tenants_app import bulk
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import counted

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

BATCH = 10
"""Users whose meetings are counted in one step."""
ATTEMPTS = 5
"""A count that was begun this often and never ended is given up."""
LEASE = timedelta(minutes=5)
"""How long a count is left to the worker that has begun it: until then it stands in ``due_at``."""

State = Notice.State


# --- asking for them ----------------------------------------------------------------------------------


@transaction.atomic
def announce(
    tenant: Tenant,
    users: QuerySet[ConferencingUser],
    preview_kind: str,
    terms: Mapping[str, Any],
    begins_at: datetime,
    requested_by: str,
    *,
    plan: Plan | None = None,
    reference: uuid.UUID | None = None,
) -> NoticeRound:
    """Have these users told before their runs; in the caller's transaction. With a ``plan`` its runs wait for that.

    ``preview_kind`` and ``terms`` say what the runs do, as previews have it. Repeated with the same ``reference`` it
    adds users to the same round.
    """
    round_, _ = NoticeRound.objects.get_or_create(
        reference=reference or uuid.uuid4(),
        tenant=tenant,
        defaults={
            "plan": plan,
            "preview_kind": preview_kind,
            "terms": dict(terms),
            "begins_at": begins_at,
            "requested_by": requested_by,
        },
    )
    _add(round_, users.filter(tenant=tenant))
    if plan:
        plan.waits_for_notices = True
        plan.save(update_fields=["waits_for_notices"])
    wake_cluster()
    return round_


def _add(round_: NoticeRound, users: QuerySet[ConferencingUser]) -> None:
    keys = users.order_by("pk").values_list("pk", flat=True)
    now = clock.now()
    rows = (
        Notice(round=round_, tenant_id=round_.tenant_id, user_id=pk, state=Notice.COUNTING, due_at=now)
        for pk in list(keys)
    )
    added = sum(bulk.insert(some, unless_there=True) for some in batched(rows))
    if added and not round_.is_open:
        NoticeRound.objects.filter(pk=round_.pk).update(is_open=True)


def told_already(users: Sequence[int]) -> dict[int, Notice]:
    """Of these users (keys) those who are told, or will be, of runs that are still to come."""
    found = Notice.objects.filter(
        Q(round__plan=None, round__begins_at__gt=clock.now()) | Q(round__plan__state=Plan.State.PLANNED),
        user__in=users,
        kind=NoticeKind.ADVANCE,
        state__in=[*Notice.UNRESOLVED, State.SENT],
        round__is_cancelled=False,
    )
    return {notice.user_id: notice for notice in found.select_related("round")}


# --- what administrators do ---------------------------------------------------------------------------


@transaction.atomic
def begin_anyway(round_: NoticeRound, actor: Actor) -> bool:
    """Let the runs begin at their time whoever is not told yet; whether they waited for that."""
    round_ = _locked(round_)
    plan = round_.plan
    if plan is None or not plan.waits_for_notices:
        return False
    _stop_waiting(plan)
    untold = _withdraw(round_)
    told = {"not told": untold}
    entry(round_.tenant, actor, "begin without notices", counted(untold, "organizer"), after=told).save()
    wake_cluster()
    return True


@transaction.atomic
def tell_again(round_: NoticeRound, actor: Actor) -> int:
    """Try those notices once more that could not be sent, but for those in doubt; how many there are.

    The runs wait for them again. Raises ``ValidationError`` where these were called off, or have begun.
    """
    round_ = _locked(round_)
    is_late = round_.plan.state != Plan.State.PLANNED if round_.plan else round_.begins_at <= clock.now()
    if round_.is_cancelled or is_late:
        raise ValidationError(
            sentence("The runs have begun, or were cancelled: nobody is told of them in advance any more.")
        )
    failed = round_.notices.filter(kind=NoticeKind.ADVANCE, state=State.FAILED).exclude(error_code=Notice.IN_DOUBT)
    count = failed.update(
        state=Notice.COUNTING,
        due_at=clock.now(),
        attempts=0,
        counting_attempts=0,
        recipients_refused={},
        recipients_left=None,
        error_code="",
        error_detail="",
    )
    if count:
        NoticeRound.objects.filter(pk=round_.pk).update(is_open=True)
        if round_.plan:
            round_.plan.waits_for_notices = True
            round_.plan.save(update_fields=["waits_for_notices"])
        entry(round_.tenant, actor, "send notices again", counted(count, "organizer")).save()
        wake_cluster()
    return count


@transaction.atomic
def tell_new_time(round_: NoticeRound, actor: Actor) -> int:
    """Tell those once more who were told of another time than it is planned for by now; how many there are."""
    round_ = _locked(round_)
    if round_.plan is None or round_.plan.state != Plan.State.PLANNED:
        return 0
    misled = told_of_another_time(round_)
    # With a reference of its own, so that nobody takes it for the message that they have.
    count = misled.update(
        state=Notice.COUNTING, due_at=clock.now(), attempts=0, counting_attempts=0, recipients_left=None
    )
    if count:
        NoticeRound.objects.filter(pk=round_.pk).update(reference=uuid.uuid4(), is_open=True)
        round_.plan.waits_for_notices = True
        round_.plan.save(update_fields=["waits_for_notices"])
        told = {"begins": round_.plan.opens_at.isoformat(timespec="minutes")}
        entry(round_.tenant, actor, "tell organizers the new time", counted(count, "organizer"), after=told).save()
        wake_cluster()
    return count


def told_of_another_time(round_: NoticeRound) -> QuerySet[Notice]:
    """Notices that were sent and name another time than it is planned for by now."""
    sent = round_.notices.filter(kind=NoticeKind.ADVANCE, state=State.SENT)
    return sent.exclude(begins_at=round_.begins)


def _locked(round_: NoticeRound) -> NoticeRound:
    found = NoticeRound.objects.select_for_update(of=("self",), no_key=True).select_related("tenant", "plan")
    return found.get(pk=round_.pk)


def _stop_waiting(plan: Plan) -> None:
    plan.waits_for_notices = False
    plan.save(update_fields=["waits_for_notices"])


def _withdraw(round_: NoticeRound) -> int:
    """Leave untold whoever is not; one that a worker has in hand is told, or closed by that worker."""
    untold = round_.notices.filter(kind=NoticeKind.ADVANCE, state__in=Notice.UNRESOLVED, lease_token=None)
    return untold.update(state=State.SUPERSEDED, error_code="notice-withdrawn", error_detail="")


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Take every round as far as possible now. Returns whether runs may be due now, or there is more to be done."""
    moved = False
    for pk in _due().order_by("pk").values_list("pk", flat=True):
        try:
            while timezone.now() < until and _step(pk):
                moved = True
        except Exception:
            log.exception("the notices of round %s could not go on; they are tried again", pk)
    return moved


def is_due(now: datetime) -> bool:
    """Whether there is a step to be done at this moment."""
    return _due().exists()


def settles_at() -> datetime | None:
    """None: they do not wait for a settling time."""
    return None


def _due() -> QuerySet[NoticeRound]:
    notices = Notice.objects.filter(round=OuterRef("pk"))
    is_counting = Exists(notices.filter(_to_be_counted(clock.now())))
    is_unresolved = Exists(notices.filter(state__in=Notice.UNRESOLVED))
    has_ended = Q(plan=None) | Q(plan__waits_for_notices=True) | ~Q(plan__state__in=Plan.OPEN)
    return NoticeRound.objects.filter(
        Q(is_counting, tenant__meeting_migration_enabled=True)
        | Q(plan__state=Plan.State.CANCELLED, is_cancelled=False)
        | Q(~is_unresolved, has_ended),
        is_open=True,
    )


def _to_be_counted(now: datetime) -> Q:
    """Notices that no worker is counting. A time further ahead is of a clock that was set back since."""
    return Q(Q(due_at__lte=now) | Q(due_at__gt=now + LEASE + clock.TOLERANCE), state=Notice.COUNTING)


def _step(pk: int) -> bool:
    """Take one step. Returns whether another may follow at once."""
    round_ = NoticeRound.objects.select_related("tenant", "plan").filter(pk=pk, is_open=True).first()
    if round_ is None:
        return False
    is_called_off = round_.plan is not None and round_.plan.state == Plan.State.CANCELLED
    if not is_called_off and round_.tenant.meeting_migration_enabled and (notices := _begin_count(round_)):
        _count(round_, notices)
        return True
    return _settle(pk)


@transaction.atomic
def _begin_count(round_: NoticeRound) -> list[Notice]:
    """Take some notices for this worker to count; alone one whose count was begun before, so that a user whose
    meetings cannot be counted keeps no other from being told. With how often each was begun before."""
    now = clock.now()
    free = round_.notices.filter(_to_be_counted(now)).select_for_update(skip_locked=True, of=("self",))
    found = list(free.select_related("user").order_by("pk")[:BATCH])
    found = next(([notice] for notice in found if notice.counting_attempts), found)
    begun = Notice.objects.filter(pk__in=[notice.pk for notice in found])
    begun.update(due_at=now + LEASE, counting_attempts=F("counting_attempts") + 1)
    return found


@transaction.atomic
def _settle(pk: int) -> bool:
    """Bring the round to its end, as far as that is now; whether runs may be due."""
    unlocked = NoticeRound.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    round_ = unlocked.select_related("tenant", "plan").filter(pk=pk, is_open=True).first()
    if round_ is None:
        return False
    plan = round_.plan
    if plan is not None and plan.state == Plan.State.CANCELLED:
        round_.is_cancelled = True
        round_.save(update_fields=["is_cancelled"])
        _withdraw(round_)
    if round_.notices.filter(state__in=Notice.UNRESOLVED).exists():
        return False
    was_waiting = plan is not None and plan.waits_for_notices
    if plan is not None and was_waiting:
        _stop_waiting(plan)
    if plan is None or plan.state not in Plan.OPEN:
        if plan is not None and round_.is_cancelled and plan.tells_cancellation:
            _call_off(round_)
        round_.is_open = False
        round_.save(update_fields=["is_open"])
    return was_waiting


def _call_off(round_: NoticeRound) -> None:
    """Tell those who were told, or may have been, and whose run had not begun; also those who were to be told anew."""
    begun = Run.objects.filter(plan=round_.plan_id, user=OuterRef("user"), started_at__isnull=False)
    told = round_.notices.filter(
        Q(sent_at__isnull=False) | Q(state=State.FAILED, error_code=Notice.IN_DOUBT), kind=NoticeKind.ADVANCE
    )
    now = clock.now()
    rows = [
        Notice(
            round=round_,
            tenant_id=round_.tenant_id,
            user_id=notice.user_id,
            kind=NoticeKind.CANCELLED,
            state=State.QUEUED,
            meetings=notice.meetings,
            begins_at=notice.begins_at,
            language=notice.language,
            queued_at=now,
            due_at=now,
        )
        for notice in told.exclude(Exists(begun)).order_by("pk")
    ]
    for some in batched(rows):
        bulk.insert(some, unless_there=True)


def _count(round_: NoticeRound, notices: Sequence[Notice]) -> None:
    """Count the meetings of some users, without any lock, and queue the notices of those who have any."""
    found: dict[int, int | Failure]
    broken = Failure("internal-error", sentence("reference %(reference)s", reference=str(round_.reference)))
    try:
        if notices[0].counting_attempts >= ATTEMPTS:
            found = {notices[0].user_id: broken}
        else:
            found = _changing(round_, [notice.user_id for notice in notices])
    except DatabaseError:
        raise
    except Exception:
        log.exception("of round %s the meetings of %d users cannot be counted", round_.pk, len(notices))
        if len(notices) > 1:  # it is the fault of one of them: each is tried alone
            begun = Notice.objects.filter(pk__in=[notice.pk for notice in notices], state=Notice.COUNTING)
            begun.update(due_at=clock.now())
            return
        found = {notices[0].user_id: broken}
    now = clock.now()
    for notice in notices:
        what = found.get(notice.user_id, 0)
        notice.queued_at = notice.due_at = now
        # Of who is to be told anew it stays what they were told, until they are.
        notice.begins_at = notice.begins_at if notice.sent_at else round_.begins
        notice.language = language_of(notice.user.language)
        if isinstance(what, Failure):
            notice.state, notice.error_code, notice.error_detail = State.FAILED, what.code, what.detail
        elif what:
            notice.state, notice.meetings = State.QUEUED, what
        else:
            notice.state, notice.error_code = State.SUPERSEDED, "no-meeting-changes"
    fields = ["state", "meetings", "begins_at", "language", "error_code", "error_detail", "queued_at", "due_at"]
    with transaction.atomic():
        still = Notice.objects.select_for_update().filter(
            pk__in=[notice.pk for notice in notices], state=Notice.COUNTING
        )
        mine = set(still.values_list("pk", flat=True))
        bulk.update([notice for notice in notices if notice.pk in mine], fields)


def _changing(round_: NoticeRound, users: Sequence[int]) -> dict[int, int | Failure]:
    """How many meetings of each of these users (keys) the runs would change, or why nobody knows."""
    found: dict[int, int | Failure] = {}
    try:
        plan = plan_of(round_.tenant, round_.preview_kind, {**round_.terms, "users": sorted(users)})
        for planned in plan.planned(sorted(users)):
            if not planned.starts_run:
                continue
            told = foretell(planned, Totals())
            changing = sum(row.outcome == MeetingResult.Outcome.SUCCEEDED for row in told.meetings)
            found[planned.user.pk] = told.failure or changing
    except ValidationError as error:  # what the runs are about is not there any more
        log.warning("round %s of notices cannot be counted: %s", round_.pk, " ".join(error.messages))
    return found
