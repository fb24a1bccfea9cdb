"""Who is told by mail and webhook what needs them, whether that works, and what became of the last alerts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.alerts import actions
from migrations_app.alerts.kinds import KINDS
from migrations_app.alerts.quiet import is_quiet
from migrations_app.alerts.trial import try_mail, try_webhook
from migrations_app.mail.findings import Finding
from migrations_app.models import Alert, AlertDelivery, AlertSettings
from migrations_app.screens.forms.alerts import AlertForm
from tenants_app.access import Access, access_for
from tenants_app.local_times import in_words
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

SHOWN = 20
"""Alerts on the page, the newest first."""


@require_http_methods(["GET", "HEAD", "POST"])
def alerts(request: Request, slug: str) -> HttpResponse:
    """How the tenant's alerts are set, and the last of them; with a form that an admin may save."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = AlertForm(request.POST if is_post else None, AlertSettings.of(access.tenant))
    if is_post and form.is_valid():
        with refusals_told(form):
            _settings, secret = actions.change_alerts(access.tenant, access.actor, **form.edited())
            messages.success(request, _("The settings of the alerts are saved."))
            if secret:
                _show(request, secret)
            return redirect("alerts", slug)
    return _page(request, access, form)


@require_POST
def test_mail(request: Request, slug: str) -> HttpResponse:
    """Send a test alert to each address, as saved."""
    access = access_for(request, slug, Role.Name.ADMIN)
    return _page(request, access, title=_("Test by mail"), findings=try_mail(access.tenant))


@require_POST
def test_webhook(request: Request, slug: str) -> HttpResponse:
    """Post a test alert to the webhook, as saved."""
    access = access_for(request, slug, Role.Name.ADMIN)
    return _page(request, access, title=_("Test of the webhook"), findings=try_webhook(access.tenant))


@require_POST
def new_secret(request: Request, slug: str) -> HttpResponse:
    """Make a new secret of the webhook, and show it this once."""
    access = access_for(request, slug, Role.Name.ADMIN)
    try:
        _show(request, actions.renew_secret(access.tenant, access.actor))
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("alerts", slug)


@require_POST
def send_again(request: Request, slug: str, pk: int) -> HttpResponse:
    """Deliver once more what was given up."""
    access = access_for(request, slug, Role.Name.ADMIN)
    found = AlertDelivery.objects.filter(alert__tenant=access.tenant).select_related(
        "alert__tenant", "alert__rollout_event"
    )
    delivery = get_object_or_404(found, pk=pk)
    try:
        actions.send_again(delivery, access.actor)
        messages.success(request, _("The alert is on its way again."))
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("alerts", slug)


def _show(request: Request, secret: str) -> None:
    told = _(
        "The secret that signs the webhook, which is shown only now: <code class='secret'>{}</code> Give it to the "
        "receiver. Nothing is signed with one from before any more."
    )
    messages.warning(request, format_html(told, secret))


def _page(
    request: Request,
    access: Access,
    form: AlertForm | None = None,
    *,
    title: str = "",
    findings: Iterable[Finding] = (),
) -> HttpResponse:
    stored = AlertSettings.of(access.tenant)
    context: dict[str, Any] = {
        "access": access,
        "form": form or AlertForm(None, stored),
        "settings": stored,
        "webhook_server": actions.server_of(stored.webhook_url),
        "kinds": [_(kind.label) for name, kind in KINDS.items() if name in stored.watched],
        "is_quiet": is_quiet(stored, timezone.now()),
        "zone": in_words(access.tenant.zone),
        "alerts": Alert.objects.filter(tenant=access.tenant).prefetch_related("deliveries")[:SHOWN],
        "title": title,
        "findings": list(findings),
    }
    return render(request, "settings/alerts.html", context)
