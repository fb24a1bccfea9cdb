"""Taking a wave back: what it would lead to, asking for it, and what cannot go back (R83 to R86)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.failures import Failure
from migrations_app.models import FoundMeeting, MeetingResult, Wave
from migrations_app.monitoring.health import workers
from migrations_app.preview.rollback_plan import RollbackOfWave
from migrations_app.procedures import previews
from migrations_app.rollouts import searching, stranded
from migrations_app.rollouts.going_back import foresee, roll_back
from migrations_app.screens.forms.retirement import RollbackForm
from migrations_app.screens.live import Live
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

ON_A_PAGE = 50
LISTED = 50
"""Edited meetings and clients that a page names; the report has all."""


@require_http_methods(["GET", "HEAD", "POST"])
def roll_back_wave(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """What taking the wave back, or some of its members, would lead to. POST looks in the background, or does it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    wave = wave_of(request, access, pk, n)
    is_post = request.method == "POST"
    form = RollbackForm(request.POST if is_post else request.GET if "users" in request.GET else None, access.tenant)
    users = form.cleaned_data["users"] if form.is_bound and form.is_valid() else None
    if is_post and form.is_valid():
        with refusals_told(form):
            if "look" in request.POST:
                keys = None if users is None else [user.pk for user in users]
                made = previews.submit(access.tenant, RollbackOfWave.of(wave, keys), access.actor)
                return redirect("preview", slug, made.pk)
            begun = roll_back(wave, access.actor, users, form.cleaned_data["reason"])
            told = ngettext(
                "%(count)s member moves back, batch by batch. From now on nobody else is moved forward.",
                "%(count)s members move back, batch by batch. From now on nobody else is moved forward.",
                begun.members,
            )
            messages.success(request, told % {"count": number_format(begun.members, force_grouping=True)})
            return redirect("wave", slug, pk, n)
    foresight = foresee(wave, users)
    left = [
        (told.planned.user, row)
        for told in foresight.told
        for row in told.meetings
        if row.outcome != MeetingResult.Outcome.SUCCEEDED
    ]
    stranded_now: list[FoundMeeting] | None = None
    if foresight.totals is not None:
        with suppress(Failure):  # the page of what cannot go back names the mailbox
            stranded_now = stranded.foreseen(wave, None if users is None else [user.pk for user in users])
    context = wave_context(access, wave, "wave") | {
        "stranded_now": stranded_now[:LISTED] if stranded_now is not None else None,
        "more_stranded": max(len(stranded_now or []) - LISTED, 0),
        "form": form,
        "users": users,
        "foresight": foresight,
        "left": left[:LISTED],
        "more_left": max(len(left) - LISTED, 0),
        **_what_cannot(wave),
    }
    return render(request, "rollouts/roll_back.html", context)


@require_safe
def cannot_go_back(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Meetings that must be scheduled anew, edited ones, and clients that are too new. Follows a search."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    wave = wave_of(request, access, pk, n)
    context = wave_context(access, wave, "wave") | _what_cannot(wave)
    search = context["search"]
    if search is not None:
        page = Paginator(stranded.stranded(search), ON_A_PAGE).get_page(request.GET.get("page"))
        context |= {"page": page, "untold": stranded.untold(search).order_by().values("user").distinct().count()}
        context["unread_mailboxes"] = search.unread.select_related("user").order_by("user__upn")[:LISTED]
    edited = list(stranded.edited(wave)[: LISTED + 1])
    context |= {
        "edited": edited[:LISTED],
        "has_more_edited": len(edited) > LISTED,
        "clients": stranded.clients_to_downgrade(wave)[:LISTED],
        "is_silent": context["going"] is not None and workers().are_silent,
        "seconds_to_refresh": 2 if context["going"] else 0,
        "now": timezone.now(),
    }
    return live.answer("rollouts/stranded.html", "rollouts/stranded_live.html", context)


@require_safe
def stranded_csv(request: Request, slug: str, pk: int, n: int) -> HttpResponseBase:
    """The meetings that must be scheduled anew, as a file."""
    access = access_for(request, slug)
    search = searching.latest(wave=wave_of(request, access, pk, n))
    if search is None:
        raise Http404
    name = f"stranded-meetings-{slug}-{timezone.localdate()}.csv"
    return StreamingHttpResponse(
        stranded.csv_lines(search) if request.method == "GET" else (),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@require_POST
def search_wave(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Have the members' mailboxes searched."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    try:
        searching.search_wave(wave_of(request, access, pk, n), access.actor)
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("wave-stranded", slug, pk, n)


@require_POST
def tell_organizers(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Mail each organizer the list of their meetings."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    try:
        count = stranded.tell_organizers(wave_of(request, access, pk, n), access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("wave-stranded", slug, pk, n)
    if count:
        told = ngettext(
            "A message to %(count)s organizer is on its way.",
            "Messages to %(count)s organizers are on their way.",
            count,
        )
        messages.success(request, told % {"count": number_format(count, force_grouping=True)})
    else:
        messages.info(request, _("All organizers of these meetings were told already."))
    return redirect("wave-stranded", slug, pk, n)


def _what_cannot(wave: Wave) -> dict[str, Any]:
    """The last search with its counts, the one that goes on, and whether any can tell."""
    search = searching.latest(wave=wave)
    return {
        "search": search,
        "going": searching.under_way(wave=wave),
        "can_tell": bool(searching.hosts_of_new_alone(wave.rollout)),
        "stranded_count": stranded.stranded(search).count() if search else 0,
        "client_count": stranded.clients_to_downgrade(wave).count(),
    }
