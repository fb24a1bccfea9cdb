"""The settings of a wave, its place, and making two of it, until it starts (R64)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.models import Wave
from migrations_app.rollouts.waves import change_wave, put_wave, remove_wave, split_wave
from migrations_app.screens.filters import UserFilter
from migrations_app.screens.forms.rollouts import PlaceForm, SplitForm, WaveForm
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from migrations_app.screens.selection import in_words
from tenants_app.access import Access, access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Who joins it, in which batches, when, and how long it is observed. A POST by an admin changes that."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    wave = wave_of(request, access, pk, n)
    form = WaveForm(request.POST if is_post else None, wave, access)
    if is_post and form.is_valid():
        with refusals_told(form):
            changed = change_wave(wave, access.actor, **form.edited())
            messages.success(request, _("The settings of the wave %(name)s are saved.") % {"name": changed})
            return redirect("wave-settings", slug, pk, n)
    return _page(request, access, wave_of(request, access, pk, n), form=form)


@require_POST
def put(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Put it at another place."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    form = PlaceForm(request.POST, wave, wave.rollout.waves.count())
    if form.is_valid():
        with refusals_told(form):
            n = put_wave(wave, form.cleaned_data["position"], access.actor).position
            messages.success(request, _("The wave %(name)s is at place %(place)s.") % {"name": wave, "place": n})
            return redirect("wave-settings", slug, pk, n)
    return _page(request, access, wave, place_form=form)


@require_POST
def split(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Make two waves of it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    form = SplitForm(request.POST)
    if form.is_valid():
        with refusals_told(form):
            other = split_wave(wave, access.actor, **form.cleaned_data)
            messages.success(request, _("The other members are in the wave %(name)s now.") % {"name": other})
            return redirect("wave-members", slug, pk, other.position)
    return _page(request, access, wave, split_form=form)


@require_POST
def remove(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Remove it, where nobody is in it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    try:
        remove_wave(wave, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("wave-settings", slug, pk, n)
    messages.success(request, _("The wave %(name)s is removed.") % {"name": wave})
    return redirect("rollout", slug, pk)


def _page(request: Request, access: Access, wave: Wave, **forms: Any) -> HttpResponse:
    context = wave_context(access, wave, "settings")
    context |= {
        "form": WaveForm(None, wave, access),
        "place_form": PlaceForm(None, wave, len(context["line"])),
        "split_form": SplitForm(None),
        "filter_words": filter_in_words(access, wave),
        **forms,
    }
    return render(request, "rollouts/wave_settings.html", context)


def filter_in_words(access: Access, wave: Wave) -> str:
    """The wave's filter as people read it; empty where it has none."""
    if not wave.saved_query:
        return ""
    found = UserFilter(QueryDict(wave.saved_query), ConferencingUser.objects.none(), access.tenant)
    return str(in_words(found.form)) if found.is_valid() else wave.saved_query
