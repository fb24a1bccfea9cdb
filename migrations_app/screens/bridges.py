"""The tenant's bridges, adding, changing and removing one, and its numbers."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import NumberRelease
from migrations_app.preview.foretold import first_meetings, foretell_all
from migrations_app.preview.plans import TenantSettings, is_small, planned_now
from migrations_app.runs.out_of_date import count_out_of_date
from migrations_app.screens.forms.bridges import BridgeForm, NewBridgeForm, NewNumberForm
from migrations_app.screens.tables.users import BridgeUserTable
from migrations_app.screens.users import with_latest_run
from tenants_app.access import Access, access_for
from tenants_app.changes.bridges import (
    check_can_be_removed,
    foresee_conference_ids,
    register_number,
    remove_bridge,
    set_bridge,
    set_default_number,
)
from tenants_app.dependants import count_dependants
from tenants_app.models import Bridge, ConferencingUser, Role, ServiceNumber
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import arrange
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request


@require_safe
def bridges(request: Request, slug: str) -> HttpResponse:
    """All bridges with their numbers and how many users are on each."""
    access = access_for(request, slug)
    return _bridges_page(request, access, NewBridgeForm(None, access.tenant))


@require_POST
def add_bridge(request: Request, slug: str) -> HttpResponse:
    """Make a bridge."""
    access = access_for(request, slug, Role.Name.ADMIN)
    form = NewBridgeForm(request.POST, access.tenant)
    if form.is_valid():
        with refusals_told(form):
            made = set_bridge(access.tenant, actor=access.actor, **form.cleaned_data)
            messages.success(
                request, _("The bridge %(name)s is there. Its first toll number becomes its default.") % {"name": made}
            )
            return redirect("bridge", slug, made.pk)
    return _bridges_page(request, access, form)


def _bridges_page(request: Request, access: Access, form: NewBridgeForm) -> HttpResponse:
    default_number = Prefetch("numbers", ServiceNumber.objects.filter(is_default=True), to_attr="default_numbers")
    found = (
        Bridge.objects.filter(tenant=access.tenant)
        .annotate(
            user_count=_how_many(ConferencingUser.objects.all()),
            toll_count=_how_many(ServiceNumber.objects.filter(kind=ServiceNumber.Kind.TOLL)),
            toll_free_count=_how_many(ServiceNumber.objects.filter(kind=ServiceNumber.Kind.TOLL_FREE)),
        )
        .prefetch_related(default_number)
        .order_by("-is_default", "name")
    )
    leaving = NumberRelease.objects.filter(tenant=access.tenant, state__in=NumberRelease.OPEN).count()
    context = {"access": access, "bridges": found, "form": form, "leaving_count": leaving}
    return render(request, "bridges/bridges.html", context)


def _how_many(rows: QuerySet[Any]) -> Coalesce:
    """How many of these rows belong to each bridge. Each kind is counted by itself: joins would multiply them."""
    of_bridge = rows.filter(bridge=OuterRef("pk")).order_by().values("bridge")
    return Coalesce(Subquery(of_bridge.annotate(count=Count("pk")).values("count")), 0)


@require_safe
def bridge(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """One bridge: its numbers and who depends on each, its settings, and its users."""
    access = access_for(request, slug)
    return _bridge_page(request, access, _bridge(access, pk))


@require_POST
def edit_bridge(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """Change the bridge's own settings, or with ``make_default`` make it the tenant's default."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _bridge(access, pk)
    if "make_default" in request.POST:
        set_bridge(access.tenant, shown.name, access.actor, make_default=True)
        messages.success(request, _("%(name)s is the default bridge.") % {"name": shown})
        return redirect("bridge", slug, pk)
    form = BridgeForm(request.POST, _bridge(access, pk))
    if form.is_valid():
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        if values.keys() - {"deployment"} and "confirmed" not in request.POST and shown.users.exists():
            return _confirm_edit(request, access, shown, form, values)
        with refusals_told(form):
            follows = foresee_conference_ids(form.instance) if "conference_ids_from" in values else ""
            set_bridge(access.tenant, shown.name, access.actor, **values)
            messages.success(request, _("The settings of %(name)s are saved.") % {"name": shown})
            if follows:
                messages.warning(request, follows)
            if "provider" in values:
                _tell_that_no_run_starts(request, shown.users.count())
            return redirect("bridge", slug, pk)
    return _bridge_page(request, access, shown, bridge_form=form)


def _confirm_edit(
    request: Request, access: Access, shown: Bridge, form: BridgeForm, values: dict[str, Any]
) -> HttpResponse:
    """What saving would lead to for the users of the bridge, before it is saved (R16, R43)."""
    shown_in_meetings = {name: value for name, value in values.items() if name != "deployment"}
    plan = TenantSettings(access.tenant, {"bridge": shown.pk, "values": shown_in_meetings})
    told, totals = foretell_all(planned_now(plan)) if is_small(plan) else ([], None)
    context = {
        "access": access,
        "bridge": shown,
        "posted": [(name, value) for name, value in form.data.items() if name != "csrfmiddlewaretoken"],
        "values": values,
        "user_count": shown.users.count(),
        "follows": foresee_conference_ids(form.instance) if "conference_ids_from" in values else "",
        "totals": totals,
        **first_meetings(told),
    }
    return render(request, "bridges/confirm_edit.html", context)


@require_POST
def add_number(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """Register a number on the bridge, and where that is asked for make it the default."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _bridge(access, pk)
    form = NewNumberForm(request.POST)
    if form.is_valid():
        with refusals_told(form):
            added, out_of_date = _register(access, shown, form.cleaned_data)
            told = (
                _("%(number)s is on %(bridge)s as its default.")
                if added.is_default
                else _("%(number)s is on %(bridge)s.")
            )
            messages.success(request, told % {"number": added, "bridge": shown})
            if out_of_date:
                _tell_that_no_run_starts(request, out_of_date)
            return redirect("number", slug, pk, added.pk)
    return _bridge_page(request, access, shown, number_form=form)


@transaction.atomic
def _register(access: Access, bridge: Bridge, values: dict[str, Any]) -> tuple[ServiceNumber, int]:
    """The number on its bridge, and how many users now have another default than before."""
    values = dict(values)
    wants_default = values.pop("make_default")
    added = register_number(bridge, actor=access.actor, **values)
    if not wants_default or added.is_default:
        return added, 0
    try:
        set_default_number(added, access.actor, reschedule_meetings=False)
    except ValidationError as error:
        raise ValidationError({"make_default": error.messages}) from error
    added.refresh_from_db()
    return added, bridge.users.filter(toll_number=None).count()


def _tell_that_no_run_starts(request: Request, users: int) -> None:
    if users:
        messages.warning(
            request,
            ngettext(
                "No run, because a bridge's own settings start none: %(number)s user on it may be out of date until "
                "their next run.",
                "No run, because a bridge's own settings start none: %(number)s users on it may be out of date until "
                "their next run.",
                users,
            )
            % {"number": number_format(users, force_grouping=True)},
        )


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Remove the bridge. GET says whether that is possible and what goes with it, POST removes it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _bridge(access, pk)
    refusal = ""
    try:
        if request.method == "POST":
            remove_bridge(_bridge(access, pk), access.actor)
        else:
            check_can_be_removed(shown)
    except ValidationError as error:
        refusal = " ".join(error.messages)
    if request.method == "POST" and not refusal:
        messages.success(request, _("The bridge %(name)s is removed.") % {"name": shown})
        return redirect("bridges", slug)
    context = {
        "access": access,
        "bridge": shown,
        "refusal": refusal,
        "user_count": shown.users.count(),
        "numbers": shown.numbers.all(),
    }
    return render(request, "bridges/cannot_be_removed.html" if refusal else "bridges/remove.html", context)


def _bridge_page(request: Request, access: Access, shown: Bridge, **forms_with_errors: Any) -> HttpResponseBase:
    on_it = with_latest_run(ConferencingUser.objects.filter(bridge=shown)).select_related("bridge")
    numbers = shown.numbers.order_by("-is_default", "kind", "number")
    dependants = count_dependants(shown.numbers.all())
    open_releases = NumberRelease.objects.filter(tenant=access.tenant, bridge=shown, state__in=NumberRelease.OPEN)
    releases = {release.number_id: release for release in open_releases}
    table = BridgeUserTable(on_it)
    if instead := arrange(request, access, table):
        return instead
    context = {
        "access": access,
        "bridge": shown,
        "numbers": [(number, dependants.get(number.pk, 0), releases.get(number.pk)) for number in numbers],
        "table": table,
        "out_of_date": count_out_of_date(access.tenant, shown),
        "others": Bridge.objects.filter(tenant=access.tenant).exclude(pk=shown.pk),
        "bridge_form": BridgeForm(None, _bridge(access, shown.pk)),
        "if_ids_change": _if_ids_change(shown),
        "number_form": NewNumberForm(None),
    } | forms_with_errors
    if request.method == "POST":
        return render(request, "bridges/bridge.html", context)
    return answer(request, "bridges/bridge.html", "tables/results.html", context)


def _if_ids_change(shown: Bridge) -> str:
    """What saving the other of the two choices would lead to."""
    mms, service = Bridge.ConferenceIdsFrom
    other = Bridge(pk=shown.pk, name=shown.name, provider=shown.provider)
    other.conference_ids_from = service if shown.gives_conference_ids else mms
    follows = foresee_conference_ids(other)
    if not follows:
        return ""
    return _("If you choose %(choice)s: %(follows)s") % {
        "choice": other.get_conference_ids_from_display(),
        "follows": follows,
    }


def _bridge(access: Access, pk: int) -> Bridge:
    return get_object_or_404(Bridge.objects.select_related("deployment"), tenant=access.tenant, pk=pk)
