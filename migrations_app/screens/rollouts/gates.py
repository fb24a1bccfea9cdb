"""Opening a closed gate by hand (R76)."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from migrations_app.models import Rollout, Wave
from migrations_app.rollouts.gates import gate_of, retirement_checklist
from migrations_app.rollouts.opening import open_gate, why_not
from migrations_app.screens.forms.checks import OpeningForm
from migrations_app.screens.rollouts.checks import rollout_of
from migrations_app.screens.rollouts.of_page import wave_of
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def open_wave(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Open the gate of a wave. GET shows what closes it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    return _open(request, access, wave.rollout, wave)


@require_http_methods(["GET", "HEAD", "POST"])
def open_retirement(request: Request, slug: str, pk: int) -> HttpResponse:
    """Let the checklist before retirement be as it is."""
    access = access_for(request, slug, Role.Name.ADMIN)
    return _open(request, access, rollout_of(access, pk), None)


def _open(request: Request, access: Access, rollout: Rollout, wave: Wave | None) -> HttpResponse:
    form = OpeningForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with refusals_told(form):
            open_gate(rollout, wave, form.cleaned_data["reason"], access.actor)
            messages.success(request, _("The gate is open, for once. The rollout's people are told."))
            return redirect("rollout-checks", access.tenant.slug, rollout.pk)
    gate = gate_of(wave) if wave else retirement_checklist(rollout)
    context = {
        "access": access,
        "rollout": rollout,
        "wave": wave,
        "gate": gate,
        "why_not": why_not(rollout, gate, access.actor.name),
        "form": form,
    }
    return render(request, "rollouts/open_gate.html", context)
