"""What is done for the users whom an administrator has selected: what it leads to, and the decision to do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import Run
from migrations_app.monitoring import clock
from migrations_app.preview.many_users import EndedUndos, foresee_move, foresee_start
from migrations_app.preview.numbers_of_move import foresee_numbers
from migrations_app.preview.plans import Changes, Starts
from migrations_app.procedures import bulk_actions
from migrations_app.procedures.bulk_kinds import KINDS, Kind
from migrations_app.screens.forms.starting import MeetingTypesForm, WhenForm
from migrations_app.screens.looked_at import changed_since, first_keys, has_changed_since, looked_at
from migrations_app.screens.notice_samples import sample_of
from migrations_app.screens.selection import Misunderstood, Selection, selection_of
from tenants_app.access import Access, access_for
from tenants_app.local_times import in_words, read_moment, told
from tenants_app.models import Bridge, Tenant
from tenants_app.screens.fragments import answer
from tenants_app.screens.refusals import refusal_of, tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def selected(request: Request, slug: str, kind: str) -> HttpResponse:
    """GET says what would be done for the users whom the address selects, POST has it done.

    ``seen`` of the form is how many users the page named, ``key`` what it said would be chosen for them, and ``looked``
    what it knew of their settings and meetings when it looked at each.
    """
    wanted = KINDS.get(kind)
    if wanted is None:
        raise Http404
    access = access_for(request, slug, wanted.role)
    try:
        selection = selection_of(request.GET, access)
    except Misunderstood as error:
        messages.error(request, error.sentence)
        return redirect(error.the_list)
    users = selection.users.count()
    if not users:
        messages.info(request, selection.nobody)
        return redirect(selection.the_list)
    if request.method == "POST":
        return _perform(request, access, wanted, selection)
    look = _LOOKS[wanted.name]
    context = {
        "access": access,
        "kind": wanted,
        "selection": selection,
        "cancel": selection.back,
        "kept": selection.kept,
        "user_count": users,
        "seen": users,
        "when": WhenForm(request.GET, access.tenant),
        "sample": sample_of(access.tenant, selection.users),
    }
    page, fragment, more = look(request, access, selection)
    return answer(request, page, fragment, context | more)


def _perform(request: Request, access: Access, kind: Kind, selection: Selection) -> HttpResponse:
    seen = request.POST.get("seen", "")
    shown = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 10 else None
    when = WhenForm(request.POST, access.tenant)
    if kind.may_be_planned and not when.is_valid():
        return redirect(_as_typed(request, when))
    try:
        options = _OPTIONS[kind.name](request, access, selection)
        if when.when and "now" in options:
            options["now"] = False  # there is a time, and no settling to be left out
        action = bulk_actions.perform(
            access.tenant,
            kind,
            selection.users,
            access.actor,
            options=options,
            shown=shown,
            chosen_by=selection.words if selection.is_all else "",
            when=when.when if kind.may_be_planned else None,
        )
    except Overtaken as error:
        messages.warning(request, error.message)
        return redirect(error.page)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect(request.get_full_path())
    return redirect("bulk-action", access.tenant.slug, action.pk)


def _as_typed(request: Request, when: WhenForm) -> str:
    """The address of the page with all that was typed, where it says what is wrong with the time."""
    asked = request.GET.copy()
    for name in ("source_meeting_type", "target_meeting_type", "now", "to"):
        if name in request.POST:
            asked[name] = request.POST[name]
    for name, value in when.typed:
        asked[name] = value
    return f"{request.path}?{asked.urlencode()}#when"


# --- what the pages say -------------------------------------------------------------------------------

Look = Callable[[Request, Access, Selection], tuple[str, str, dict[str, Any]]]
"""The page, its part for htmx, and what both show."""


def _look_at_start(request: Request, access: Access, selection: Selection) -> tuple[str, str, dict[str, Any]]:
    form = MeetingTypesForm(request.GET, access.tenant)
    is_asked = "count" in request.GET
    targets = form.targets()
    plan = Starts.of(access.tenant, users=first_keys(selection.users) if is_asked else [], targets=targets)
    more = {
        "types": form,
        "now": "now" in request.GET,
        "foreseen": foresee_start(access.tenant, selection.users, targets),
        "is_asked": is_asked,
        **(looked_at(plan) if is_asked else {}),
        "prepare": [("kind", "start"), ("selection", selection.asked), *form.chosen],
    }
    return "selecting/start.html", "runs/start_form.html", more


def _look_at_retry(request: Request, access: Access, selection: Selection) -> tuple[str, str, dict[str, Any]]:
    latest = Run.objects.filter(tenant=access.tenant, is_latest=True, state=Run.State.FAILED)
    failed = selection.users.filter(pk__in=latest.values("user"))
    page = "selecting/retry.html"
    return page, page, {"foreseen": foresee_start(access.tenant, failed)}


def _look_at_notify(request: Request, access: Access, selection: Selection) -> tuple[str, str, dict[str, Any]]:
    page = "selecting/notify.html"
    form = BeginsForm(request.GET if "begins" in request.GET else None, access.tenant)
    begins_at = form.cleaned_data["begins"] if form.is_valid() else None
    more = {
        "form": form,
        "begins_at": begins_at,
        "sample": sample_of(access.tenant, selection.users, begins_at),
        "future": future_meetings(selection.users.order_by()),
    }
    return page, page, more


def _look_at_mark(request: Request, access: Access, selection: Selection) -> tuple[str, str, dict[str, Any]]:
    page = "selecting/mark.html"
    out_of_date = selection.users.out_of_date()  # type: ignore[attr-defined]
    undos = EndedUndos.of(out_of_date)
    return page, page, {"out_of_date_count": out_of_date.count(), "undos": undos}


def _look_at_move(request: Request, access: Access, selection: Selection) -> tuple[str, str, dict[str, Any]]:
    bridges = Bridge.objects.filter(tenant=access.tenant)
    page = "selecting/move.html"
    form = BridgeChoice(request.GET if "to" in request.GET else None, access)
    if not form.is_valid():
        return page, page, {"form": form, "bridges": bridges}
    target: Bridge = form.cleaned_data["to"]
    is_counted = "count" in request.GET
    moving = first_keys(selection.users.exclude(bridge=target)) if is_counted else []
    more = {
        "form": form,
        "bridges": bridges,
        "target": target,
        "foreseen": foresee_move(access.tenant, selection.users, target),
        "exchanges": foresee_numbers(access.tenant, selection.users, target),
        "lacks_number": not target.provider and not target.numbers.filter(is_default=True).exists(),
        "is_counted": is_counted,
        **(looked_at(Changes.of(access.tenant, {"bridge": target}, users=moving)) if is_counted else {}),
        "prepare": [("kind", "move"), ("selection", selection.asked), ("to", target.pk)],
    }
    return page, "selecting/move_effect.html", more


_LOOKS: Mapping[str, Look] = {
    "start": _look_at_start,
    "retry": _look_at_retry,
    "notify": _look_at_notify,
    "mark": _look_at_mark,
    "move": _look_at_move,
}


# --- how it is done -----------------------------------------------------------------------------------


class Overtaken(ValidationError):
    """What was looked at is not what would be done by now."""

    def __init__(self, done: str, page: str) -> None:
        super().__init__(changed_since(done))
        self.page = page
        """Where it is looked at anew."""


class BridgeChoice(forms.Form):
    """The bridge that the users move to."""

    to = forms.ModelChoiceField(
        Bridge.objects.none(), label=gettext_lazy("New bridge"), empty_label=gettext_lazy("Choose a bridge")
    )

    def __init__(self, asked: Mapping[str, Any] | None, access: Access) -> None:
        super().__init__(asked)
        field = cast("forms.ModelChoiceField[Bridge]", self.fields["to"])
        field.queryset = Bridge.objects.filter(tenant=access.tenant)
        field.widget.attrs["class"] = "form-select"
        for code in ("required", "invalid_choice"):
            field.error_messages[code] = _("Choose the bridge that the users should move to.")


class BeginsForm(forms.Form):
    """When runs begin of which organizers are told."""

    begins = forms.CharField(
        label=gettext_lazy("The runs begin"),
        widget=forms.TextInput(
            {"placeholder": gettext_lazy("Saturday 22:00"), "autocomplete": "off", "class": "form-control"}
        ),
        error_messages={"required": gettext_lazy("Say when the runs begin: that is what the organizers are told.")},
    )

    def __init__(self, asked: Mapping[str, Any] | None, tenant: Tenant) -> None:
        super().__init__(asked)
        self._tenant = tenant
        self.fields["begins"].help_text = _(
            "In %(zone)s. Such as tonight 22:00, Saturday 22:00, tomorrow 6:00 or 2026-12-05T22:00."
        ) % {"zone": in_words(tenant.zone)}

    def clean_begins(self) -> datetime:
        """The moment. Raises what :func:`local_times.read_moment` finds."""
        return read_moment(self.cleaned_data["begins"], self._tenant.zone, clock.now())


def _notify_options(request: Request, access: Access, selection: Selection) -> dict[str, Any]:
    form = BeginsForm(request.POST, access.tenant)
    if not form.is_valid():
        raise refusal_of(form)
    begins_at: datetime = form.cleaned_data["begins"]
    return {
        "begins_at": begins_at.isoformat(),
        "when": f"that begin {told(begins_at, access.tenant.zone)}",
        "reference": str(uuid4()),
    }


def _start_options(request: Request, access: Access, selection: Selection) -> dict[str, Any]:
    form = MeetingTypesForm(request.POST, access.tenant)
    if not form.is_valid():
        raise refusal_of(form)
    if has_changed_since(request, selection.users):
        now = [("now", "on")] if "now" in request.POST else []
        typed = WhenForm(request.POST, access.tenant).typed
        asked = urlencode([*selection.kept, *form.chosen, *now, *typed, ("count", "exactly")])
        raise Overtaken("started", f"{request.path}?{asked}")
    targets = form.targets()
    return {"targets": targets.stored if targets else None, "now": "now" in request.POST}


def _no_options(request: Request, access: Access, selection: Selection) -> dict[str, Any]:
    return {}


def _move_options(request: Request, access: Access, selection: Selection) -> dict[str, Any]:
    form = BridgeChoice(request.POST, access)
    if not form.is_valid():
        raise refusal_of(form)
    target: Bridge = form.cleaned_data["to"]
    if has_changed_since(request, selection.users.exclude(bridge=target)):
        typed = WhenForm(request.POST, access.tenant).typed
        asked = urlencode([*selection.kept, ("to", str(target.pk)), *typed, ("count", "exactly")])
        raise Overtaken("moved", f"{request.path}?{asked}")
    key = request.POST.get("key")
    if key is not None and key != foresee_numbers(access.tenant, selection.users, target).key:
        raise ValidationError(_("Other numbers would be chosen by now, so nothing was done: look once more."))
    return {"bridge": target.pk, "bridge_name": target.name}


_OPTIONS: Mapping[str, Callable[[Request, Access, Selection], dict[str, Any]]] = {
    "start": _start_options,
    "retry": _no_options,
    "notify": _notify_options,
    "mark": _no_options,
    "move": _move_options,
}
