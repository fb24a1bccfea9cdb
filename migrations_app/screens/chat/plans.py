"""Plans: making one, how it stands while it is planned and imported, and its findings (R110)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Sum
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.chat import plans as planning
from migrations_app.models import ChatArchive, ChatFinding, ChatPlan, ChatRoom, ChatTarget
from migrations_app.monitoring.health import workers
from migrations_app.screens.chat.of_page import plan_context, plan_of, standing_of
from migrations_app.screens.forms.chat import ON_CONFLICT, PlanForm, ReasonForm
from migrations_app.screens.live import Live
from migrations_app.screens.tables.chat import FindingFilter, FindingTable
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

PS = ChatPlan.State
SEVERITIES = list(ChatFinding.Severity.values)


@require_http_methods(["GET", "HEAD", "POST"])
def new_plan(request: Request, slug: str) -> HttpResponse:
    """Which archive, which target, and how. A POST begins planning, which changes nothing at the target."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    given = {name: request.GET[name] for name in ("archive", "target") if request.GET.get(name, "").isdigit()}
    form = PlanForm(request.POST if request.method == "POST" else None, access, given)
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            made = planning.make_plan(access.tenant, access.actor, **form.cleaned_data)
            return redirect("chat-plan", slug, made.number)
    context = {
        "access": access,
        "form": form,
        "has_archives": ChatArchive.objects.filter(tenant=access.tenant, state=ChatArchive.State.STORED).exists(),
        "has_targets": ChatTarget.objects.filter(tenant=access.tenant).exists(),
    }
    return render(request, "chat/plan_new.html", context)


@require_safe
def plan(request: Request, slug: str, number: int) -> HttpResponse:
    """How the plan stands, what was found, and what can be done next. The page follows what happens."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = plan_of(access, number)
    standing = standing_of(shown)
    goes_on = shown.state in ChatPlan.UNDER_WAY or bool(standing.being_compared)
    why_not = planning.why_not_started(shown) if shown.state == PS.READY else ""
    is_left = shown.state == PS.IMPORTED and shown.rooms.filter(state=ChatRoom.State.PLANNED).exists()
    context = plan_context(access, shown, "plan") | {
        "standing": standing,
        "kinds": _kinds_of(shown),
        "of_plan": shown.findings.filter(room=None).order_by("pk")[:20],
        "why_not": why_not,
        "retention": _asks_of_retention(shown),
        "may_start": access.may_operate and (is_left or (shown.state == PS.READY and not why_not)),
        "is_left": is_left,
        "conflict_said": dict(ON_CONFLICT)[shown.on_conflict],
        "may_pause": access.may_operate and shown.state == PS.IMPORTING,
        "may_resume": access.may_operate and shown.state in {PS.PAUSED, PS.STOPPED},
        "may_retry": access.may_operate and shown.state in ChatPlan.STARTED and bool(standing.failed),
        "may_verify": access.may_operate and bool(standing.imported),
        "may_plan_again": access.may_operate and shown.state in {PS.READY, PS.REFUSED},
        "is_silent": goes_on and workers().are_silent,
        "seconds_to_refresh": 2 if goes_on else 0,
    }
    return live.answer("chat/plan.html", "chat/plan_live.html", context)


def _kinds_of(shown: ChatPlan) -> list[dict[str, Any]]:
    """The findings by what they are about, errors first, each with the number of rooms and of things."""
    rows = ChatFinding.objects.filter(plan=shown).order_by().values("severity", "code")
    found: list[Any] = list(rows.annotate(rooms=Count("room", distinct=True), times=Count("pk"), things=Sum("count")))
    return sorted(found, key=lambda row: (SEVERITIES.index(row["severity"]), -row["times"], row["code"]))


def _asks_of_retention(shown: ChatPlan) -> str:
    """What is said of retention at the target, where nobody has accepted it yet."""
    if shown.retention_accepted_at:
        return ""
    found = shown.findings.filter(code__in=["retention", "retention-unknown"]).first()
    return str(found.sentence) if found else ""


@require_safe
def findings(request: Request, slug: str, number: int) -> HttpResponseBase:
    """Everything that was found, as a list."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    rows = ChatFinding.objects.filter(plan=shown).select_related("room")
    found = FindingFilter(request.GET, rows, plan=shown)
    context = plan_context(access, shown, "findings")
    return answer_list(request, "chat/findings.html", FindingTable(found.qs), context, found=found)


@require_http_methods(["GET", "HEAD", "POST"])
def retention(request: Request, slug: str, number: int) -> HttpResponse:
    """An admin says that the target keeps imported history, with how they know (R110)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = plan_of(access, number)
    form = ReasonForm(
        request.POST if request.method == "POST" else None,
        help_text=_("How you know: which policy you looked at, and when. The report shows it."),
    )
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            planning.accept_retention(shown, access.actor, form.cleaned_data["reason"])
            messages.success(request, _("It is noted that the target keeps the history."))
            return redirect("chat-plan", slug, number)
    context = plan_context(access, shown, "plan") | {"form": form, "retention": _asks_of_retention(shown)}
    return render(request, "chat/plan_retention.html", context)


@require_POST
def plan_again(request: Request, slug: str, number: int) -> HttpResponse:
    """Look at source and target once more; what was decided stays."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    try:
        planning.plan_again(shown, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("chat-plan", slug, number)
