"""The queue of record: requesting, claiming, finishing and sweeping runs.

A run row is the truth; a django-q task is only a wake-up. Lost, doubled or late wake-ups change nothing:

1. Requesting inserts Pending rows in bulk, or joins the one that a user has already (R18).
2. A worker claims one due row: token, lease and the attempt are written before any work.
3. Whatever the worker writes, it writes only while the row still carries its token.
4. A sweep returns rows whose lease has run out, left by a worker that died, to the queue.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import Max

from migrations_app.failures import Failure
from migrations_app.mailboxes.upcoming import count_stored
from migrations_app.models import Plan, Run, Turn
from migrations_app.monitoring import clock
from migrations_app.retries import RETRIES, pause_before_retry
from migrations_app.runs import lanes, left
from migrations_app.runs.lanes import Lane
from migrations_app.runs.wake_ups import add_wake_ups
from migrations_app.targets import ALL_CURRENT, UNDO, Targets
from migrations_app.triggers.rules import Reason
from tenants_app import bulk
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""How long a worker may be silent about a run before another takes it over; renewed while it is at work."""
OCTETS_PER_SECOND = 200_000
"""Where a lease is for a large meeting, it is longer by the time that this many octets a second take; a worker on a
busy machine does several times as many."""
LONGEST_LEASE = timedelta(minutes=10)


_CLAIMED = ("state", "lease_token", "lease_until", "attempts", "started_at", "finished_at", "modified")


class LeaseLost(Exception):
    """The run was taken over by another worker; whatever this one has not committed must not be."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One user's run to be put in the queue."""

    user: ConferencingUser
    reasons: Sequence[Reason]
    targets: Targets = ALL_CURRENT


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """An undo of a run to be put in the queue, of all its meetings or the chosen ones (UIDs)."""

    run: Run
    reason: Reason
    chosen: Sequence[str] | None = None


def request_runs(
    tenant: Tenant,
    requests: Iterable[RunRequest],
    requested_by: str,
    *,
    now_due: bool = False,
    plan: Plan | None = None,
) -> None:
    """Put runs in the queue, one per user at most (R18), due after the settling time (R19) or at once.

    Runs of a ``plan`` begin only while it is open. Nothing else has to wait for it: a pending run of a plan leaves it
    when any other change joins, and one that is pending without a plan stays without when a planned one joins.

    A user's pending run is joined: the new reasons and targets are added (R40), and it becomes due no later than a new
    one would. One that waits for its retry may have migrated some meetings with older settings: a new run takes over
    from it, with its reasons and targets. It also takes the place of a pending undo, and ends the hold of one that is
    done. Inserts in bulk and wakes the cluster when the transaction commits.
    """
    # In the order in which everybody locks users, so that two large requests do not lock each other out.
    requests = sorted(requests, key=lambda request: request.user.pk)
    due = [due for some in batched(requests) for due in _request_some(tenant, some, requested_by, now_due, plan)]
    if due and min(due) <= clock.now():
        wake_cluster(len(due))


@transaction.atomic
def _request_some(
    tenant: Tenant, requests: list[RunRequest], requested_by: str, now_due: bool, plan: Plan | None
) -> list[datetime]:
    """Some of them, in as many statements as for one; when each is due."""
    now = clock.now()
    due = now if now_due else now + timedelta(seconds=tenant.settling_time)
    if plan is not None:
        due = max(due, plan.opens_at)
    pks = [request.user.pk for request in requests]
    lock_users(pks)
    # Locked, so that a worker cannot claim one in this moment and begin with the settings from before the change.
    locked = Run.objects.select_for_update().filter(user__in=pks, state=Run.State.PENDING)
    pending = {run.user_id: run for run in locked}
    joined: list[Run] = []
    new: list[Run] = []
    said: dict[tuple[Reason, ...], list[dict[str, Any]]] = {}  # the same list for all who have the same reasons
    called: dict[Targets, tuple[dict[str, str], str]] = {}
    for request in requests:
        waiting = pending.get(request.user.pk)
        if waiting and waiting.is_undo:
            waiting = None
        targets = Targets.of(waiting.targets).joined(request.targets) if waiting else request.targets
        reasons = said.setdefault(tuple(request.reasons), [reason._asdict() for reason in request.reasons])
        run = waiting
        leaves_plan = bool(waiting and waiting.plan_id and plan is None)
        if run is None or run.attempts:
            run = Run(
                tenant=tenant,
                user=request.user,
                reasons=waiting.reasons if waiting else reasons,
                requested_by=requested_by,
                due_at=due,
                created=now,
                plan=plan if waiting is None or waiting.plan_id else None,
            )
            new.append(run)
        else:
            joined.append(run)
        if waiting:
            run.reasons = [*run.reasons, *(each for each in reasons if each not in run.reasons)]
        if run.plan_id:
            run.plan = plan
        # While it waited for its plan, it was due only in name.
        run.due_at = due if leaves_plan else min(run.due_at, due)
        run.modified = now
        if targets not in called:
            called[targets] = targets.stored, targets.migration_type
        run.targets, run.migration_type = called[targets]
    bulk.update(joined, ["reasons", "due_at", "plan", "targets", "migration_type", "modified"])
    _withdraw([run.pk for run in pending.values() if run.attempts or run.is_undo], "newer-run", now)
    ConferencingUser.objects.filter(pk__in=pks, undo_holds=True).update(undo_holds=False)
    Run.objects.filter(user__in=[run.user_id for run in new], is_latest=True).update(is_latest=False)
    planned = count_stored([run.user_id for run in new]) if new else {}
    for run in new:
        run.planned_meetings = planned.get(run.user_id)
    bulk.insert(new)
    return [run.due_at for run in (*joined, *new)]


@transaction.atomic
def request_undo(request: UndoRequest, requested_by: str, *, now_due: bool = False) -> Run:
    """Put an undo in the queue, due after the settling time (R19) or at once.

    It takes the place of the user's pending run, which ends without being done (R18), and no change starts a run of
    theirs from now on, until a person does.
    """
    undone, now = request.run, clock.now()
    lock_users([undone.user_id])
    pending = Run.objects.select_for_update().filter(user=undone.user_id, state=Run.State.PENDING)
    _withdraw(list(pending.values_list("pk", flat=True)), "undone-instead", now)
    Run.objects.filter(user=undone.user_id, is_latest=True).update(is_latest=False)
    run = Run.objects.create(
        tenant_id=undone.tenant_id,
        user_id=undone.user_id,
        undoes=undone,
        chosen=None if request.chosen is None else list(request.chosen),
        targets={},
        migration_type=UNDO,
        reasons=[request.reason._asdict()],
        requested_by=requested_by,
        planned_meetings=undone.succeeded_meetings if request.chosen is None else len(request.chosen),
        created=now,
        due_at=now if now_due else now + timedelta(seconds=undone.tenant.settling_time),
    )
    ConferencingUser.objects.filter(pk=undone.user_id).update(undo_holds=True)
    if run.due_at <= now:
        wake_cluster()
    return run


def _withdraw(pks: Sequence[int], code: str, now: datetime) -> None:
    """End pending runs without doing them."""
    Run.objects.filter(pk__in=pks).update(
        state=Run.State.FAILED, last_error_code=code, last_error_detail="", finished_at=now, modified=now
    )


def wake_cluster(runs: int = 1) -> None:
    """Once the transaction is committed, wake as many workers as there is work for; harmless where none listens."""

    # A lost wake-up only costs time; the schedule makes up for it.
    transaction.on_commit(lambda: add_wake_ups(runs), robust=True)


def run_now(run: Run) -> bool:
    """Make a pending run due at once (R19), also where it waited for a plan; whether it was pending still."""
    now = clock.now()
    if not Run.objects.filter(pk=run.pk, state=Run.State.PENDING).update(due_at=now, modified=now, plan=None):
        return False
    wake_cluster()
    return True


def claim() -> Run | None:
    """Take the run that has been due longest; its attempt is counted before any work is done.

    A tenant that is switched off is passed over but for undos (R12), and so is a run whose plan is not open, a user
    whose earlier run is still going on, or whose mailbox's server is left alone for now. Tenants take turns, so that a
    large one does not keep a small one waiting.
    """
    waiting = lanes.in_turn()
    is_shared = len({lane.tenant for lane in waiting}) > 1
    return next(filter(None, (_claim(lane, is_shared) for lane in waiting if _has_run(lane))), None)


def is_due() -> bool:
    """Whether a run could be claimed now."""
    return any(map(_has_run, lanes.in_turn()))


def _has_run(lane: Lane) -> bool:
    """Looked for before the transaction of a claim begins: on SQLite that takes the only write lock, which waiting
    writers get in no order, so that workers with nothing to do would keep one of them from it for half a minute."""
    # In the order of the index, which a planner whose statistics are of before might leave otherwise.
    return lane.runs.values_list("pk").first() is not None


@transaction.atomic
def _claim(lane: Lane, is_shared: bool) -> Run | None:
    run = lane.runs.select_for_update(skip_locked=True, of=("self",)).first()
    if run is None:
        return None
    now = clock.now()
    if is_shared:
        _end_turn(run.tenant_id, now)
    run.state = Run.State.IN_PROGRESS
    run.lease_token = uuid.uuid4()
    run.lease_until = now + LEASE
    run.held_until = monotonic() + LEASE.total_seconds()
    run.attempts += 1
    run.started_at = run.started_at or now
    run.finished_at = None
    run.save(update_fields=_CLAIMED)
    return run


def _end_turn(tenant: int, now: datetime) -> None:
    """Put the tenant (key) behind all others, also behind those whose turn was noted by a clock that was ahead."""
    latest = Turn.objects.aggregate(Max("at"))["at__max"]
    at = max(now, latest + timedelta(microseconds=1)) if latest else now
    if not Turn.objects.filter(tenant=tenant).update(at=at):
        Turn.objects.bulk_create([Turn(tenant_id=tenant, at=at)], ignore_conflicts=True)


def hold(run: Run, **changes: object) -> None:
    """Inside the transaction of a batch: renew the lease and set ``changes``, or raise :class:`LeaseLost`."""
    now = clock.now()
    run.lease_until = now + LEASE
    run.held_until = monotonic() + LEASE.total_seconds()
    for name, value in changes.items():
        setattr(run, name, value)
    held = Run.objects.filter(pk=run.pk, lease_token=run.lease_token).update(
        lease_until=run.lease_until, modified=now, **changes
    )
    if held != 1:
        raise LeaseLost(f"run {run.correlation_id}")


def keep(run: Run, octets: int = 0) -> None:
    """Outside of transactions, before so many octets are worked on: renew the lease, once a third of it is gone.

    Costs nothing before, so that it can be called for each meeting. Raises :class:`LeaseLost`.
    """
    needed = min(LEASE + timedelta(seconds=octets / OCTETS_PER_SECOND), LONGEST_LEASE)
    if run.held_until < monotonic() + (needed - LEASE / 3).total_seconds():
        run.held_until = monotonic() + needed.total_seconds()
        run.lease_until = clock.now() + needed
        held = Run.objects.filter(pk=run.pk, lease_token=run.lease_token).update(lease_until=run.lease_until)
        if held != 1:
            raise LeaseLost(f"run {run.correlation_id}")


@transaction.atomic
def succeed(run: Run) -> None:
    """End the run well."""
    _release(run, Run.State.SUCCEEDED, finished_at=clock.now(), last_error_code="", last_error_detail="")
    left.settle(run, has_ended=True)


@transaction.atomic
def fail(run: Run, failure: Failure, *, again_at: datetime | None = None) -> None:
    """End the attempt after a failure: the run is tried again where waiting may help (R28), and is Failed otherwise.

    With ``again_at`` it waits until then whatever the failure is, and the attempt does not count: it is not about this
    run. A change meanwhile may have put a new run in the queue; then that one takes over instead of a retry.
    """
    cause = ""
    lock_users([run.user_id])
    replaced = Run.objects.filter(user=run.user_id, state=Run.State.PENDING).first()
    if again_at is not None and not replaced:
        _release(
            run,
            Run.State.PENDING,
            due_at=again_at,
            attempts=run.attempts - 1,
            last_error_code=failure.code,
            last_error_detail=failure.detail,
        )
        left.settle(run, has_ended=False)
        return
    if failure.cures_by_waiting and run.attempts <= RETRIES and not replaced:
        pause = pause_before_retry(run.attempts) if failure.retry_after is None else failure.retry_after
        _release(
            run,
            Run.State.PENDING,
            due_at=clock.now() + pause,
            last_error_code=failure.code,
            last_error_detail=failure.detail,
        )
        left.settle(run, has_ended=False)
        return
    is_taken_over = bool(replaced) and (again_at is not None or (failure.cures_by_waiting and run.attempts <= RETRIES))
    if replaced and is_taken_over and not (run.is_undo or replaced.is_undo):
        _take_over(replaced, run)
    elif failure.cures_by_waiting and not replaced:
        cause, failure = failure.code, Failure("retries-used-up", failure.what)
    _release(
        run,
        Run.State.FAILED,
        finished_at=clock.now(),
        last_error_code=failure.code,
        last_error_detail=failure.detail,
        left_meetings=run.left_meetings + (0 if is_taken_over else run.failed_meetings),
        last_error_cause=cause,
    )
    left.settle(run, has_ended=not is_taken_over)


def _take_over(pending: Run, begun: Run) -> None:
    """Let a pending run do what an earlier one had begun, and would have tried again (R40)."""
    targets = Targets.of(begun.targets).joined(Targets.of(pending.targets))
    pending.targets, pending.migration_type = targets.stored, targets.migration_type
    pending.reasons = [*begun.reasons, *(each for each in pending.reasons if each not in begun.reasons)]
    pending.modified = clock.now()
    if pending.plan_id and not begun.plan_id:  # which would have been tried again without waiting for a plan
        pending.plan, pending.due_at = None, pending.modified
    pending.save(update_fields=["targets", "migration_type", "reasons", "modified", "plan", "due_at"])


def sweep() -> int:
    """Put the runs of workers that fell silent back in the queue; how many there were.

    And what bears a time to come, because the clock was set back since, does not wait for it.
    """
    now = clock.now()
    _forget_times_to_come(now)
    lost = Run.objects.filter(clock.lease_is_over(now, LONGEST_LEASE), state=Run.State.IN_PROGRESS)
    return sum(_take_away(run) for run in lost.order_by())


def _take_away(run: Run) -> bool:
    """Whether the run was still with the worker that fell silent."""
    with transaction.atomic():
        lock_users([run.user_id])
        # It may have ended since, or its lease been renewed: on SQLite a sweep waits until the worker has committed.
        same = Run.objects.filter(pk=run.pk, lease_token=run.lease_token, lease_until=run.lease_until)
        if not list(same.select_for_update()):
            return False
        fail(run, Failure("worker-lost", retry_after=timedelta(0)))
    return True


def _forget_times_to_come(now: datetime) -> None:
    """Make pending runs due that were requested, or put off, at a time that is still to come."""
    limit = now + clock.TOLERANCE
    waiting = Run.objects.filter(state=Run.State.PENDING, due_at__gt=now)
    tenants = list(Tenant.objects.values_list("pk", flat=True))  # by the index of their runs by time, of which none is
    asked_for = waiting.filter(tenant__in=tenants, created__gt=limit, attempts=0)
    tried = waiting.filter(modified__gt=limit, attempts__gt=0)
    # As with claim: look before locking.
    made_due = sum(early.update(due_at=now, modified=now) for early in (asked_for, tried) if early.exists())
    if made_due:
        log.warning("The clock was set back: %d runs that bore a time to come are due now.", made_due)


def _release(run: Run, state: str, **changes: object) -> None:
    token = run.lease_token
    for name, value in changes.items():
        setattr(run, name, value)
    run.state, run.lease_token, run.lease_until = state, None, None
    released = Run.objects.filter(pk=run.pk, lease_token=token).update(
        state=state, lease_token=None, lease_until=None, modified=clock.now(), **changes
    )
    if released != 1:
        raise LeaseLost(f"run {run.correlation_id}")


def lock_users(pks: Sequence[int]) -> None:
    """Requests and retries of a user wait for each other, so that neither trips over the one-pending constraint.

    In a transaction; at most a batch of users at a time.
    """
    users = ConferencingUser.objects.filter(pk__in=pks).order_by("pk")
    list(users.select_for_update(no_key=True).values_list("pk"))
