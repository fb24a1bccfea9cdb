"""One service number: who depends on it (R32), its place, making it the default, and taking it off or replacing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.failures import Failure
from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import NumberRelease
from migrations_app.preview.many_users import BY_DEFAULT_ONLY, foresee_release
from migrations_app.preview.release_effect import MOST_ON_A_PAGE, effect_of_release
from migrations_app.procedures.number_release import (
    check_not_default,
    check_release,
    start_release,
    start_replacement,
)
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.forms.bridges import PlaceForm, ReplaceForm, TakeOffForm
from migrations_app.screens.forms.starting import WhenForm
from migrations_app.screens.notice_samples import sample_of
from migrations_app.screens.tables.users import DependantTable
from migrations_app.screens.users import with_latest_run
from tenants_app.access import Access, access_for
from tenants_app.changes.bridges import describe_number, set_default_number
from tenants_app.dependants import dependants
from tenants_app.models import ConferencingUser, Role, ServiceNumber
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import arrange
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request


@require_safe
def number(request: Request, slug: str, pk: int, number_pk: int) -> HttpResponseBase:
    """What the number is, and who depends on it."""
    access = access_for(request, slug)
    return _page(request, access, _number(access, pk, number_pk))


@require_POST
def set_default(request: Request, slug: str, pk: int, number_pk: int) -> HttpResponseBase:
    """Make the number its bridge's default; with ``reschedule_meetings`` the runs of R10 start."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _number(access, pk, number_pk)
    reschedules = "reschedule_meetings" in request.POST
    try:
        consequences = set_default_number(shown, access.actor, reschedule_meetings=reschedules)
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(
            request, _("%(number)s is the default number of %(bridge)s.") % {"number": shown, "bridge": shown.bridge}
        )
        if reschedules:
            tell_consequences(request, consequences)
        elif users := _without_own_number(shown).count():
            told = ngettext(
                "No run, because rescheduling was not asked for: %(number)s user has no toll number of their own and "
                "may be out of date until their next run.",
                "No run, because rescheduling was not asked for: %(number)s users have no toll number of their own and "
                "may be out of date until their next run.",
                users,
            )
            messages.warning(request, told % {"number": number_format(users, force_grouping=True)})
    return redirect("number", slug, pk, number_pk)


@require_POST
def describe(request: Request, slug: str, pk: int, number_pk: int) -> HttpResponseBase:
    """Correct the place that invitations show beside the number."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _number(access, pk, number_pk)
    form = PlaceForm(request.POST, _number(access, pk, number_pk))
    if form.is_valid():
        with refusals_told(form):
            describe_number(shown, access.actor, country=form.cleaned_data["country"], city=form.cleaned_data["city"])
            messages.success(request, _("The place is saved. Invitations show it after each user's next run."))
            return redirect("number", slug, pk, number_pk)
    return _page(request, access, shown, place_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
def release_number(request: Request, slug: str, pk: int, number_pk: int) -> HttpResponseBase:
    """Take the number off its bridge, ``replacement`` in its place (R33): first what that leads to, on POST begun."""
    return _take_off(request, slug, pk, number_pk, TakeOffForm)


@require_http_methods(["GET", "HEAD", "POST"])
def replace_number(request: Request, slug: str, pk: int, number_pk: int) -> HttpResponseBase:
    """Replace the number ``by`` another for everyone: first what that leads to, on POST begun."""
    return _take_off(request, slug, pk, number_pk, ReplaceForm)


def _take_off(
    request: Request, slug: str, pk: int, number_pk: int, form_of: type[TakeOffForm | ReplaceForm]
) -> HttpResponseBase:
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _number(access, pk, number_pk)
    form = form_of(request.POST if form_of.field in request.POST else request.GET, shown)
    is_replaced = isinstance(form, ReplaceForm)
    here = (access.tenant.slug, shown.bridge_id, shown.pk)
    if not form.is_valid():
        if form.non_field_errors():
            tell_errors(request, ValidationError(list(form.non_field_errors())))
            return redirect("number", *here)
        return _page(request, access, shown, **{"replace_form" if is_replaced else "take_off_form": form})
    successor = form.successor()
    e164 = successor.number if successor else form.cleaned_data["by"]
    when = WhenForm(request.POST if request.method == "POST" else {}, access.tenant)
    if request.method == "POST" and when.is_valid():
        try:
            if is_replaced:
                release = start_replacement(shown, e164, access.actor, when=when.when)
            else:
                release = start_release(shown, successor or shown, access.actor, when=when.when)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("number", *here)
        if not when.when:
            told = _("%(number)s is being taken off %(bridge)s, and %(new)s takes its place.")
            messages.success(request, told % {"number": shown, "bridge": shown.bridge, "new": e164})
        return redirect("release", access.tenant.slug, release.pk)
    foreseen = foresee_release(shown)
    effect, failure = None, ""
    if "count" in request.GET:
        try:
            effect = effect_of_release(shown, e164, MOST_ON_A_PAGE)
        except Failure as unavailable:
            failure = unavailable.told
    context = {
        "access": access,
        "number": shown,
        "successor": successor,
        "e164": e164,
        "when": when,
        "sample": sample_of(access.tenant, dependants(shown)),
        "field": form.field,
        "foreseen": foreseen,
        "is_counted": "count" in request.GET,
        "effect": effect,
        "failure": failure,
        "prepare": [("kind", "release"), ("number", shown.pk), ("by", e164)],
        "holding": sum(count for sentence, count in foreseen.without_run.items() if sentence != BY_DEFAULT_ONLY),
    }
    return answer(request, "bridges/number_take_off.html", "bridges/number_effect.html", context)


def _page(request: Request, access: Access, shown: ServiceNumber, **forms_with_errors: Any) -> HttpResponseBase:
    users = dependants(shown)
    table = DependantTable(with_latest_run(users).select_related("bridge"), shown)
    if instead := arrange(request, access, table):
        return instead
    open_releases = NumberRelease.objects.filter(tenant=access.tenant, state__in=NumberRelease.OPEN)
    context = {
        "access": access,
        "number": shown,
        "bridge": shown.bridge,
        "table": table,
        "future": future_meetings(users),
        "release": open_releases.filter(number=shown).first(),
        "without_own_number": _without_own_number(shown).count() if shown.kind == ServiceNumber.Kind.TOLL else 0,
        "not_now": _refusal(lambda: check_release(access.tenant, shown, None)),
        "not_without_default": _refusal(lambda: check_not_default(shown)),
        "place_form": PlaceForm(None, _number(access, shown.bridge_id, shown.pk)),
        "take_off_form": TakeOffForm(None, shown),
        "replace_form": ReplaceForm(None, shown),
    } | forms_with_errors
    if forms_with_errors:
        return render(request, "bridges/number.html", context | {"is_refused": True})
    return answer(request, "bridges/number.html", "tables/results.html", context)


def _refusal(check: Callable[[], None]) -> str:
    """Why the check refuses, in a sentence; empty where it does not."""
    try:
        check()
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _without_own_number(shown: ServiceNumber) -> QuerySet[ConferencingUser]:
    """The users of the bridge who have its default number."""
    return ConferencingUser.objects.filter(bridge=shown.bridge_id, toll_number=None)


def _number(access: Access, pk: int, number_pk: int) -> ServiceNumber:
    numbers = ServiceNumber.objects.select_related("bridge", "tenant")
    return get_object_or_404(numbers, tenant=access.tenant, bridge=pk, pk=number_pk)
