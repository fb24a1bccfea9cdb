"""Retiring the legacy deployment of a rollout: its gate with the evidence, and the redirect map (R88 to R90)."""

from __future__ import annotations

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

from migrations_app.models import TakenListing
from migrations_app.monitoring.health import workers
from migrations_app.rollouts import redirects, retirement, searching, taken_listings
from migrations_app.screens.forms.retirement import ListingForm, ReasonForm
from migrations_app.screens.rollouts.of_page import rollout_of
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

ON_A_PAGE = 25
SHOWN_REDIRECTS, LOOKED_AT = 20, 100
"""Links that the page shows, of so many changed meetings; the files have all."""
_KINDS = {"csv": (redirects.csv_lines, "text/csv"), "map": (redirects.nginx_lines, "text/plain")}


@require_safe
def gate(request: Request, slug: str, pk: int) -> HttpResponse:
    """Each condition with what shows it, and the forms by which evidence is given."""
    return _page(request, access_for(request, slug), pk)


@require_POST
def take_listing(request: Request, slug: str, pk: int, kind: str) -> HttpResponse:
    """Keep a list that somebody has taken from the deployment."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    if kind not in TakenListing.Kind.values:
        raise Http404
    rollout = rollout_of(access, pk)
    form = ListingForm(request.POST, request.FILES, kind)
    if form.is_valid():
        with refusals_told(form):
            file = form.cleaned_data["file"]
            octets = file.read(taken_listings.LONGEST_FILE + 1)
            taken = taken_listings.take(rollout.legacy, TakenListing.Kind(kind), octets, file.name, access.actor)
            messages.success(request, str(taken_listings.told_of(taken)))
            return redirect("rollout-retirement", slug, pk)
    return _page(request, access, pk, **{f"{kind}_form": form})


@require_POST
def search(request: Request, slug: str, pk: int) -> HttpResponse:
    """Have all mailboxes searched for what only the legacy deployment has."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    searching.search_tenant(rollout_of(access, pk).legacy, access.actor)
    messages.success(request, _("The mailboxes are searched in the background: look again in a while."))
    return redirect("rollout-retirement", slug, pk)


@require_POST
def accept(request: Request, slug: str, pk: int) -> HttpResponse:
    """Accept meetings by name, which may go on leading to the deployment."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    keys = {int(key) for key in request.POST.getlist("meeting") if key.isascii() and key.isdecimal() and len(key) < 19}
    if not keys:
        messages.error(request, _("No meeting is chosen: choose at least one."))
        return redirect("rollout-retirement", slug, pk)
    try:
        count = retirement.accept_meetings(rollout.legacy, keys, request.POST.get("reason", ""), access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("rollout-retirement", slug, pk)
    told = ngettext("%(count)s meeting is accepted.", "%(count)s meetings are accepted.", count)
    messages.success(request, told % {"count": number_format(count, force_grouping=True)})
    return redirect("rollout-retirement", slug, pk)


@require_http_methods(["GET", "HEAD", "POST"])
def retire(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks once more, and on POST retires the deployment."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    form = ReasonForm(request.POST if request.method == "POST" else None, is_required=False)
    if form.is_valid():
        with refusals_told(form):
            retirement.retire(rollout.legacy, access.actor, form.cleaned_data["reason"])
            messages.success(request, _("%(name)s is retired.") % {"name": rollout.legacy})
            return redirect("rollout-retirement", slug, pk)
    why = retirement.why_not_retired(rollout.legacy)
    context = {"access": access, "rollout": rollout, "form": form, "why": why}
    return render(request, "rollouts/retire.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def take_back(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks why, and on POST takes the retirement back."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refusals_told(form):
            retirement.take_back(rollout.legacy, access.actor, form.cleaned_data["reason"])
            messages.success(request, _("The retirement of %(name)s is taken back.") % {"name": rollout.legacy})
            return redirect("rollout-retirement", slug, pk)
    context = {"access": access, "rollout": rollout, "form": form}
    return render(request, "rollouts/take_back_retirement.html", context)


def _page(request: Request, access: Access, pk: int, **forms: Any) -> HttpResponse:
    rollout = rollout_of(access, pk)
    now = timezone.now()
    found = searching.latest(deployment=rollout.legacy)
    held = rollout.legacy.retirements.filter(taken_back_at=None).first()
    context: dict[str, Any] = {
        "access": access,
        "rollout": rollout,
        "legacy": rollout.legacy,
        "gate": retirement.shown_gate(rollout.legacy, held),
        "retirement": held,
        "search": found,
        "going": searching.under_way(deployment=rollout.legacy),
        "accounts_form": ListingForm(None, None, "accounts"),
        "directories_form": ListingForm(None, None, "directories"),
        "accept_form": ReasonForm(None),
        "is_silent": workers().are_silent,
        **forms,
    }
    if found is not None:
        waiting = retirement.open_meetings(found, now)
        context["page"] = Paginator(waiting, ON_A_PAGE).get_page(request.GET.get("page"))
        context["accepted"] = rollout.legacy.accepted_meetings.select_related("user").order_by("-at", "-pk")[:ON_A_PAGE]
        context["unread"] = found.unread.select_related("user").order_by("user__upn")[:ON_A_PAGE]
    return render(request, "rollouts/retirement.html", context)


# --- the redirect map ---------------------------------------------------------------------------------


@require_safe
def redirect_map(request: Request, slug: str, pk: int) -> HttpResponse:
    """What the map is for, the first of its links, and its files."""
    access = access_for(request, slug)
    rollout = rollout_of(access, pk)
    first = list(redirects.redirects(rollout, LOOKED_AT))
    context = {
        "access": access,
        "rollout": rollout,
        "redirects": first[:SHOWN_REDIRECTS],
        "has_more": len(first) > SHOWN_REDIRECTS,
        "host": next(iter(rollout.legacy.meeting_hosts), ""),
    }
    return render(request, "rollouts/redirects.html", context)


@require_safe
def redirect_file(request: Request, slug: str, pk: int, kind: str) -> HttpResponseBase:
    """The map as CSV, or as a file for nginx."""
    access = access_for(request, slug)
    rollout = rollout_of(access, pk)
    if kind not in _KINDS:
        raise Http404
    write, content_type = _KINDS[kind]
    written = (piece.encode("utf-8", "surrogateescape") for piece in write(rollout))
    return StreamingHttpResponse(
        written if request.method == "GET" else (),
        content_type=f"{content_type}; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="redirects-{slug}-{rollout.pk}.{kind}"',
            "Cache-Control": "no-store",
        },
    )
