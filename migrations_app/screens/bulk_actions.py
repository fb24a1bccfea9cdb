"""What was done for many users at once: all of it, how far one is, what became of each user, and stopping the rest."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Case, Count, OuterRef, Q, QuerySet, Subquery, When
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from migrations_app.models import BulkAction, BulkActionUser, Run
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import workers
from migrations_app.procedures import bulk_actions as actions
from migrations_app.procedures.bulk_kinds import KINDS, Kind
from migrations_app.screens.filters import BulkActionUserFilter
from migrations_app.screens.live import Live
from migrations_app.screens.tables.jobs import BulkActionTable, BulkActionUserTable
from tenants_app.access import Access, access_for
from tenants_app.screens.lists import all_of, answer_list, arrange
from tenants_app.screens.requests import Request


@require_safe
def bulk_actions(request: Request, slug: str) -> HttpResponseBase:
    """All of the tenant, newest first."""
    access = access_for(request, slug)
    rows = BulkAction.objects.filter(tenant=access.tenant).select_related("plan__tenant")
    table = BulkActionTable(rows.defer("options", "sentences"))
    return answer_list(request, "bulk_actions/bulk_actions.html", table, {"access": access})


@require_safe
def bulk_action(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """One of them: what it is, how far it is, and what became of each user."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = _action(access, pk)
    kind = KINDS[shown.kind]
    table, found = _results(request, shown)
    if instead := arrange(request, access, table, found):
        return instead
    waits = bool(shown.is_open and shown.plan and not shown.plan.is_open(clock.now()))
    runs = _runs_by_state(shown, kind)
    goes_on = any(runs.get(state) for state in (Run.State.PENDING, Run.State.IN_PROGRESS))
    context = {
        "access": access,
        "action": shown,
        "kind": kind,
        "how": kind.how(shown.options),
        "table": table,
        "filter": found,
        "left_count": shown.user_count - shown.handled_count,
        "may_stop": shown.is_open and not waits and access.allows(kind.role),
        "waits": waits,
        "is_silent": shown.is_open and not waits and workers().are_silent,
        "runs": [(state, runs[state]) for state in Run.State.values if state in runs],
        "seconds_to_refresh": 2 if shown.is_open and not waits else 15 if shown.is_open or goes_on else 0,
        "now": timezone.now(),
    }
    return live.answer("bulk_actions/bulk_action.html", "bulk_actions/live.html", context)


@require_safe
def results_csv(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """What became of each user, as a file."""
    access = access_for(request, slug)
    return all_of(request, access, *_results(request, _action(access, pk)))


@require_POST
def stop(request: Request, slug: str, pk: int) -> HttpResponse:
    """Leave out the users who are not done yet."""
    access = access_for(request, slug)
    shown = _action(access, pk)
    access = access_for(request, slug, KINDS[shown.kind].role)
    if actions.stop(shown, access.actor):
        messages.success(request, _("It is stopped. What was done stays done."))
    else:
        messages.info(request, _("It had ended already, so there was nothing to stop."))
    return redirect("bulk-action", slug, pk)


def _action(access: Access, pk: int) -> BulkAction:
    return get_object_or_404(BulkAction.objects.select_related("plan__tenant"), tenant=access.tenant, pk=pk)


def _results(request: Request, shown: BulkAction) -> tuple[BulkActionUserTable, BulkActionUserFilter]:
    kind = KINDS[shown.kind]
    found = BulkActionUserFilter(request.GET, _with_runs(shown, kind).select_related("user"))
    table = BulkActionUserTable(found.qs, kind=kind, is_open=shown.is_open)
    table.file_name = f"{shown.kind}-{shown.pk}"
    return table, found


def _rows(action: BulkAction) -> QuerySet[BulkActionUser]:
    return BulkActionUser.objects.filter(action=action).order_by("pk")


def _started(action: BulkAction, user: str) -> QuerySet[Run]:
    """The latest run of a user (a name in an outer query), where the action has asked for it, or for one before it.

    A start joins a run that is pending; a change of the run since is what both have in common.
    """
    return Run.objects.filter(user=OuterRef(user), is_latest=True, modified__gte=action.created)


def _with_runs(action: BulkAction, kind: Kind) -> QuerySet[Any]:
    """The users, each with how the run stands that was started for them; nothing where there is none."""
    rows = _rows(action)
    run = _started(action, "user") if kind.starts_runs else Run.objects.none()
    is_done = Q(state=BulkActionUser.State.DONE)
    fields = {
        "run_state": "state",
        "run_id": "correlation_id",
        "run_error": "last_error_code",
        "run_detail": "last_error_detail",
    }
    return rows.annotate(
        **{name: Case(When(is_done, then=Subquery(run.values(field)[:1]))) for name, field in fields.items()}
    )


def _runs_by_state(action: BulkAction, kind: Kind) -> dict[str, int]:
    """How many of the runs that were started are in which state; one question."""
    if not kind.starts_runs:
        return {}
    done = BulkActionUser.objects.filter(action=action, state=BulkActionUser.State.DONE)
    latest = Run.objects.filter(is_latest=True, modified__gte=action.created, user__in=done.values("user"))
    return dict(latest.order_by().values_list("state").annotate(Count("pk")))
