"""What people do about an import: start, pause, resume, and try failed rooms again (R111)."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from migrations_app.chat import import_engine
from migrations_app.chat.plans import POLL_SECONDS, Rooms, locked, why_not_started
from migrations_app.models import ChatPlan, ChatRoom, ChatTarget
from migrations_app.monitoring import clock
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry
from tenants_app.sentences import sentence

State = ChatPlan.State
Tell = Callable[[ChatPlan], None]


@transaction.atomic
def start(plan: ChatPlan, actor: Actor, rooms: Rooms | None = None) -> ChatPlan:
    """Import these rooms, or all that are planned. Raises ``ValidationError`` with what is in the way.

    Whether source and target still look as planned is seen when the first worker begins; else a new plan is made.
    """
    plan = locked(plan)
    chosen = None if rooms is None else _keys(rooms)
    if why := why_not_started(plan, chosen):
        raise ValidationError(why)
    _check_no_other(plan)
    now = clock.now()
    waiting = _of(plan, chosen).filter(state=ChatRoom.State.PLANNED)
    count = waiting.update(state=ChatRoom.State.WAITING, attempts=0, retry_at=None)
    plan.state, plan.problem, plan.prepared_at, plan.counted_from = State.IMPORTING, "", None, now
    plan.started_at, plan.started_by = plan.started_at or now, actor.name
    plan.finished_at, plan.attempts, plan.retry_at = None, 0, None
    plan.save()
    told = {"archive": plan.archive.name, "target": plan.target.name, "rooms": count}
    entry(plan.tenant, actor, "start chat import", str(plan), {}, told).save()
    wake_cluster()
    return plan


@transaction.atomic
def pause(plan: ChatPlan, actor: Actor) -> ChatPlan:
    """Let workers stop after the batch that they are at. Raises ``ValidationError`` where nothing is imported."""
    plan = locked(plan)
    if plan.state != State.IMPORTING:
        raise ValidationError(sentence("Plan %(number)s is not being imported.", number=str(plan.number)))
    plan.state = State.PAUSED
    plan.save(update_fields=["state"])
    entry(plan.tenant, actor, "pause chat import", str(plan)).save()
    return plan


@transaction.atomic
def resume(plan: ChatPlan, actor: Actor, reason: str = "") -> ChatPlan:
    """Go on after a pause or a stop; the stop rule counts anew. Raises ``ValidationError``."""
    plan = locked(plan)
    if plan.state not in {State.PAUSED, State.STOPPED}:
        raise ValidationError(
            sentence("Plan %(number)s is neither paused nor stopped: there is nothing to resume.", number=str(plan))
        )
    _check_no_other(plan)
    _go_on(plan)
    plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).update(retry_at=None)
    entry(plan.tenant, actor, "resume chat import", str(plan), {}, {"reason": reason.strip()[:500]}).save()
    return plan


@transaction.atomic
def retry(plan: ChatPlan, actor: Actor, rooms: Rooms | None = None) -> int:
    """Try failed rooms again, these or all; those that wait for their next attempt do not wait any more. How many.

    Of a plan that is paused or stopped they are tried once it is resumed. Raises ``ValidationError``.
    """
    plan = locked(plan)
    if plan.state not in ChatPlan.STARTED:
        raise ValidationError(sentence("Plan %(number)s was not started: there is nothing to retry.", number=str(plan)))
    these = _of(plan, None if rooms is None else _keys(rooms))
    failed = these.filter(state=ChatRoom.State.FAILED) | these.filter(
        state=ChatRoom.State.WAITING, retry_at__isnull=False
    )
    names = list(failed.order_by("position").values_list("name", flat=True)[:20])
    keys = list(failed.values_list("pk", flat=True))
    if not keys:
        raise ValidationError(sentence("None of these rooms has failed: there is nothing to retry."))
    plan.rooms.filter(pk__in=keys).update(
        state=ChatRoom.State.WAITING, attempts=0, retry_at=None, finished_at=None, error_code="", error_detail=""
    )
    if plan.state == State.IMPORTED:
        _check_no_other(plan)
        _go_on(plan)
    told = {"rooms": ", ".join(names), "count": len(keys)}
    entry(plan.tenant, actor, "retry chat rooms", str(plan), {}, told).save()
    wake_cluster(len(keys))
    return len(keys)


def _go_on(plan: ChatPlan) -> None:
    plan.state, plan.problem, plan.counted_from = State.IMPORTING, "", clock.now()
    plan.attempts, plan.retry_at, plan.finished_at = 0, None, None
    plan.save()
    wake_cluster()


def _check_no_other(plan: ChatPlan) -> None:
    """Raise ``ValidationError`` where another import into the target is under way: both could make the same room."""
    ChatTarget.objects.select_for_update(no_key=True).get(pk=plan.target_id)
    other = ChatPlan.objects.filter(target=plan.target_id, state=State.IMPORTING).exclude(pk=plan.pk).first()
    if other is not None:
        raise ValidationError(
            sentence(
                "Plan %(number)s is being imported into %(target)s: wait until it has ended, or pause it.",
                number=str(other.number),
                target=plan.target.name,
            )
        )


def _of(plan: ChatPlan, keys: list[int] | None) -> QuerySet[ChatRoom]:
    return plan.rooms.all() if keys is None else plan.rooms.filter(pk__in=keys)


def _keys(rooms: Rooms) -> list[int]:
    return [room.pk if isinstance(room, ChatRoom) else room for room in rooms]


# --- in the foreground ------------------------------------------------------------------------------------------------


def import_now(plan: ChatPlan, tell: Tell = lambda plan: None, tell_waiting: Tell = lambda plan: None) -> ChatPlan:
    """Work at the import until it has ended, beside other workers, through pauses before retries; the plan then.

    ``tell_waiting`` is called where it has to wait: for another worker, for the lease of one that was killed, or for
    the next attempt.
    """
    waits = False
    plan.refresh_from_db()
    while plan.state == State.IMPORTING and plan.tenant.meeting_migration_enabled:
        may_go_on = plan.retry_at is None or plan.retry_at <= clock.now()
        if may_go_on and import_engine.work(plan, lambda: False, tell):
            waits = False
        else:
            if not waits:
                tell_waiting(plan)
            waits = True
            time.sleep(POLL_SECONDS)
        plan.refresh_from_db()
    return plan
