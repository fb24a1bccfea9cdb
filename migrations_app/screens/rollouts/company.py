"""Who meets whom: who stays behind and shares meetings with the members of a wave (R67)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from migrations_app.rollouts.company import Company, look_around
from migrations_app.rollouts.members import add_members
from migrations_app.screens.rollouts.members import tell_added
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from migrations_app.screens.rollouts.picture import picture_of
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def company(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """The picture and the ranked table. A POST by an admin adds who is ticked to the wave."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    wave = wave_of(request, access, pk, n)
    if is_post:
        keys = [int(key) for key in request.POST.getlist("user") if key.isascii() and key.isdigit() and len(key) < 19]
        try:
            tell_added(request, wave, add_members(wave, keys, access.actor, may_leave=True))
        except ValidationError as error:
            tell_errors(request, error)
        return redirect("wave-meetings", slug, pk, n)
    found: Company | None = None
    try:
        found = look_around(wave)
    except ValidationError as error:
        tell_errors(request, error)
    context = wave_context(access, wave, "meetings") | {
        "company": found,
        "picture": picture_of(found) if found else None,
        "may_change": access.may_administer and not wave.has_started and not wave.rollout.is_finished,
    }
    return render(request, "rollouts/company.html", context)
