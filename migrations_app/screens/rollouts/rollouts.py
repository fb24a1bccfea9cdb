"""The tenant's rollouts, and one of them: its line of waves, its settings, its mapping and its end (R61, R64)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import Rollout, RolloutEvent
from migrations_app.rollouts.defining import change_rollout, close_rollout, new_rollout
from migrations_app.rollouts.mapping import change_mapping
from migrations_app.rollouts.waves import add_wave
from migrations_app.screens.forms.rollouts import CloseForm, MappingForm, NewRolloutForm, NewWaveForm, RolloutForm
from migrations_app.screens.live import Live
from migrations_app.screens.rollouts.of_page import line_of, lines_of, rollout_of
from tenants_app.access import Access, access_for
from tenants_app.models import Deployment, Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request

SHOWN = 50
"""Rollouts on the page, and events of one."""


@require_http_methods(["GET", "HEAD", "POST"])
def rollouts(request: Request, slug: str) -> HttpResponse:
    """All rollouts, newest first, each with its line of waves. A POST by an admin defines one."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = NewRolloutForm(request.POST if is_post else None, access)
    if is_post and form.is_valid():
        with refusals_told(form):
            made = new_rollout(access.tenant, access.actor, **form.cleaned_data)
            told = _("The rollout %(name)s is there, with three waves and their checklists.")
            messages.success(request, told % {"name": made})
            return redirect("rollout", slug, made.pk)
    found = list(Rollout.objects.filter(tenant=access.tenant).select_related("legacy", "new")[: SHOWN + 1])
    lines = lines_of(found[:SHOWN])
    roles = set(
        Deployment.objects.filter(tenant=access.tenant, retired_at=None).order_by().values_list("role", flat=True)
    )
    context = {
        "access": access,
        "form": form,
        "rollouts": [(rollout, lines[rollout.pk]) for rollout in found[:SHOWN]],
        "is_cut": len(found) > SHOWN,
        "lacks_deployments": len(roles) < 2,
    }
    return render(request, "rollouts/rollouts.html", context)


@require_safe
def rollout(request: Request, slug: str, pk: int) -> HttpResponse:
    """One rollout as a line of waves, and what happened in it."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    context = _shown(access, rollout_of(access, pk))
    return live.answer("rollouts/rollout.html", "rollouts/live.html", context)


def _shown(access: Access, shown: Rollout, form: NewWaveForm | None = None) -> dict[str, Any]:
    now = timezone.now()
    line = line_of(shown, now=now)
    events = RolloutEvent.objects.filter(rollout=shown).select_related("wave")
    is_moving = any(step.wave.state in step.wave.MOVES for step in line)
    return {
        "access": access,
        "rollout": shown,
        "line": line,
        "members": sum(step.members - step.taken_back for step in line),
        "done": sum(step.done for step in line),
        "failed": sum(step.failed for step in line),
        "left": shown.legacy.users.count(),
        "events": list(events[:SHOWN]),
        "wave_form": form or NewWaveForm(None),
        "seconds_to_refresh": 0 if shown.is_finished else 5 if is_moving else 30,
        "now": now,
    }


@require_POST
def add(request: Request, slug: str, pk: int) -> HttpResponse:
    """Add a wave."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = rollout_of(access, pk)
    form = NewWaveForm(request.POST)
    if form.is_valid():
        with refusals_told(form):
            wave = add_wave(shown, access.actor, **form.given())
            messages.success(request, _("The wave %(name)s is there: say who is in it.") % {"name": wave})
            return redirect("wave-members", slug, pk, wave.position)
    return render(request, "rollouts/rollout.html", _shown(access, rollout_of(access, pk), form))


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: Request, slug: str, pk: int) -> HttpResponse:
    """Name, batches and thresholds; and the end of a rollout."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = rollout_of(access, pk)
    form = RolloutForm(request.POST if request.method == "POST" else None, shown)
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            change_rollout(shown, access.actor, **form.edited())
            messages.success(request, _("The settings of the rollout are saved."))
            return redirect("rollout-settings", slug, pk)
    context = {"access": access, "rollout": shown, "form": form, "close_form": CloseForm(None)}
    return render(request, "rollouts/settings.html", context)


@require_POST
def close(request: Request, slug: str, pk: int) -> HttpResponse:
    """End the rollout, with a reason."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = rollout_of(access, pk)
    form = CloseForm(request.POST)
    if form.is_valid():
        with refusals_told(form):
            close_rollout(shown, access.actor, reason=form.cleaned_data["reason"])
            messages.success(request, _("The rollout %(name)s has ended.") % {"name": shown})
            return redirect("rollout", slug, pk)
    context = {"access": access, "rollout": shown, "form": RolloutForm(None, shown), "close_form": form}
    return render(request, "rollouts/settings.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: Request, slug: str, pk: int) -> HttpResponse:
    """Which bridge and number take the place of which; an admin changes it."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = rollout_of(access, pk)
    form = MappingForm(request.POST if is_post else None, shown)
    if is_post and form.is_valid():
        with refusals_told(form):
            change_mapping(shown, access.actor, **form.edited())
            messages.success(request, _("The mapping is saved. Who has moved already stays where they are."))
            return redirect("rollout-mapping", slug, pk)
    return render(request, "rollouts/mapping.html", {"access": access, "rollout": shown, "form": form})
