"""Numbers on their way off a bridge: all of them, and one with its progress and who still holds it (R35)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from migrations_app.models import NumberRelease
from migrations_app.monitoring.health import workers
from migrations_app.procedures.number_holders import explain, holders_with_why, progress_of, startable
from migrations_app.procedures.number_release import begin_now, cancel_release
from migrations_app.runs.actions import start_by_hand
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.tables import ReleaseTable
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.fragments import answer, answer_table
from tenants_app.screens.requests import Request

MANY = 10_000
"""From this many users on the page refreshes less often, because it takes a second to find out who holds the number."""


class HolderPaginator(Paginator[Any]):
    """Pages of a list that was counted already."""

    count = 0

    def __init__(self, holding: QuerySet[Any], count: int) -> None:
        super().__init__(holding, 10)
        self.count = count


@require_safe
def releases(request: Request, slug: str) -> HttpResponse:
    """All of the tenant, newest first."""
    access = access_for(request, slug)
    found = NumberRelease.objects.filter(tenant=access.tenant).select_related("bridge")
    return answer_table(request, "releases/releases.html", ReleaseTable(found), {"access": access})


@require_safe
def release(request: Request, slug: str, pk: int) -> HttpResponse:
    """One of them: what happens now and next, how far it is, and because of whom the number is kept."""
    access = access_for(request, slug)
    shown = _release(access, pk)
    progress = progress_of(shown)
    is_begun = shown.is_open and shown.state != NumberRelease.State.WAITING
    holding = holders_with_why(shown).select_related("latest", "bridge").order_by("why", "upn")
    page = HolderPaginator(holding, progress.holders).get_page(request.GET.get("page")) if is_begun else None
    now = timezone.now()
    is_due = shown.due_at <= now
    waits_for_people = shown.state == NumberRelease.State.UPDATING and progress.held and not progress.under_way
    context = {
        "access": access,
        "release": shown,
        "progress": progress,
        "page": page,
        "holders": explain(shown, list(page)) if page else [],
        "is_due": is_due,
        "is_silent": is_due and shown.is_open and not waits_for_people and workers().are_silent,
        "now": now,
        "seconds_to_refresh": (3 if progress.all <= MANY else 15) if shown.is_open else 0,
    }
    return answer(request, "releases/release.html", "releases/live.html", context)


@require_POST
def cancel(request: Request, slug: str, pk: int) -> HttpResponse:
    """Stop it before anybody was moved."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    if cancel_release(shown, access.actor):
        messages.success(request, f"Cancelled: {shown} stays, and nothing was changed.")
    else:
        messages.info(request, "It cannot be cancelled any more: it has begun to move users, or has ended.")
    return redirect("release", slug, pk)


@require_POST
def begin(request: Request, slug: str, pk: int) -> HttpResponse:
    """Do not wait for the settling time (R19)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    if not begin_now(shown, access.actor):
        messages.info(request, "It does not wait any more, so there is nothing to bring forward.")
    elif access.tenant.meeting_migration_enabled:
        messages.success(request, "It begins as soon as a worker is free.")
    else:
        messages.warning(request, "The service is switched off, so it waits all the same. Switch it on first.")
    return redirect("release", slug, pk)


@require_POST
def start_runs(request: Request, slug: str, pk: int) -> HttpResponse:
    """Start runs by hand for those who hold the number while nothing is under way for them (R11)."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = _release(access, pk)
    users = list(startable(shown)) if shown.is_open and shown.state != NumberRelease.State.WAITING else []
    if users:
        tell_consequences(request, start_by_hand(access.tenant, users, access.actor, now_due=True))
    elif shown.state == NumberRelease.State.WAITING:
        messages.info(request, "Nobody was moved yet, so a run would not help: begin first.")
    else:
        messages.info(request, f"There is nobody whom a run would help to give up {shown}.")
    return redirect("release", slug, pk)


def _release(access: Access, pk: int) -> NumberRelease:
    found = NumberRelease.objects.select_related("tenant", "bridge", "number", "replacement")
    return get_object_or_404(found, tenant=access.tenant, pk=pk)
