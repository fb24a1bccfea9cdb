"""The dashboard: how the tenant's migrations stand, and what needs an administrator now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from migrations_app.badges import BADGES, NEVER_RUN
from migrations_app.models import AlertSettings, MeetingResult, Run, Update
from migrations_app.monitoring import clock, mail_server
from migrations_app.monitoring.health import Workers, workers
from migrations_app.monitoring.over_time import STRETCHES, USUAL, over_time
from migrations_app.monitoring.progress import count_accepted, users_by_state
from migrations_app.monitoring.underway import Underway, left_of_queue, left_of_run, rate, underway
from migrations_app.runs.failed import failed_runs
from migrations_app.runs.left import count_open
from migrations_app.runs.out_of_date import count_out_of_date
from migrations_app.screens import charts
from migrations_app.screens.first_steps import first_steps
from migrations_app.screens.live import Live
from migrations_app.screens.over_time import charts_over_time
from migrations_app.targets import UNDO
from tenants_app.access import access_for
from tenants_app.models import WARN_BEFORE, ConferencingUser, Tenant
from tenants_app.screens.requests import Request
from tenants_app.signals import Standing

SOON = timedelta(seconds=30)
SHOWN = 6
"""Rows of each list on the dashboard; the rest is a click away."""


@require_safe
def dashboard(request: Request, slug: str) -> HttpResponse:
    """The whole page, and its live part alone for htmx."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    now = clock.now()
    context = {"access": access, **_status(access.tenant, now)}
    has_succeeded = context["counts"][Run.State.SUCCEEDED] > 0
    context |= first_steps(request, access, has_succeeded=has_succeeded)
    if context["ran_count"]:
        wanted = STRETCHES.get(request.GET.get("over", ""), USUAL)
        context["over_time"] = charts_over_time(over_time(access.tenant, wanted, now))
    return live.answer("dashboard/dashboard.html", "dashboard/live.html", context)


def _status(tenant: Tenant, now: datetime) -> dict[str, Any]:
    is_on = tenant.meeting_migration_enabled
    latest = Run.objects.filter(tenant=tenant, is_latest=True)
    counts = users_by_state(tenant)
    accepted = count_accepted(tenant) if counts[Run.State.FAILED] else 0
    # So that a database begins with the few runs in a state, and not with all the runs or users that the tenant has.
    of_tenant = ConferencingUser.objects.filter(pk=OuterRef("user"), tenant=tenant)
    runs = Run.objects.filter(Exists(of_tenant)).select_related("user")
    queued, failed = Update.objects.filter(tenant=tenant, state=Update.State.QUEUED), _failed_messages(tenant)
    user_count = ConferencingUser.objects.filter(tenant=tenant).count()
    working = runs.filter(state=Run.State.IN_PROGRESS)
    running: list[Any]
    running = list(working.order_by("started_at", "pk")[:SHOWN])
    pending = list(runs.filter(state=Run.State.PENDING).order_by("due_at", "pk")[:SHOWN])
    for run in running:
        run.time_left = left_of_run(run, now)
    at_work = underway(tenant, now)
    messages_queued, messages_failed = queued.count(), failed.count()
    silent_server = mail_server.silence(mail_server.of_tenant(tenant)) if messages_queued else None
    is_sending = messages_queued and not silent_server
    left_count, failed_count = count_open(tenant), max(counts[Run.State.FAILED] - accepted, 0)
    # The keys first: where the messages are many, a database may otherwise join all that were ever sent.
    newest = list(failed.order_by("-queued_at").values_list("pk", flat=True)[:3]) if messages_failed else []
    undelivered = Update.objects.filter(pk__in=newest).select_related("result__run__user").defer("result__spans")
    is_moving = bool(counts[Run.State.IN_PROGRESS] or is_sending or (pending and pending[0].due_at <= now + SOON))
    return {
        "counts": counts,
        "accepted_count": accepted,
        "failed_count": failed_count,
        "segments": [(segment, BADGES[segment.name]) for segment in charts.stacked_bar(counts)],
        "never_run": NEVER_RUN,
        "chart_width": charts.WIDTH,
        "ran_count": sum(counts.values()),
        "user_count": user_count,
        "out_of_date": count_out_of_date(tenant),
        "alert_settings": AlertSettings.of(tenant),
        "connections": tenant.mailbox_connections.filter(
            ~Q(problem_code="") | Q(secret_expires_at__lte=now + WARN_BEFORE)
        ),
        "never_count": user_count - sum(counts.values()),
        "left_count": left_count,
        "standing": Standing(failed_count, counts[Run.State.PENDING] + counts[Run.State.IN_PROGRESS], left_count),
        "underway": _underway(tenant, at_work, now) if at_work.since else None,
        "failed_runs": failed_runs(tenant)
        .filter(accepted_at=None)
        .select_related("user__tenant__mailbox", "user__bridge", "user__mailbox")
        .order_by("-finished_at")[:SHOWN],
        "running": running,
        # Of one look: a run that has ended in between must not stand above an empty list.
        "running_count": len(running) if len(running) < SHOWN else max(at_work.users_running, SHOWN),
        "pending": pending,
        # A pending run is its user's latest.
        "pending_count": len(pending) if len(pending) < SHOWN else max(counts[Run.State.PENDING], SHOWN),
        "waiting_count": 0 if is_on else latest.filter(state=Run.State.PENDING).exclude(migration_type=UNDO).count(),
        "messages_queued": messages_queued,
        "messages_failed": messages_failed,
        "undelivered": undelivered.order_by("-queued_at") if newest else [],
        "silent": _silent_workers(tenant) if pending or messages_queued else None,
        "silent_server": silent_server,
        "seconds_to_refresh": 2 if is_moving else 15,
    }


def _underway(tenant: Tenant, found: Underway, now: datetime) -> dict[str, Any]:
    """How far all that is at work is, how fast it goes and how long it takes."""
    measured = rate(tenant, now)
    return {"found": found, "rate": measured, "left": left_of_queue(found, measured)}


def _failed_messages(tenant: Tenant) -> QuerySet[Update]:
    """The tenant's failed messages, by an index of these: few of all that were ever sent.

    By the meetings that they are about, because old ones do not name their tenant; and not by a join, which a database
    may begin at the tenant's end: with all runs and all meetings there ever were.
    """
    of_tenant = MeetingResult.objects.filter(pk=OuterRef("pk"), run__tenant=tenant)
    return Update.objects.filter(Exists(of_tenant), state=Update.State.FAILED)


def _silent_workers(tenant: Tenant) -> Workers | None:
    """The workers, where they have been silent for too long although the tenant's work may go on."""
    found = workers() if tenant.meeting_migration_enabled else None
    return found if found and found.are_silent else None
