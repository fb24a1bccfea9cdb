"""What is planned: all of it, one with its time, and changing, cancelling or bringing forward one (R37)."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Case
from django.db.models import When as IfSo
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from migrations_app.models import NumberRelease, Plan, Run
from migrations_app.monitoring import clock
from migrations_app.procedures import plans
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.procedures.plans import HAS_BEGUN, Job, job_of
from migrations_app.screens.forms.starting import WhenForm
from migrations_app.screens.tables.jobs import PlanTable
from migrations_app.screens.told import told_of_plan
from tenants_app.access import Access, access_for
from tenants_app.local_times import is_shown_twice
from tenants_app.models import Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request


@require_safe
def all_plans(request: Request, slug: str) -> HttpResponseBase:
    """All of the tenant: first what is coming, the next one on top."""
    access = access_for(request, slug)
    rows = Plan.objects.filter(tenant=access.tenant).prefetch_related("bulk_actions", "number_releases")
    is_over = Case(IfSo(state__in=Plan.OPEN, then=0), default=1)
    table = PlanTable(rows.select_related("tenant").order_by(is_over, "opens_at", "pk"))
    return answer_list(request, "planned/plans.html", table, {"access": access})


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: Request, slug: str, pk: int) -> HttpResponse:
    """One of them; POST lets it begin at another time, as long as it has not begun."""
    access = access_for(request, slug)
    shown = _plan(access, pk)
    job = job_of(shown)
    if request.method == "POST":
        access = access_for(request, slug, _role(job))
    form = WhenForm(request.POST if request.method == "POST" else _as_typed(shown), access.tenant)
    if request.method == "POST" and form.is_valid():
        with refusals_told(form):
            if form.when is None:
                raise ValidationError({"not_before": _("Say when it is to begin, or bring it forward instead.")})
            plans.change(shown, form.when, access.actor)
            messages.success(request, _("It begins at the new time."))
            return redirect("plan", slug, pk)
    waiting = Run.objects.filter(plan=shown, state=Run.State.PENDING)
    context = {
        "access": access,
        "plan": shown,
        "job": job,
        "form": form,
        "waiting_runs": waiting.count() if shown.is_ahead else 0,
        "may_act": access.allows(_role(job)) and shown.is_ahead,
        "is_open": shown.is_open(clock.now()),
        **told_of_plan(shown),
    }
    return render(request, "planned/plan.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks once more, and on POST cancels what has not begun."""
    access, shown, job = _to_act_on(request, slug, pk)
    if request.method == "POST":
        if plans.cancel(shown, access.actor):
            messages.success(request, _("It is cancelled. What was done stays done."))
        else:
            messages.info(request, _("Nothing of it can be cancelled any more: it has begun, or has ended."))
        return redirect("plan", slug, pk)
    return render(request, "planned/cancel.html", {"access": access, "plan": shown, "job": job})


@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks once more, and on POST brings it forward to now."""
    access, shown, job = _to_act_on(request, slug, pk)
    if request.method == "POST":
        if not plans.bring_forward(shown, access.actor):
            messages.info(request, _("It has ended, so there is nothing to bring forward."))
        elif access.tenant.meeting_migration_enabled:
            messages.success(request, _("It begins as soon as a worker is free."))
        else:
            messages.warning(request, _("The service is switched off, so it waits all the same. Switch it on first."))
        return redirect("plan", slug, pk)
    if not shown.is_ahead:
        tell_errors(request, ValidationError(_(HAS_BEGUN)))
        return redirect("plan", slug, pk)
    return render(request, "planned/begin.html", {"access": access, "plan": shown, "job": job})


def _to_act_on(request: Request, slug: str, pk: int) -> tuple[Access, Plan, Job]:
    access = access_for(request, slug)
    shown = _plan(access, pk)
    job = job_of(shown)
    return access_for(request, slug, _role(job)), shown, job


def _role(job: Job) -> Role.Name:
    return Role.Name.ADMIN if isinstance(job, NumberRelease) else KINDS[job.kind].role


def _as_typed(plan: Plan) -> dict[str, str]:
    """The fields as somebody would have typed them."""
    typed = {}
    if plan.not_before > clock.now():
        local = plan.not_before.astimezone(plan.tenant.zone)
        offset = 22 if is_shown_twice(local) else 16
        typed["not_before"] = local.isoformat(timespec="minutes")[:offset]
    if plan.window:
        typed |= {"window_from": f"{plan.window.begin:%H:%M}", "window_to": f"{plan.window.end:%H:%M}"}
    return typed


def _plan(access: Access, pk: int) -> Plan:
    return get_object_or_404(Plan.objects.select_related("tenant"), tenant=access.tenant, pk=pk)
