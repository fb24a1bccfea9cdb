"""Starting runs for everybody whose invitations do not say what their settings ask for (R36)."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from migrations_app.preview.many_users import foresee_start
from migrations_app.runs.out_of_date import start_all, users_out_of_date
from migrations_app.screens.consequence_messages import tell_consequences
from tenants_app.access import Access, access_for
from tenants_app.models import Bridge, Role
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def out_of_date(request: Request, slug: str) -> HttpResponse:
    """GET says what starting them all leads to, POST starts them. ``?bridge=`` narrows it to one bridge's users.

    ``now`` in what is posted makes the runs due at once, without the settling time (R19).
    """
    access = access_for(request, slug, Role.Name.OPERATOR)
    bridge = _bridge(access, request.GET.get("bridge", ""))
    users = users_out_of_date(access.tenant)
    if bridge is not None:
        users = users.filter(bridge=bridge)
    if request.method == "POST":
        consequences = start_all(access.tenant, users, access.actor, now_due="now" in request.POST)
        if not consequences:
            messages.info(request, "Nobody is out of date any more, so there was nothing to start.")
        tell_consequences(request, consequences)
        return redirect("dashboard", slug)
    foreseen = foresee_start(access.tenant, users)
    page = "dashboard/out_of_date.html" if foreseen.users else "dashboard/nobody_out_of_date.html"
    return render(request, page, {"access": access, "bridge": bridge, "foreseen": foreseen})


def _bridge(access: Access, key: str) -> Bridge | None:
    """The tenant's bridge of that primary key; None where none is asked for."""
    if not key:
        return None
    if not (key.isascii() and key.isdecimal() and len(key) < 19):
        raise Http404
    return get_object_or_404(Bridge, tenant=access.tenant, pk=int(key))
