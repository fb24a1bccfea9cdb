"""How each tenant stood, minute by minute and hour by hour: taken by whichever worker is awake, read by the charts.

A minute is measured once, some seconds after it is over, for all tenants in a handful of statements. What was done in
it follows from when runs ended and messages were sent, so that it does not matter who measures, or how often. A minute
in which nobody was awake has no row: charts show a gap there and never a zero.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, F, Max, Min, Sum, Value
from django.db.models.functions import Coalesce, NullIf

from migrations_app.models import LeftMeeting, Run, Sample, Update
from migrations_app.monitoring import activity, clock
from tenants_app.models import Tenant

log = logging.getLogger(__name__)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SETTLED_AFTER = timedelta(seconds=5)
"""How long after its end a minute is measured: what ended in it is committed by then."""
MINUTES_KEPT = timedelta(hours=26)
"""So that the last day can be shown by the minute; hours are kept as long as the history (R30)."""

_STATES = {
    Run.State.FAILED: "failed",
    Run.State.PENDING: "pending",
    Run.State.IN_PROGRESS: "in_progress",
    Run.State.SUCCEEDED: "succeeded",
}


def take() -> bool:
    """Measure the minute that is just over, unless somebody has; whether it was measured now. Repeatable safely.

    Outside of transactions. What is in the way of it is logged and in the way of nothing else: the minute is a gap.
    """
    try:
        return _take(clock.now())
    except DatabaseError as error:
        log.warning("a minute was not measured: %s", error)
        return False


def _take(now: datetime) -> bool:
    at = (now - SETTLED_AFTER).replace(second=0, microsecond=0)
    lately = Sample.objects.filter(length=Sample.MINUTE, at__gte=at - 2 * MINUTE, at__lte=at)
    there = set(lately.values_list("at", flat=True).distinct())
    if at in there:
        return False
    # Wake-ups are a minute apart and not exact, so one may come just too early and the next a minute late.
    is_late = at - MINUTE not in there and at - 2 * MINUTE in there
    for moment in (at - MINUTE, at) if is_late else (at,):
        Sample.objects.bulk_create(_minute(moment, now), batch_size=500, ignore_conflicts=True)
    _sum_up_hours(at)
    activity.forget()
    return True


def prune(before: datetime) -> int:
    """Drop the hours that were over ``before`` this (R30); returns how many rows went."""
    deleted, _ = Sample.objects.filter(length=Sample.HOUR, at__lt=before).delete()
    return deleted


def _minute(at: datetime, now: datetime) -> list[Sample]:
    """The minute that ended ``at``, of every tenant: how it stands now, and what was done in the minute."""
    states: defaultdict[int, dict[str, int]] = defaultdict(dict)
    latest = Run.objects.filter(is_latest=True).order_by()
    for tenant, state, users in latest.values_list("tenant", "state").annotate(rows=Count("*")):
        states[tenant][_STATES[state]] = users
    left = _counts(LeftMeeting.objects.filter(state=LeftMeeting.State.OPEN, last_end__gt=now))
    waiting = _counts(Update.objects.filter(state=Update.State.QUEUED))
    sent = _counts(Update.objects.filter(state=Update.State.SENT, sent_at__gte=at - MINUTE, sent_at__lt=at))
    ended: Counter[int] = Counter()
    meetings: Counter[int] = Counter()
    failures: defaultdict[int, Counter[str]] = defaultdict(Counter)
    over = Run.objects.filter(finished_at__gte=at - MINUTE, finished_at__lt=at).order_by()
    code = Coalesce(NullIf("last_error_cause", Value("")), F("last_error_code"))
    by_code = over.annotate(code=code).values_list("tenant", "state", "code")
    for tenant, state, why, runs, worked in by_code.annotate(rows=Count("*"), worked=Sum("total_meetings")):
        ended[tenant] += runs
        meetings[tenant] += worked or 0
        if state == Run.State.FAILED:
            failures[tenant][why] += runs
    return [
        Sample(
            tenant_id=tenant,
            at=at,
            **states[tenant],
            left=left.get(tenant, 0),
            waiting=waiting.get(tenant, 0),
            sent=sent.get(tenant, 0),
            runs_ended=ended[tenant],
            meetings=meetings[tenant],
            failures=dict(failures[tenant]),
        )
        for tenant in Tenant.objects.order_by("pk").values_list("pk", flat=True)
    ]


def _counts(rows: Any) -> Mapping[int, int]:
    return dict(rows.order_by().values_list("tenant").annotate(rows=Count("*")))


def _sum_up_hours(at: datetime) -> None:
    """Make a row of each hour that is over and has none, of the minutes that were measured in it, and drop old ones."""
    over = at.replace(minute=0)
    minutes = Sample.objects.filter(length=Sample.MINUTE)
    last = Sample.objects.filter(length=Sample.HOUR).aggregate(at=Max("at"))["at"] or over - MINUTES_KEPT
    while first := minutes.filter(at__gt=last, at__lte=over).aggregate(at=Min("at"))["at"]:
        last = (first - MINUTE).replace(minute=0) + HOUR
        hour = _hour(last, minutes.filter(at__gt=last - HOUR, at__lte=last))
        Sample.objects.bulk_create(hour, batch_size=500, ignore_conflicts=True)
        minutes.filter(at__lte=over - MINUTES_KEPT).delete()


def _hour(at: datetime, minutes: Any) -> list[Sample]:
    """The hour that ended ``at``, of every tenant that was measured: how it stood last, and what was done."""
    hours: dict[int, Sample] = {}
    for minute in minutes.order_by("at"):
        before = hours.get(minute.tenant_id)
        minute.pk, minute.at, minute.length = None, at, Sample.HOUR
        if before:
            minute.measured += before.measured
            minute.sent += before.sent
            minute.runs_ended += before.runs_ended
            minute.meetings += before.meetings
            minute.failures = dict(Counter(minute.failures) + Counter(before.failures))
        hours[minute.tenant_id] = minute
    return list(hours.values())
