"""Defining checks: a new one by its kind, what can be changed, its place, and removing it with a reason."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.models import RolloutCheck
from migrations_app.rollouts.answers import why_over
from migrations_app.rollouts.checks import change_check, define_check, move_check, remove_check
from migrations_app.rollouts.kinds import what_it_does
from migrations_app.screens.forms.checks import CheckForm, ReasonForm
from migrations_app.screens.rollouts.checks import check_of, rollout_of
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

Kind = RolloutCheck.Kind


@require_http_methods(["GET", "HEAD", "POST"])
def new_check(request: Request, slug: str, pk: int) -> HttpResponse:
    """A new check. GET without a ``kind`` lists the kinds; ``wave`` says before which wave it is to stand."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    kind, number = request.GET.get("kind", ""), request.GET.get("wave", "")
    if kind and kind not in Kind.values:
        raise Http404
    context = {"access": access, "rollout": rollout}
    if not kind:
        kinds = [(each.value, each.label, *what_it_does(each.value)) for each in Kind]
        before = f"&{urlencode({'wave': number})}" if number else ""
        return render(request, "rollouts/check_kinds.html", context | {"kinds": kinds, "before": before})
    waves = list(rollout.waves.order_by("position"))
    form = CheckForm(request.POST if request.method == "POST" else None, rollout, kind, waves=waves, wave=number)
    if request.method == "POST" and form.is_valid():
        wave = {str(each.position): each for each in waves}.get(form.cleaned_data["wave"])
        with refusals_told(form):
            made = define_check(rollout, wave, kind, form.entered(), access.actor)
            messages.success(request, _("The check “%(check)s” is there.") % {"check": made.name})
            return redirect("rollout-check", slug, pk, made.pk)
    shown = {"form": form, "kind": Kind(kind).label, "does": what_it_does(kind), "check": None}
    return render(request, "rollouts/check_form.html", context | shown)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """Change a check."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    shown = check_of(rollout, check)
    form = CheckForm(request.POST if request.method == "POST" else None, rollout, shown.kind, check=shown)
    if request.method == "POST" and form.is_valid():
        with refusals_told(form):
            if change_check(shown, form.entered(), access.actor):
                messages.success(request, _("The check “%(check)s” is changed.") % {"check": form.cleaned_data["name"]})
            else:
                messages.info(request, _("Nothing was changed."))
            return redirect("rollout-check", slug, pk, check)
    context = {
        "access": access,
        "rollout": rollout,
        "check": shown,
        "form": form,
        "kind": shown.get_kind_display(),
        "does": what_it_does(shown.kind),
    }
    return render(request, "rollouts/check_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """Remove a check, with a reason. GET asks for it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = check_of(rollout_of(access, pk), check)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with refusals_told(form):
            remove_check(shown, form.cleaned_data["reason"], access.actor)
            messages.success(request, _("The check “%(check)s” is removed.") % {"check": shown.name})
            return redirect("rollout-checks", slug, pk)
    context = {"access": access, "rollout": shown.rollout, "check": shown, "form": form, "over": why_over(shown)}
    return render(request, "rollouts/check_remove.html", context)


@require_POST
def move(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """Let a check change places with the one before it (``up``), or with the one after it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = check_of(rollout_of(access, pk), check)
    try:
        if not move_check(shown, access.actor, up=request.POST.get("to") == "up"):
            messages.info(request, _("There is no other check on that side."))
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("rollout-check", slug, pk, check)
