"""How far a tenant's migrations are, how fast they go, and how long they will take, as far as that is known.

The total is planned first: each run knows from when it was asked for how many meetings its mailbox holds. What waits
for its time or for another try is counted apart, since nobody knows how long the mail system will need. Rates are those
of the minutes that were measured (``samples``): what this tenant really got from workers who serve others too. Where
too little is known there is no figure but the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Case, CharField, Count, F, Min, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.models import BulkAction, Run, Sample, runs_may_begin
from tenants_app.models import Tenant

STRETCH = 15
"""Minutes over which it is measured how fast runs go."""
ENOUGH = 3
"""Minutes with work in them that must be measured before a figure is given."""
ENOUGH_MEETINGS, ENOUGH_SECONDS = 5, 10
"""The same within one run: meetings that were written, and how long it must have been at work."""
TOO_WIDE = 10
"""A range whose ends differ by more than this factor says nothing."""
WITHDRAWN = ("newer-run", "undone-instead", "rolled-back")
"""Codes of runs that ended without being done, because another took their place or nobody wants them any more."""

_MEETINGS = Case(When(total_meetings__gt=0, then=F("total_meetings")), default=F("planned_meetings"))
_UNPLANNED = Q(total_meetings=0, planned_meetings=None)
_DONE = F("succeeded_meetings") + F("skipped_meetings") + F("failed_meetings")


@dataclass(frozen=True, slots=True)
class Left:
    """How long something will take: a range, or why that is not known."""

    least: timedelta | None = None
    most: timedelta | None = None
    """None where it is only known that it takes ``least`` or longer."""
    why_not: str = ""

    @property
    def sentence(self) -> str:
        """As people say it, no finer than it is known."""
        if self.least is None:
            return self.why_not
        if self.most is None:
            return _at_least(self.least)
        return _span(self.least, self.most)


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast it went in the minutes of the last ``STRETCH`` that were measured and had work in them."""

    minutes: int
    users: float
    """Runs that ended, a minute."""
    meetings: float
    """Of those runs, a minute."""
    slowest: tuple[float, float] = (0.0, 0.0)
    """Users and meetings a minute in the third of the minutes that was slowest, for each of the two."""
    fastest: tuple[float, float] = (0.0, 0.0)

    @property
    def is_enough(self) -> bool:
        return self.minutes >= ENOUGH


@dataclass(frozen=True, slots=True)
class Underway:
    """What a tenant's workers are at, of one look: everything that was asked for since ``since``."""

    since: datetime | None
    """When the oldest of what is at work, or could be, was asked for; None where nothing is."""
    users_done: int
    users_running: int
    users_ready: int
    """Whose run is due and waits for a worker."""
    users_coming: int
    """Whom a job for many users is still putting in the queue; how many meetings they have is not known yet."""
    meetings_done: int
    meetings_total: int
    users_unplanned: int
    """Of those who run or are ready: whose mailbox MMS has not looked through yet."""
    users_later: int
    """Whose run waits for its time. Apart, as the next."""
    users_retrying: int
    """Whose run waits for another try."""

    @property
    def users_total(self) -> int:
        return self.users_done + self.users_running + self.users_ready + self.users_coming

    @property
    def users_left(self) -> int:
        return self.users_running + self.users_ready + self.users_coming

    @property
    def is_total_known(self) -> bool:
        """Whether it is known how many meetings there are in all."""
        return not self.users_coming and not self.users_unplanned

    @property
    def meetings_left(self) -> int:
        return max(self.meetings_total - self.meetings_done, 0)


def underway(tenant: Tenant, now: datetime) -> Underway:
    """What is at work, done and to be done: three statements, each by indexes of what it asks for.

    Runs are counted in one statement, so that one which is just claimed, or just ends, counts once.
    """
    jobs = BulkAction.objects.filter(runs_may_begin(now), tenant=tenant, state__in=BulkAction.OPEN)
    to_come = F("user_count") - F("done_count") - F("refused_count")
    coming = jobs.exclude(kind__in=BulkAction.WITHOUT_RUNS).aggregate(
        users=Coalesce(Sum(to_come), 0), since=Min("created")
    )
    of_tenant = Run.objects.filter(tenant=tenant).order_by()
    pending, running = (of_tenant.filter(state=state) for state in (Run.State.PENDING, Run.State.IN_PROGRESS))
    is_due, total = Q(due_at__lte=now) & runs_may_begin(now), F("total_meetings")
    oldest = (rows.values("tenant").annotate(at=Min("created")) for rows in (pending.filter(is_due), running))
    asked_for = [moment for _, moment in next(oldest).union(next(oldest)).values_list("tenant", "at")]
    since = min((moment for moment in (*asked_for, coming["since"]) if moment), default=None)
    over = of_tenant.filter(finished_at__gte=since or now, state__in=[Run.State.SUCCEEDED, Run.State.FAILED])
    over = over.exclude(last_error_code__in=WITHDRAWN)
    no = Value(0)
    counted_once = _sums("pending", pending, is_due, _MEETINGS, no, is_due & _UNPLANNED, ~is_due).union(
        _sums("running", running, Q(), _MEETINGS, _DONE, _UNPLANNED, None),
        _sums("over", over, Q(), total, total, None, None),
        all=True,
    )
    sums = dict.fromkeys(("pending", "running", "over"), _NOTHING) | {
        kind: _Sums(*found) for kind, *found in counted_once
    }
    ready, at_work, done = sums["pending"], sums["running"], sums["over"]
    return Underway(
        since=since,
        users_done=done.users,
        users_running=at_work.users,
        users_ready=ready.users,
        users_coming=max(coming["users"], 0),
        meetings_done=done.meetings + at_work.done,
        meetings_total=done.meetings + at_work.meetings + ready.meetings,
        users_unplanned=ready.unplanned + at_work.unplanned,
        users_later=ready.later,
        users_retrying=ready.retrying,
    )


class _Sums(NamedTuple):
    """Runs of one kind in sum: users, their meetings, how many of these are done, users whose meetings nobody knows,
    and who waits for another try or for their time."""

    users: int
    meetings: int
    done: int
    unplanned: int
    retrying: int
    later: int


_NOTHING = _Sums(0, 0, 0, 0, 0, 0)


def _sums(
    kind: str, runs: QuerySet[Run], those: Q, meetings: Any, done: Any, unplanned: Q | None, waiting: Q | None
) -> Any:
    """One row of the kind and its :class:`_Sums`, where there are such runs."""
    nobody = Q(pk=None)
    return (
        runs.values("tenant")
        .annotate(
            kind=Value(kind, CharField()),
            users=Count("pk", filter=those or None),
            meetings=Coalesce(Sum(meetings, filter=those or None), 0),
            done=Coalesce(Sum(done), 0),
            unplanned=Count("pk", filter=unplanned or nobody),
            retrying=Count("pk", filter=waiting & ~Q(last_error_code="") if waiting else nobody),
            later=Count("pk", filter=waiting & Q(last_error_code="") if waiting else nobody),
        )
        .values_list("kind", *_Sums._fields)
    )


def rate(tenant: Tenant, now: datetime) -> Rate:
    """How fast the tenant's runs went lately, by what was measured."""
    since = now - timedelta(minutes=STRETCH + 1)
    found = Sample.objects.filter(tenant=tenant, length=Sample.MINUTE, at__gt=since, at__lte=now).order_by("at")
    measured = [
        (float(runs), float(meetings))
        for runs, meetings, running in found.values_list("runs_ended", "meetings", "in_progress")
        if runs or running
    ][-STRETCH:]
    if not measured:
        return Rate(0, 0, 0)
    third = max(len(measured) // 3, 1)
    parts = [_mean(measured[at : at + third]) for at in range(0, len(measured) - third + 1, third)]
    users, meetings = zip(*parts, strict=True)
    return Rate(
        len(measured), *_mean(measured), slowest=(min(users), min(meetings)), fastest=(max(users), max(meetings))
    )


def left_of_queue(found: Underway, measured: Rate) -> Left:
    """How long until everything that could be worked now is done, if it goes on as it went."""
    if not measured.is_enough:
        return Left(
            why_not=_("Remaining time not known yet: MMS measures for %(enough)s minutes first (%(minutes)s so far).")
            % {"enough": ENOUGH, "minutes": measured.minutes}
        )
    by_meetings = found.is_total_known and measured.meetings > 0
    to_do = found.meetings_left if by_meetings else found.users_left
    slowest, fastest = measured.slowest[by_meetings], measured.fastest[by_meetings]
    if not fastest:
        why_not = _("Remaining time not known: no run has ended in the %(minutes)s minutes measured.")
        return Left(why_not=why_not % {"minutes": measured.minutes})
    usual = measured.meetings if by_meetings else measured.users
    least = timedelta(minutes=to_do / max(fastest, usual * 1.2))
    return Left(least, timedelta(minutes=to_do / min(slowest, usual / 1.2)) if slowest else None)


def left_of_run(run: Run, now: datetime) -> Left:
    """How long a run in progress will still take, by its own pace.

    Meetings that need no change are passed over quickly, and nobody knows how many of the others are such: it takes at
    least as long as if all were, and at most as long as if none were.
    """
    if run.attempts > 1:
        return Left(why_not=_("time left not known: it goes on after a failure"))
    seconds = (now - run.started_at).total_seconds() if run.started_at else 0.0
    written = run.succeeded_meetings + run.failed_meetings
    if not run.total_meetings or written < ENOUGH_MEETINGS or seconds < ENOUGH_SECONDS:
        return Left(why_not=_("time left not known yet"))
    to_do = max(run.total_meetings - run.done_meetings, 0)
    if run.done_meetings > TOO_WIDE * written:
        return Left(why_not=_("time left not known: most meetings so far needed no change"))
    least = timedelta(seconds=seconds * to_do / run.done_meetings)
    return Left(least, timedelta(seconds=seconds * to_do / written * 1.2))


def _mean(rows: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(row[0] for row in rows) / len(rows), sum(row[1] for row in rows) / len(rows)


def _in_one_unit(least: timedelta, most: timedelta) -> tuple[bool, int, int]:
    """Whether the unit is hours and not minutes, and both ends in it, rounded outwards."""
    are_hours = least >= timedelta(minutes=90)
    unit = timedelta(hours=1) if are_hours else timedelta(minutes=1)
    return are_hours, int(least / unit), -int(-most / unit // 1)


def _at_least(least: timedelta) -> str:
    """``at least about 3 minutes left``."""
    if least < timedelta(minutes=1):
        return _("at least less than a minute left")
    are_hours, first, last = _in_one_unit(least, least)
    values = {"first": intcomma(first), "last": intcomma(last)}
    if are_hours and first == last:
        return ngettext("at least about %(last)s hour left", "at least about %(last)s hours left", last) % values
    if are_hours:
        return (
            ngettext("at least %(first)s to %(last)s hour left", "at least %(first)s to %(last)s hours left", last)
            % values
        )
    if first == last:
        return ngettext("at least about %(last)s minute left", "at least about %(last)s minutes left", last) % values
    return (
        ngettext("at least %(first)s to %(last)s minute left", "at least %(first)s to %(last)s minutes left", last)
        % values
    )


def _span(least: timedelta, most: timedelta) -> str:
    """``2 to 4 minutes left``; both ends in one unit."""
    if most < timedelta(minutes=1):
        return _("less than a minute left")
    are_hours, first, last = _in_one_unit(least, most)
    values = {"first": intcomma(first), "last": intcomma(last)}
    if first == 0:  # of minutes: hours begin at 90 minutes
        return ngettext("up to %(last)s minute left", "up to %(last)s minutes left", last) % values
    if are_hours and first == last:
        return ngettext("about %(last)s hour left", "about %(last)s hours left", last) % values
    if are_hours:
        return ngettext("%(first)s to %(last)s hour left", "%(first)s to %(last)s hours left", last) % values
    if first == last:
        return ngettext("about %(last)s minute left", "about %(last)s minutes left", last) % values
    return ngettext("%(first)s to %(last)s minute left", "%(first)s to %(last)s minutes left", last) % values
