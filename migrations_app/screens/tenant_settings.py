"""The tenant's switches (R12 to R14), limits and texts, and what starts a run with the switches as they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import Run
from migrations_app.preview.settings import foresee_settings
from migrations_app.runs.out_of_date import count_out_of_date
from migrations_app.triggers.rules import decide_meetings_stay
from migrations_app.triggers.switches import Switches
from migrations_app.triggers.table import SWITCHES as DECIDING
from migrations_app.triggers.table import answer_now, table
from tenants_app.access import Access, access_for
from tenants_app.catalogue import SHOWN_IN_INVITATIONS, SWITCHES, TenantSetting
from tenants_app.changes.tenants import change_tenant, renew_directory_key
from tenants_app.local_times import place_names
from tenants_app.models import Role, Tenant
from tenants_app.screens.addresses import page_at
from tenants_app.screens.forms import TenantForm
from tenants_app.screens.fragments import answer
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request
from tenants_app.site_address import site_address
from tenants_app.wording import MEETINGS_STAY


@require_http_methods(["GET", "HEAD", "POST"])
def tenant_settings(request: Request, slug: str) -> HttpResponse:
    """The switches, and a form for limits and texts that an admin may save."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = TenantForm(request.POST if is_post else None, instance=access.tenant)
    foreseen, is_asked = None, False
    if is_post and form.is_valid():
        values = form.edited()
        if "preview" in request.POST or SHOWN_IN_INVITATIONS.intersection(values):
            with refusals_told(form):
                foreseen = foresee_settings(Tenant.objects.get(pk=access.tenant.pk), values)
        # Whoever has not seen how many users it makes out of date sees it first, and saves then.
        is_asked = foreseen is not None and foreseen.after > foreseen.before and not foreseen.is_seen(request.POST)
    if is_post and "preview" not in request.POST and not is_asked and form.is_valid():
        with refusals_told(form):
            change_tenant(access.tenant, access.actor, **values)
            messages.success(request, _what_is_saved(access.tenant, values))
            for field in filter(values.__contains__, MEETINGS_STAY):
                messages.warning(request, decide_meetings_stay(field).sentence)
            return redirect("settings", slug)
    stored = Tenant.objects.get(pk=access.tenant.pk) if is_post else access.tenant
    context = {
        "access": access,
        "form": form,
        "time_zones": place_names(),
        "switches": [(switch, getattr(stored, switch.field)) for switch in SWITCHES],
        "out_of_date": count_out_of_date(access.tenant),
        "directory": _directory(stored),
        "foreseen": foreseen,
        "is_preview": "preview" in request.POST,
        "is_asked": is_asked and "preview" not in request.POST,
        "is_answer": "preview" in request.POST or is_asked,
        **({"prepare": [("kind", "settings"), *_posted(form)]} if foreseen else {}),
    }
    return answer(request, "settings/settings.html", "settings/consequence.html", context)


def _posted(form: TenantForm) -> list[tuple[str, Any]]:
    """What the form was posted with, to be posted once more."""
    return [
        (name, value)
        for name, value in form.data.items()
        if name not in {"csrfmiddlewaretoken", "preview", "confirmed"}
    ]


def _directory(tenant: Tenant) -> dict[str, Any]:
    """What Jitsi Meet and telephone bridges are told about the dial-in directory; nothing while it is off."""
    if not tenant.dial_in_directory:
        return {}
    names = {"numbers": "phone-number-list", "mapper": "conference-mapper"}
    addresses = {each: site_address(reverse(name, args=[tenant.slug])) for each, name in names.items()}
    host = urlsplit(tenant.meeting_url).hostname or "meet.example.org"
    return {**addresses, "host": host, "has_key": tenant.directory_key_hash != ""}


def _what_is_saved(tenant: Tenant, fields: Collection[str]) -> str:
    """Tell that ``fields`` are saved, and how many users' invitations do not show it yet (R36)."""
    if not SHOWN_IN_INVITATIONS.intersection(fields):
        return _("The settings are saved.")
    found = count_out_of_date(tenant)
    if not found:
        return _("The settings are saved. Invitations show them after each user's next run.")
    told = ngettext(
        "The settings are saved. Invitations show them after each user's next run: %(number)s user is out of date now.",
        "The settings are saved. Invitations show them after each user's next run: %(number)s users are out of date "
        "now.",
        found.users,
    )
    return told % {"number": number_format(found.users, force_grouping=True)}


@require_safe
def rules(request: Request, slug: str) -> HttpResponse:
    """What each kind of change starts: with the switches as they are, and with all others."""
    access = access_for(request, slug)
    switches = Switches.of(access.tenant)
    context = {
        "access": access,
        "switches": [(switch, getattr(access.tenant, switch.field)) for switch in SWITCHES if switch.field in DECIDING],
        "rows": [
            (
                row.kind,
                answer_now(row.kind, switches),
                [(group.who, [(answer, answer.holds(switches)) for answer in group.answers]) for group in row.answers],
            )
            for row in table()
        ],
    }
    return render(request, "settings/rules.html", context)


@require_POST
def switch(request: Request, slug: str, name: str) -> HttpResponse:
    """Turn the switch ``name`` to the posted ``on``: true or false."""
    access = access_for(request, slug, Role.Name.ADMIN)
    turned = next((switch for switch in SWITCHES if switch.name == name), None)
    if turned is None:
        raise Http404
    wanted = request.POST.get("on")
    if wanted in {"true", "false"}:
        change_tenant(access.tenant, access.actor, **{turned.field: wanted == "true"})
        messages.success(request, _what_happens(access.tenant, turned, wanted == "true"))
        if turned.field == "dial_in_directory" and wanted == "true":
            _show_new_key(request, access)
    else:
        told = _("%(switch)s is either on or off: nothing was changed.")
        messages.error(request, told % {"switch": turned.name})
    return redirect(page_at(request, request.POST.get("next", "")) or reverse("settings", args=[slug]))


@require_safe
def service_off(request: Request, slug: str) -> HttpResponse:
    """Ask once more before the service is switched off, in numbers."""
    access = access_for(request, slug, Role.Name.ADMIN)
    runs = Run.objects.filter(tenant=access.tenant)
    users = access.tenant.users.count()
    context = {
        "access": access,
        "waiting": runs.filter(state=Run.State.PENDING).count(),
        "running": runs.filter(state=Run.State.IN_PROGRESS).count(),
        "users": users,
        "next": page_at(request, request.GET.get("next", "")) or reverse("settings", args=[slug]),
        "sentence": ngettext(
            "Pending runs wait, runs in progress finish, and until it is on again no change of the %(number)s user "
            "starts a run: whose invitations it makes wrong is out of date.",
            "Pending runs wait, runs in progress finish, and until it is on again no change of any of the %(number)s "
            "users starts a run: whose invitations it makes wrong is out of date.",
            users,
        )
        % {"number": number_format(users, force_grouping=True)},
    }
    return render(request, "settings/service_off.html", context)


@require_POST
def directory_key(request: Request, slug: str) -> HttpResponse:
    """Make a new key of the dial-in directory, and show it this once (R46)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    _show_new_key(request, access)
    return redirect("settings", slug)


def _show_new_key(request: Request, access: Access) -> None:
    key = renew_directory_key(access.tenant, access.actor)
    told = _(
        "The new directory key, which is shown only now: <code class='secret'>{}</code> Give it to your telephone "
        "bridges. A key from before opens nothing any more."
    )
    messages.warning(request, format_html(told, key))


def _what_happens(tenant: Tenant, switch: TenantSetting, on: bool) -> str:
    if switch.field != "meeting_migration_enabled":
        return (_("%(switch)s is on.") if on else _("%(switch)s is off.")) % {"switch": switch.name}
    waiting = Run.objects.filter(tenant=tenant, state=Run.State.PENDING).count()
    runs = {"number": number_format(waiting, force_grouping=True)}
    if not on:
        told = ngettext(
            "The service is off: %(number)s pending run waits, runs in progress finish, and changes start nothing.",
            "The service is off: %(number)s pending runs wait, runs in progress finish, and changes start nothing.",
            waiting,
        )
        return told % runs
    told = _("The service is on. Nothing is waiting.")
    if waiting:
        goes_on = ngettext(
            "The service is on: %(number)s pending run goes on, each when it is due.",
            "The service is on: %(number)s pending runs go on, each when it is due.",
            waiting,
        )
        told = goes_on % runs
    found = count_out_of_date(tenant)
    if found:
        why_not = f"{found.under_way} {found.cannot_start}".strip()
        next_step = _("You can start their runs below.") if found.need_a_start else why_not
        told = f"{told} {found.count}. {next_step}"
    return told
