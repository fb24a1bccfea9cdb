"""Screens of everybody who is signed in: the list of tenants, the audit, colours and keys; and the sign of life."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from tenants_app.access import Access, access_for, visible_tenants
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import prefer
from tenants_app.models import AuditEntry, ConferencingUser
from tenants_app.screens.addresses import page_at
from tenants_app.screens.filters import AuditFilter
from tenants_app.screens.fragments import Look, answer
from tenants_app.screens.lists import all_of, answer_list
from tenants_app.screens.requests import Request
from tenants_app.screens.tables import AuditTable
from tenants_app.signals import Standing, standings_of, version_of

THEMES = ("light", "dark", "auto")


@require_safe
def index(request: Request) -> HttpResponse:
    """The tenants that the administrator may see, and how each stands; straight to the tenant where there is one."""
    tenants = list(visible_tenants(request.user))
    if len(tenants) == 1:
        return HttpResponseClientRedirect(tenants[0].get_absolute_url()) if request.htmx else redirect(tenants[0])
    look = Look(request, version_of(tenants), request.user.pk, [tenant.pk for tenant in tenants])
    if look.is_unchanged:
        return look.nothing_new()
    users = ConferencingUser.objects.filter(tenant__in=tenants).order_by().values_list("tenant")
    user_counts = dict(users.annotate(rows=Count("*")))
    standings = standings_of(tenants)
    rows = [(each, user_counts.get(each.pk, 0), standings.get(each.pk, Standing())) for each in tenants]
    every = [standing for _, _, standing in rows]
    context = {
        "rows": rows,
        "standing": Standing(
            sum(each.failed for each in every), sum(each.waiting for each in every), sum(each.left for each in every)
        ),
        "seconds_to_refresh": 15 if rows else 0,
    }
    return look.answer("tenants/index.html", "tenants/live.html", context)


@require_safe
def audit(request: Request, slug: str) -> HttpResponseBase:
    """Who changed what, when, through what, from what to what, and what it led to."""
    access = access_for(request, slug)
    found = _audit_filter(request, access)
    return answer_list(
        request, "tenants/audit.html", AuditTable(found.qs, access.tenant), {"access": access}, found=found
    )


@require_safe
def audit_csv(request: Request, slug: str) -> HttpResponseBase:
    """All entries that the filters of the page find, as a file; 400 with the reason where one is not understood."""
    access = access_for(request, slug)
    found = _audit_filter(request, access)
    return all_of(request, access, AuditTable(found.qs, access.tenant), found)


def _audit_filter(request: Request, access: Access) -> AuditFilter:
    return AuditFilter(request.GET, AuditEntry.objects.filter(tenant=access.tenant))


@login_not_required
@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the colours that the visitor likes, and go back to where they were: with the account of who is signed in,
    and with the browser for a year, for the pages before the sign-in."""
    chosen = request.POST.get("theme", "")
    if isinstance(request.user, User) and chosen in THEMES:
        actor = Actor(request.user.get_username(), Channel.SCREEN)
        prefer(request.user, actor, theme="" if chosen == "auto" else chosen)
    return _keep(request, "theme", THEMES)


@require_safe
def keyboard(request: Request) -> HttpResponse:
    """Which keys do what, and whether single ones do anything."""
    here = request.htmx.current_url if request.htmx else request.get_full_path()
    return answer(request, "accounts/keyboard.html", "accounts/keys.html", {"here": page_at(request, here or "")})


@require_POST
def choose_keys(request: HttpRequest) -> HttpResponse:
    """Keep for a year whether single keys do something (WCAG 2.1.4), and go back to where the visitor was."""
    return _keep(request, "keys", ("on", "off"))


def _keep(request: HttpRequest, name: str, choices: Sequence[str]) -> HttpResponse:
    """Keep a visitor's choice in a cookie of its name, and go back to where they were."""
    response = HttpResponseRedirect(page_at(request, request.POST.get("next", "")) or "/")
    chosen = request.POST.get(name, "")
    if chosen in choices:
        response.set_cookie(name, chosen, max_age=31_536_000, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response


@never_cache
@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the service can answer from its database, 503 while it cannot."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        return JsonResponse({"status": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"})
