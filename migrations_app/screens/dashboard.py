"""The dashboard: how the tenant's migrations stand, and what needs an administrator now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from migrations_app.badges import BADGES, NEVER_RUN
from migrations_app.models import AlertSettings, MeetingResult, Run, Update
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import Workers, workers
from migrations_app.monitoring.progress import count_accepted, users_by_state
from migrations_app.runs.failed import failed_runs
from migrations_app.runs.left import count_open
from migrations_app.runs.out_of_date import count_out_of_date
from migrations_app.screens import charts
from migrations_app.screens.first_steps import first_steps
from migrations_app.targets import UNDO
from tenants_app.access import access_for
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.screens.fragments import answer
from tenants_app.screens.requests import Request

SHOWN = 6
"""Rows of each list on the dashboard; the rest is a click away."""


@require_safe
def dashboard(request: Request, slug: str) -> HttpResponse:
    """The whole page, and its live part alone for htmx."""
    access = access_for(request, slug)
    context = {"access": access, **_status(access.tenant)}
    has_succeeded = context["counts"][Run.State.SUCCEEDED] > 0
    context |= first_steps(request, access, has_succeeded=has_succeeded)
    return answer(request, "dashboard/dashboard.html", "dashboard/live.html", context)


def _status(tenant: Tenant) -> dict[str, Any]:
    is_on = tenant.meeting_migration_enabled
    latest = Run.objects.filter(tenant=tenant, is_latest=True)
    counts = users_by_state(tenant)
    accepted = count_accepted(tenant) if counts[Run.State.FAILED] else 0
    # So that a database begins with the few runs in a state, and not with all the runs or users that the tenant has.
    of_tenant = ConferencingUser.objects.filter(pk=OuterRef("user"), tenant=tenant)
    runs = Run.objects.filter(Exists(of_tenant)).select_related("user")
    queued, failed = _messages(tenant, Update.State.QUEUED), _messages(tenant, Update.State.FAILED)
    user_count = ConferencingUser.objects.filter(tenant=tenant).count()
    working = runs.filter(state=Run.State.IN_PROGRESS)
    running, running_count = list(working.order_by("started_at", "pk")[:SHOWN]), working.count()
    pending = list(runs.filter(state=Run.State.PENDING).order_by("due_at", "pk")[:SHOWN])
    messages_queued = queued.count()
    silent_server = mail_server.silence(mail_server.of_tenant(tenant)) if messages_queued else None
    is_sending = messages_queued and not silent_server
    is_moving = bool(counts[Run.State.IN_PROGRESS] or is_sending or (pending and pending[0].due_at <= _soon()))
    return {
        "counts": counts,
        "accepted_count": accepted,
        "failed_count": max(counts[Run.State.FAILED] - accepted, 0),
        "segments": [(segment, BADGES[segment.name]) for segment in charts.stacked_bar(counts)],
        "never_run": NEVER_RUN,
        "chart_width": charts.WIDTH,
        "ran_count": sum(counts.values()),
        "user_count": user_count,
        "out_of_date": count_out_of_date(tenant),
        "alert_settings": AlertSettings.of(tenant),
        "paused_connections": tenant.mailbox_connections.exclude(problem_code=""),
        "never_count": user_count - sum(counts.values()),
        "left_count": count_open(tenant),
        "failed_runs": failed_runs(tenant)
        .filter(accepted_at=None)
        .select_related("user__bridge", "user__mailbox")
        .order_by("-finished_at")[:SHOWN],
        "running": running,
        # Of one look: a run that has ended in between must not stand above an empty list.
        "running_count": len(running) if len(running) < SHOWN else max(running_count, SHOWN),
        "pending": pending,
        # A pending run is its user's latest.
        "pending_count": len(pending) if len(pending) < SHOWN else max(counts[Run.State.PENDING], SHOWN),
        "waiting_count": 0 if is_on else latest.filter(state=Run.State.PENDING).exclude(migration_type=UNDO).count(),
        "messages_queued": messages_queued,
        "messages_failed": failed.count(),
        "undelivered": failed.select_related("result__run__user").defer("result__spans").order_by("-queued_at")[:3],
        "silent": _silent_workers(tenant) if pending or messages_queued else None,
        "silent_server": silent_server,
        "seconds_to_refresh": 2 if is_moving else 15,
        "now": timezone.now(),
    }


def _messages(tenant: Tenant, state: Update.State) -> QuerySet[Update]:
    """The tenant's messages in a state that has an index of its own: few of all that were ever sent.

    Not by a join, which a database may begin at the tenant's end: with all runs and all meetings there ever were.
    """
    of_tenant = MeetingResult.objects.filter(pk=OuterRef("pk"), run__tenant=tenant)
    return Update.objects.filter(Exists(of_tenant), state=state)


def _soon() -> datetime:
    return timezone.now() + timedelta(seconds=30)


def _silent_workers(tenant: Tenant) -> Workers | None:
    """The workers, where they have been silent for too long although the tenant's work may go on."""
    found = workers() if tenant.meeting_migration_enabled else None
    return found if found and found.are_silent else None
