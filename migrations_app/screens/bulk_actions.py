"""What was done for many users at once: all of it, how far one is, what became of each user, and stopping the rest."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from migrations_app.models import BulkAction, BulkActionUser
from migrations_app.monitoring.health import workers
from migrations_app.procedures import bulk_actions as actions
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.screens.filters import BulkActionUserFilter
from migrations_app.screens.tables import BulkActionTable, BulkActionUserTable
from tenants_app.access import Access, access_for
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import all_of, answer_list, arrange
from tenants_app.screens.requests import Request


@require_safe
def bulk_actions(request: Request, slug: str) -> HttpResponseBase:
    """All of the tenant, newest first."""
    access = access_for(request, slug)
    table = BulkActionTable(BulkAction.objects.filter(tenant=access.tenant).defer("options", "sentences"))
    return answer_list(request, "bulk_actions/bulk_actions.html", table, {"access": access})


@require_safe
def bulk_action(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """One of them: what it is, how far it is, and what became of each user."""
    access = access_for(request, slug)
    shown = _action(access, pk)
    kind = KINDS[shown.kind]
    table, found = _results(request, shown)
    if instead := arrange(request, access, table, found):
        return instead
    context = {
        "access": access,
        "action": shown,
        "kind": kind,
        "how": kind.how(shown.options),
        "table": table,
        "filter": found,
        "left_count": shown.user_count - shown.handled_count,
        "may_stop": shown.is_open and access.allows(kind.role),
        "is_silent": shown.is_open and workers().are_silent,
        "seconds_to_refresh": 2 if shown.is_open else 0,
        "now": timezone.now(),
    }
    return answer(request, "bulk_actions/bulk_action.html", "bulk_actions/live.html", context)


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
        messages.success(request, "It is stopped. What was done stays done.")
    else:
        messages.info(request, "It had ended already, so there was nothing to stop.")
    return redirect("bulk-action", slug, pk)


def _action(access: Access, pk: int) -> BulkAction:
    return get_object_or_404(BulkAction, tenant=access.tenant, pk=pk)


def _results(request: Request, shown: BulkAction) -> tuple[BulkActionUserTable, BulkActionUserFilter]:
    rows = BulkActionUser.objects.filter(action=shown).order_by("pk").select_related("user")
    found = BulkActionUserFilter(request.GET, rows)
    table = BulkActionUserTable(found.qs, kind=KINDS[shown.kind], is_open=shown.is_open)
    table.file_name = f"{shown.kind}-{shown.pk}"
    return table, found
