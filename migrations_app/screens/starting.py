"""Starting runs by hand (R11, R40): for one user, for those whom a filter finds, and for all out of date (R36)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.preview.foretold import first_meetings, foretell_all, seen_in_sum
from migrations_app.preview.many_users import foresee_start
from migrations_app.preview.plans import MOST_AT_ONCE, Starts, is_small, planned_now
from migrations_app.runs.out_of_date import start_all, users_out_of_date
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.filters import UserFilter
from migrations_app.screens.forms import MeetingTypesForm
from migrations_app.triggers.rules import why_not_served
from tenants_app.access import Access, access_for
from tenants_app.models import Bridge, ConferencingUser, Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.requests import Request
from tenants_app.user_settings import UserSettings

Users = QuerySet[ConferencingUser]


@require_http_methods(["GET", "HEAD", "POST"])
def out_of_date(request: Request, slug: str) -> HttpResponse:
    """Everybody who is out of date. ``?bridge=`` narrows it to one bridge's users.

    GET says what starting them leads to, POST starts them, as the form's types and ``now`` say (R19).
    """
    access = access_for(request, slug, Role.Name.OPERATOR)
    bridge = _bridge(access, request.GET.get("bridge", ""))
    users = users_out_of_date(access.tenant)
    if bridge is not None:
        users = users.filter(bridge=bridge)
    if request.method == "POST":
        nobody = "Nobody is out of date any more, so there was nothing to start."
        return _started(request, access, users, nobody) or redirect("dashboard", slug)
    context: dict[str, Any] = {
        "bridge": bridge,
        "users": None,
        "of": bridge.pk if bridge else None,
        "prepare": [("kind", "start"), ("bridge", bridge.pk if bridge else "")],
        "cancel": reverse("bridge", args=[slug, bridge.pk]) if bridge else reverse("dashboard", args=[slug]),
    }
    if not users.exists():
        return render(request, "dashboard/nobody_out_of_date.html", {"access": access, **context})
    return _page(request, access, users, "dashboard/out_of_date.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def start_selected(request: Request, slug: str) -> HttpResponse:
    """Those whom the filter of the list of users finds, with its parameters in the address; the rest is as above."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    everyone = ConferencingUser.objects.filter(tenant=access.tenant)
    found = UserFilter(request.GET, everyone, access.tenant)
    users = found.qs
    the_list = f"{reverse('users', args=[slug])}?{urlencode(_kept(request))}"
    if not found.is_valid():
        messages.error(
            request, "A part of the filter is not understood, so nothing was started: choose the users again."
        )
        return redirect(the_list)
    if request.method == "POST":
        nobody = "The filter finds nobody any more, so there was nothing to start."
        return _started(request, access, users, nobody) or redirect(the_list)
    if not users.exists():
        messages.info(request, "The filter finds nobody, so there is nothing to start.")
        return redirect(the_list)
    context = {
        "cancel": the_list,
        "users": list(users.order_by("pk").values_list("pk", flat=True)) if _is_asked(request) else [],
        "of": None,
        "prepare": [("kind", "start"), ("filter", urlencode(_kept(request)))],
    }
    return _page(request, access, users, "users/start_selected.html", context)


@require_POST
def start_user(request: Request, slug: str, upn: str) -> HttpResponse:
    """Start one user's run, due at once, as the form's types say."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    users = ConferencingUser.objects.with_upns(access.tenant, [upn])
    if not users.exists():
        raise Http404
    options = reverse("start-options", args=[slug, upn])
    return _started(request, access, users, "", now_due=True, refused=options) or redirect("user", slug, upn)


@require_safe
def start_options(request: Request, slug: str, upn: str) -> HttpResponse:
    """What starting one user's run leads to, with the types chosen."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    users = ConferencingUser.objects.with_upns(access.tenant, [upn]).select_related("bridge")
    user = users.first()
    if user is None:
        raise Http404
    context = {
        "user_shown": user,
        "users": [user.pk],
        "of": None,
        "prepare": [("kind", "start"), ("user", user.pk)],
        "refusal": why_not_served(UserSettings.of(user, "")),
        "cancel": reverse("user", args=[slug, user.upn]),
        "address": reverse("start-user", args=[slug, user.upn]),
    }
    return _page(request, access, users, "users/start.html", context)


def _page(request: Request, access: Access, users: Users, page: str, context: dict[str, Any]) -> HttpResponse:
    """What starting the users leads to; for htmx only what follows from the types that are chosen."""
    form = MeetingTypesForm(request.GET, access.tenant)
    is_asked = is_counted = _is_asked(request) or "user_shown" in context
    plan = Starts.of(access.tenant, users=context.pop("users"), bridge=context.pop("of"), targets=form.targets())
    is_counted = is_counted and is_small(plan)
    told, totals = foretell_all(planned_now(plan)) if is_counted else ([], None)
    context |= {
        "access": access,
        "types": form,
        "kept": _kept(request),
        "now": "now" in request.GET,
        "foreseen": foresee_start(access.tenant, users, form.targets()),
        "is_asked": is_asked,
        "totals": totals,
        "seen": seen_in_sum(plan.users) if totals else "",
        **first_meetings(told),
        "prepare": [*context["prepare"], *((name, form[name].value() or "") for name in form.fields)],
    }
    return answer(request, page, "runs/start_form.html", context)


def _looked_at(request: Request) -> str:
    """The page from which a start was posted, with what each meeting becomes."""
    return f"{request.path}?{urlencode([*_kept(request), ('count', 'exactly')])}"


def _is_asked(request: Request) -> bool:
    """Whether the page is to look at each meeting now."""
    return "count" in request.GET


def _kept(request: Request) -> list[tuple[str, str]]:
    """The parameters of the address that say who is started."""
    others = {*MeetingTypesForm.base_fields, "now", "count"}
    return [(name, value) for name, values in request.GET.lists() if name not in others for value in values]


def _started(
    request: Request, access: Access, users: Users, nobody: str, *, now_due: bool = False, refused: str = ""
) -> HttpResponse | None:
    """Start the users' runs as the posted form says. Where its types cannot be chosen: to the page ``refused``, or
    back to that of the form.
    """
    form = MeetingTypesForm(request.POST, access.tenant)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect(refused or request.get_full_path())
    seen = request.POST.get("seen", "")
    if seen and users.count() <= MOST_AT_ONCE and seen_in_sum(users) != seen:
        told = "Settings or meetings have changed since you looked, so nothing was started: this is what it does now."
        messages.warning(request, told)
        return redirect(refused or _looked_at(request))
    consequences = start_all(
        access.tenant, users, access.actor, targets=form.targets(), now_due=now_due or "now" in request.POST
    )
    if not consequences:
        messages.info(request, nobody)
    tell_consequences(request, consequences)
    return None


def _bridge(access: Access, key: str) -> Bridge | None:
    """The tenant's bridge of that primary key; None where none is asked for."""
    if not key:
        return None
    if not (key.isascii() and key.isdecimal() and len(key) < 19):
        raise Http404
    return get_object_or_404(Bridge, tenant=access.tenant, pk=int(key))
