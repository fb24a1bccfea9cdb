"""When planned runs may begin: an earliest start, and perhaps a daily window in the tenant's time zone (R37).

A :class:`Plan` says by ``opens_at`` and ``closes_at`` when its runs may begin, or may next; :func:`roll` brings that up
to date, from the time and the tenant's zone alone, so that it is right again after any interruption, after the clock
was set, and on days when clocks change. The queue claims a run of a plan only while the plan is open, be it for the
first time or after a failure: a run that has not begun when the window closes waits until it opens again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext

from migrations_app.models import NumberRelease, Plan, Run
from migrations_app.monitoring import clock
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor
from tenants_app.local_times import DailyWindow, in_words, read_moment, read_time, told
from tenants_app.models import Tenant
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class When:
    """When something is to begin, as somebody has asked for it."""

    not_before: datetime
    window: DailyWindow | None = None
    tells: bool = False
    """Whether the organizers are told before (R37)."""
    tells_cancellation: bool = False
    """Whether those who were told are told where it is called off."""

    def opening(self, tenant: Tenant, now: datetime) -> tuple[datetime, datetime | None]:
        """From when and until when it may begin; the next time, or now."""
        if self.window is None:
            return self.not_before, None
        opens, closes = self.window.next_opening(tenant.zone, max(now, self.not_before))
        return max(opens, self.not_before), closes

    @property
    def kept(self) -> dict[str, str]:
        """What the audit keeps of it."""
        between = {"between": str(self.window)} if self.window else {}
        told = {"organizers": "told before"} if self.tells else {}
        return {"earliest start": self.not_before.isoformat(timespec="minutes")} | between | told


def read_when(tenant: Tenant, typed: Mapping[str, str]) -> When | None:
    """When it is to begin, from what was typed as ``not_before``, ``window_from`` and ``window_to``; None: as ever.
    With ``notify`` the organizers are told before, with ``notify_cancelled`` also where it is called off.

    Raises ``ValidationError`` with a sentence for each field that cannot be.
    """
    texts = {name: typed.get(name, "").strip() for name in ("not_before", "window_from", "window_to")}
    tells = bool(typed.get("notify"))
    if not any(texts.values()):
        if tells:
            raise ValidationError({"not_before": sentence("Say when it begins: that is what the organizers are told.")})
        return None
    now, problems = clock.now(), {}
    moment, window = now, None
    try:
        if texts["not_before"]:
            moment = read_moment(texts["not_before"], tenant.zone, now)
    except ValidationError as error:
        problems["not_before"] = error.messages
    try:
        window = read_window(texts["window_from"], texts["window_to"])
    except ValidationError as error:
        problems["window_from"] = error.messages
    if problems:
        raise ValidationError(problems)
    return When(moment, window, tells, tells and bool(typed.get("notify_cancelled")))


def read_window(begin: str, end: str) -> DailyWindow | None:
    """A daily window of two times that were typed; None where neither was. Raises ``ValidationError``."""
    if not begin and not end:
        return None
    if not begin or not end:
        raise ValidationError(
            sentence("A daily window needs two times, such as 22:00 and 6:00: give both, or neither.")
        )
    window = DailyWindow(read_time(begin), read_time(end))
    if window.begin == window.end:
        raise ValidationError(
            sentence(
                "From %(begin)s to %(end)s no time passes: give a later end, or leave out both.", begin=begin, end=end
            )
        )
    return window


def make_plan(tenant: Tenant, when: When, actor: Actor) -> Plan:
    """A plan for what its caller stores with it, and audits, in the same transaction."""
    opens, closes = when.opening(tenant, clock.now())
    window = when.window
    return Plan.objects.create(
        tenant=tenant,
        not_before=when.not_before,
        window_from=window.begin if window else None,
        window_to=window.end if window else None,
        opens_at=opens,
        closes_at=closes,
        wants_notice=when.tells,
        tells_cancellation=when.tells_cancellation,
        requested_by=actor.name,
    )


def begins_in_words(plan: Plan) -> str:
    """When it begins, or goes on, for people: ``Saturday 5 December 2026, 22:00, Rome time``, and its window."""
    zone = plan.tenant.zone
    begins = told(plan.opens_at, zone)
    if plan.window is None:
        return begins
    return gettext("%(moment)s; only between %(begin)s and %(end)s") % {
        "moment": begins,
        "begin": f"{plan.window.begin:%H:%M}",
        "end": f"{plan.window.end:%H:%M}",
    }


def window_in_words(plan: Plan) -> str:
    """Its daily window with the zone; empty where it has none."""
    return f"{plan.window}, {in_words(plan.tenant.zone)}" if plan.window else ""


# --- going on by itself -------------------------------------------------------------------------------


def roll(tenant: Tenant | None = None) -> None:
    """Bring up to date when plans are open, and when what waits for them is due; of one tenant, or of all."""
    now = clock.now()
    plans = Plan.objects.filter(state__in=Plan.OPEN).select_related("tenant").order_by("pk")
    for plan in plans.filter(tenant=tenant) if tenant else plans:
        opens, closes = _when(plan).opening(plan.tenant, now)
        if (opens, closes) != (plan.opens_at, plan.closes_at):
            # Of a plan that was changed meanwhile, its new times are left.
            same = Plan.objects.filter(pk=plan.pk, opens_at=plan.opens_at, closes_at=plan.closes_at)
            plan.opens_at, plan.closes_at = opens, closes
            if not same.update(opens_at=opens, closes_at=closes):
                continue
        if now < opens:
            _put_off(plan)


def _when(plan: Plan) -> When:
    return When(plan.not_before, plan.window)


def _put_off(plan: Plan) -> None:
    """Let pages and the order of the queue say that what waits for a closed plan is due when it opens."""
    same = Plan.objects.filter(pk=plan.pk, opens_at=plan.opens_at)  # and not one that was brought forward meanwhile
    runs = Run.objects.filter(plan__in=same, state=Run.State.PENDING, due_at__lt=plan.opens_at)
    if runs.exists():  # on SQLite a look takes no lock
        runs.update(due_at=plan.opens_at)
    waiting = NumberRelease.objects.filter(plan__in=same, state=NumberRelease.State.WAITING)
    waiting = waiting.exclude(due_at=plan.opens_at)
    if waiting.exists():
        waiting.update(due_at=plan.opens_at)


def begin(plan: Plan) -> None:
    """Note that what was planned has begun; in the transaction of its first step."""
    Plan.objects.filter(pk=plan.pk, state=Plan.State.PLANNED).update(state=Plan.State.BEGUN)


# --- what people change -------------------------------------------------------------------------------


@transaction.atomic
def set_when(plan: Plan, when: When) -> None:
    """Let it begin at another time; its caller has made sure that it has not begun, and audits."""
    opens, closes = when.opening(plan.tenant, clock.now())
    plan.not_before, plan.opens_at, plan.closes_at = when.not_before, opens, closes
    plan.window_from = when.window.begin if when.window else None
    plan.window_to = when.window.end if when.window else None
    plan.save(update_fields=["not_before", "window_from", "window_to", "opens_at", "closes_at"])
    NumberRelease.objects.filter(plan=plan, state=NumberRelease.State.WAITING).update(due_at=opens)


def cancelled(plan: Plan, actor: Actor) -> None:
    """Note that it was cancelled, and by whom; in the transaction that ends what was planned, and audits.

    As long as runs of it that had begun are still to be tried again, they need its window, and it has not ended.
    """
    plan.cancelled_by = actor.name
    if not Run.objects.filter(plan=plan, state__in=[Run.State.PENDING, Run.State.IN_PROGRESS]).exists():
        plan.state, plan.finished_at = Plan.State.CANCELLED, clock.now()
    plan.save(update_fields=["state", "cancelled_by", "finished_at"])


@transaction.atomic
def open_now(plan: Plan) -> None:
    """Let it begin, or go on, at once and without a window; its caller audits."""
    now = clock.now()
    plan.not_before = plan.opens_at = now
    plan.closes_at = plan.window_from = plan.window_to = None
    plan.save(update_fields=["not_before", "window_from", "window_to", "opens_at", "closes_at"])
    NumberRelease.objects.filter(plan=plan, state=NumberRelease.State.WAITING).update(due_at=now)
    # What has failed before keeps its pause (R28).
    Run.objects.filter(plan=plan, state=Run.State.PENDING, attempts=0).update(due_at=now)
    wake_cluster()
