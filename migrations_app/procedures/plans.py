"""Planned jobs: what people do about one, and how it comes to its end (see ``runs.plans`` for when it is open).

Until it has begun, a plan can be changed and cancelled, and nothing else has happened than that it was confirmed. Once
it has begun, to cancel it leaves out the users who are not done, and takes back the runs that were only started by hand
and have not begun; where settings were changed already, the runs that this asks for still follow, each while the plan
is open. Every function locks the job, then the tenant, then the plan, as the job itself does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from migrations_app.models import BulkAction, BulkActionUser, NumberRelease, Plan, Run
from migrations_app.monitoring import clock
from migrations_app.procedures import bulk_actions, number_release
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs import plans
from migrations_app.runs.plans import When
from migrations_app.runs.queue import lock_users
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.changes.locking import wait_for_others
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.wording import counted

IS_WAITED_FOR = True
"""Somebody waits for the window to open; it costs a look at the few plans that are open."""

HAS_BEGUN = sentence("It has begun or has ended, so its time cannot be changed any more.")

Job = BulkAction | NumberRelease


def job_of(plan: Plan) -> Job:
    """What is planned, of rows that were fetched with the plan where it was."""
    found: Job | None = next(iter(plan.bulk_actions.all()), None)
    return found or plan.number_releases.all()[0]


def job_in_words(job: Job) -> str:
    """What is to be done: ``Start runs for 2 users``."""
    if isinstance(job, NumberRelease):
        return sentence("Take %(number)s off its bridge", number=job.e164)
    label = KINDS[job.kind].label
    return sentence_plural("%(action)s for %(n)s user", "%(action)s for %(n)s users", job.user_count, action=label)


def page_of(job: Job) -> str:
    """The name of the page of such a job."""
    return "release" if isinstance(job, NumberRelease) else "bulk-action"


# --- what administrators do ---------------------------------------------------------------------------


@transaction.atomic
def change(plan: Plan, when: When, actor: Actor) -> None:
    """Let it begin at another time. Raises ``ValidationError`` with a sentence where it has begun."""
    job, plan = _locked_job(plan), _locked(plan)
    if plan.state != Plan.State.PLANNED:
        raise ValidationError(HAS_BEGUN)
    before = When(plan.not_before, plan.window).kept
    plans.set_when(plan, when)
    entry(plan.tenant, actor, "change planned start", _named(job), before, when.kept).save()


@transaction.atomic
def bring_forward(plan: Plan, actor: Actor) -> bool:
    """Begin, or go on, at once and without the daily window. Returns whether there was something to bring forward."""
    job, plan = _locked_job(plan), _locked(plan)
    if not plan.is_ahead:
        return False
    before = When(plan.not_before, plan.window).kept
    plans.open_now(plan)
    entry(plan.tenant, actor, "bring planned start forward", _named(job), before).save()
    return True


@transaction.atomic
def cancel(plan: Plan, actor: Actor) -> bool:
    """Cancel what has not begun of it. Returns whether there was anything; what was done stays done."""
    job, plan = _locked_job(plan), _locked(plan)
    if not plan.is_ahead:
        return False
    if isinstance(job, NumberRelease):
        return number_release.cancel_release(job, actor)
    withdrawn = _withdraw_runs(plan, actor) if KINDS[job.kind].only_starts else 0
    stopped = bulk_actions.stop(job, actor)
    if not (withdrawn or stopped):
        return False
    plans.cancelled(plan, actor)
    told = {"users": job.user_count - job.handled_count, "runs taken back": withdrawn}
    entry(plan.tenant, actor, "cancel planned start", _named(job), after=told).save()
    return True


def _withdraw_runs(plan: Plan, actor: Actor) -> int:
    """Take back the plan's runs that were only started by hand, and have not begun. How many these are.

    One that another planned start has asked for too, and that has joined this plan, goes back to that one's.
    """
    waiting = Run.objects.filter(plan=plan, state=Run.State.PENDING, attempts=0)
    withdrawn, now = 0, clock.now()
    for users in batched(waiting.order_by("user_id").values_list("user_id", flat=True)):
        lock_users(users)
        runs = waiting.filter(user__in=users).select_for_update(of=("self",))
        started = {run.user_id: run for run in runs if all(reason["rule"] == "R11" for reason in run.reasons)}
        for other, asked in _asked_for_by_others(plan, started).items():
            Plan.objects.filter(pk=other.pk).update(state=Plan.State.BEGUN, finished_at=None)
            pks = [started.pop(user).pk for user in asked]
            withdrawn += Run.objects.filter(pk__in=pks).update(plan=other, due_at=other.opens_at, modified=now)
        pks = [run.pk for run in started.values()]
        withdrawn += Run.objects.filter(pk__in=pks).update(
            state=Run.State.FAILED,
            last_error_code="plan-cancelled",
            finished_at=now,
            modified=now,
            accepted_at=now,
            accepted_by=actor.name,
            accepted_note=sentence("The planned start was cancelled."),
        )
    return withdrawn


def _asked_for_by_others(plan: Plan, pending: Mapping[int, Run]) -> dict[Plan, list[int]]:
    """Of these users (keys) those whose run another plan has started too, by that plan. It may be over: its run has
    joined this one's."""
    starts = [kind.name for kind in KINDS.values() if kind.only_starts]
    found = BulkActionUser.objects.filter(
        ~Exists(Run.objects.filter(user=OuterRef("user"), plan=OuterRef("action__plan"))),
        user__in=pending,
        state=BulkActionUser.State.DONE,
        action__kind__in=starts,
        action__plan__state__in=[Plan.State.BEGUN, Plan.State.DONE],
        action__plan__cancelled_by="",
    )
    asked: dict[int, Plan] = {}
    for row in found.exclude(action__plan=plan.pk).select_related("action__plan").order_by("-action__plan__opens_at"):
        other = row.action.plan
        if other and row.user_id and (other.finished_at is None or other.finished_at >= pending[row.user_id].created):
            asked[row.user_id] = other
    by_plan: dict[Plan, list[int]] = {}
    for user, other in asked.items():
        by_plan.setdefault(other, []).append(user)
    return by_plan


def _locked_job(plan: Plan) -> Job:
    job = job_of(plan)
    return type(job)._default_manager.select_for_update(of=("self",), no_key=True).get(pk=job.pk)


def _locked(plan: Plan) -> Plan:
    wait_for_others(plan.tenant)
    return Plan.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=plan.pk)


def _named(job: Job) -> str:
    return (
        job.e164
        if isinstance(job, NumberRelease)
        else sentence("%(kind)s for %(users)s", kind=job.kind, users=counted(job.user_count, "user"))
    )


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Bring the plans up to date, and end those of which nothing is left. Never makes anything due by itself: what a
    plan has opened for is found by who looks for it."""
    plans.roll()
    over = _over()
    for state, found in ((Plan.State.DONE, over.filter(cancelled_by="")), (Plan.State.CANCELLED, over)):
        if found.exists():  # on SQLite a look takes no lock
            _end(found, state)
    return False


@transaction.atomic
def _end(over: QuerySet[Plan], state: Plan.State) -> None:
    """Looked at once more when they are locked: a run may have come back to one of them."""
    locked = list(over.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    over.filter(pk__in=locked).update(state=state, finished_at=clock.now())


def _over() -> QuerySet[Plan]:
    """Begun plans of which nothing is left to do."""
    unfinished = Run.objects.filter(plan=OuterRef("pk"), state__in=[Run.State.PENDING, Run.State.IN_PROGRESS])
    actions = BulkAction.objects.filter(plan=OuterRef("pk"), state__in=BulkAction.OPEN)
    releases = NumberRelease.objects.filter(plan=OuterRef("pk"), state__in=NumberRelease.OPEN)
    begun = Plan.objects.filter(state=Plan.State.BEGUN)
    return begun.exclude(Exists(unfinished) | Exists(actions) | Exists(releases))


def is_due(now: datetime) -> bool:
    """Never: what becomes due when a plan opens are jobs and runs."""
    return False


def settles_at() -> datetime | None:
    """None: nobody waits in a terminal for a time that was planned."""
    return None
