"""Steering an import: start, pause, resume, retry, and asking for a comparison (R111, R123)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.chat import importing, verification
from migrations_app.chat.plans import why_not_started
from migrations_app.models import ChatPlan
from migrations_app.screens.chat.of_page import plan_context, plan_of, standing_of
from migrations_app.screens.forms.chat import ReasonForm
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: Request, slug: str, number: int) -> HttpResponse:
    """Says what will happen and how long it takes, and starts the import on POST."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    if request.method == "POST":
        try:
            importing.start(shown, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
        else:
            messages.success(request, _("The import has begun."))
            return redirect("chat-plan", slug, number)
    context = plan_context(access, shown, "plan") | {
        "standing": standing_of(shown),
        "refusal": str(why_not_started(shown)),
    }
    return render(request, "chat/import_start.html", context)


@require_POST
def pause(request: Request, slug: str, number: int) -> HttpResponse:
    """Begin no further room, and stop after the batch that is being written."""
    return _act(request, slug, number, importing.pause, _("The import is paused. What is written stays."))


@require_POST
def retry(request: Request, slug: str, number: int) -> HttpResponse:
    """Try all rooms again that have failed."""
    return _act(request, slug, number, importing.retry, _("The rooms that failed are tried again."))


@require_POST
def verify(request: Request, slug: str, number: int) -> HttpResponse:
    """Have all rooms that are imported compared with the archive."""
    done = _("The rooms are compared now. What is found shows here.")
    return _act(request, slug, number, verification.ask, done)


def _act(request: Request, slug: str, number: int, act: Callable[..., Any], done: str) -> HttpResponse:
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    try:
        act(shown, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, done)
    return redirect("chat-plan", slug, number)


@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: Request, slug: str, number: int) -> HttpResponse:
    """Let it go on; where it has stopped by itself, with a reason."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    form = ReasonForm(
        request.POST if request.method == "POST" else None, is_required=shown.state == ChatPlan.State.STOPPED
    )
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            importing.resume(shown, access.actor, form.cleaned_data["reason"])
            messages.success(request, _("The import goes on."))
            return redirect("chat-plan", slug, number)
    return render(request, "chat/import_resume.html", plan_context(access, shown, "plan") | {"form": form})
