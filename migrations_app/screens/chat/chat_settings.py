"""How a tenant wants its chat to be treated."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from migrations_app.chat.archives import set_settings, settings_of
from migrations_app.screens.forms.chat import ChatSettingsForm
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def chat_settings(request: Request, slug: str) -> HttpResponse:
    """The separator of flattened names, and for how long archives are kept."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = ChatSettingsForm(request.POST if is_post else None, instance=settings_of(access.tenant))
    if is_post and form.is_valid():
        with refusals_told(form):
            set_settings(access.tenant, access.actor, **form.edited())
            messages.success(request, _("The settings of chat are saved."))
            return redirect("chat-settings", slug)
    return render(
        request, "chat/settings.html", {"access": access, "form": form, "settings": settings_of(access.tenant)}
    )
