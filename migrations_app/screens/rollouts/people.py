"""Whom a rollout tells of gates, waves and stops (R92): addresses and a webhook, which an admin changes."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.alerts.actions import server_of
from migrations_app.models import Alert, Rollout
from migrations_app.rollouts.people import change_people, renew_secret
from migrations_app.screens.forms.rollout_people import PeopleForm
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

SHOWN = 20
"""Messages on the page, the newest first."""


@require_http_methods(["GET", "HEAD", "POST"])
def people(request: Request, slug: str, pk: int) -> HttpResponse:
    """Who is told, and what became of the last messages; with a form that an admin may save."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    rollout = _rollout(access, pk)
    form = PeopleForm(request.POST if is_post else None, instance=rollout)
    if is_post and form.is_valid():
        with refusals_told(form):
            _changed, secret = change_people(rollout, access.actor, **form.edited())
            messages.success(request, _("It is saved who is told."))
            if secret:
                _show(request, secret)
            return redirect("rollout-people", slug, pk)
    stored = _rollout(access, pk)
    context: dict[str, Any] = {
        "access": access,
        "rollout": stored,
        "form": form,
        "webhook_server": server_of(stored.webhook_url),
        "alerts": Alert.objects.filter(rollout_event__rollout=stored).prefetch_related("deliveries")[:SHOWN],
    }
    return render(request, "rollouts/people.html", context)


@require_POST
def new_secret(request: Request, slug: str, pk: int) -> HttpResponse:
    """Make a new secret of the webhook, and show it this once."""
    access = access_for(request, slug, Role.Name.ADMIN)
    try:
        _show(request, renew_secret(_rollout(access, pk), access.actor))
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("rollout-people", slug, pk)


def _rollout(access: Access, pk: int) -> Rollout:
    return get_object_or_404(Rollout.objects.filter(tenant=access.tenant).select_related("tenant"), pk=pk)


def _show(request: Request, secret: str) -> None:
    told = _(
        "The secret that signs the webhook, which is shown only now: <code class='secret'>{}</code> Give it to the "
        "receiver. Nothing is signed with one from before any more."
    )
    messages.warning(request, format_html(told, secret))
