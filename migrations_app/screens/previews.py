"""Previews that are made in the background: asked for, watched, looked through, exported, and gone on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import Preview, PreviewedMeeting, PreviewedUser
from migrations_app.monitoring.health import workers
from migrations_app.preview.foretold import Totals, changes_of
from migrations_app.preview.plans import PLANS, Plan
from migrations_app.procedures import previews as procedure
from migrations_app.screens.filters import PreviewFilter
from migrations_app.screens.forms.starting import WhenForm
from migrations_app.screens.live import Live
from migrations_app.screens.notice_samples import sample_of
from migrations_app.screens.preview_forms import asked_plan
from migrations_app.screens.tables.previews import PreviewedMeetingTable, PreviewTable
from tenants_app.access import Access, access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import all_of, answer_list, arrange
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request

IN_REPORT = 5_000
"""Meetings whose changes a report shows one by one."""


@require_http_methods(["GET", "HEAD", "POST"])
def previews(request: Request, slug: str) -> HttpResponseBase:
    """The previews of the last day. A POST has one made: of what, ``screens.preview_forms`` says."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    if request.method == "POST":
        try:
            plan = asked_plan(request, access)
            _check_may(access, plan)
            made = procedure.submit(access.tenant, plan, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("previews", slug)
        return redirect("preview", slug, made.pk)
    found = Preview.objects.filter(tenant=access.tenant, created__gte=timezone.now() - procedure.KEPT)
    context = {"access": access}
    return answer_list(request, "previews/previews.html", PreviewTable(found), context, everything=found)


@require_safe
def preview(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """How far it is, what it comes to, and each meeting; by outcome and reason."""
    live = Live(request, access_for(request, slug, Role.Name.OPERATOR))
    if live.is_unchanged:
        return live.nothing_new()
    access, shown = _preview(request, slug, pk)
    if shown is None:
        return render(request, "previews/over.html", {"access": access}, status=404)
    table, found = _meetings(request, shown)
    if instead := arrange(request, access, table, found):
        return instead
    totals = Totals.of(shown.totals)
    context: dict[str, Any] = {
        "access": access,
        "preview": shown,
        "totals": totals,
        "filter": found,
        "table": table,
        "failures": PreviewedUser.objects.filter(preview=shown).exclude(failure_code="").select_related("user")[:20],
        "is_silent": shown.is_open and workers().are_silent,
        "seconds_to_refresh": 2 if shown.is_open else 0,
        "changed": procedure.changed_since(shown) if "changed" in request.GET and not shown.is_open else [],
        "now": timezone.now(),
    }
    if shown.kind == "start" and shown.state == Preview.State.READY and totals.runs:
        users = ConferencingUser.objects.filter(pk__in=shown.users.values("user"))
        context |= {"when": WhenForm(request.GET, access.tenant), "sample": sample_of(access.tenant, users)}
    return live.answer("previews/preview.html", "previews/live.html", context)


@require_safe
def previewed_meeting(request: Request, slug: str, pk: int, meeting_pk: int) -> HttpResponse:
    """One meeting of a preview: before and after."""
    access, shown = _preview(request, slug, pk)
    if shown is None:
        return render(request, "previews/over.html", {"access": access}, status=404)
    row = get_object_or_404(PreviewedMeeting, preview=shown, pk=meeting_pk)
    context = {"access": access, "preview": shown, "row": row, "changes": changes_of(row)}
    return answer(request, "previews/meeting.html", "previews/meeting_body.html", context)


@require_POST
def start_preview(request: Request, slug: str, pk: int) -> HttpResponse:
    """Start the runs that were previewed, now or when the form says; where something has changed since, only with
    ``in_spite_of`` how much."""
    access, shown = _preview(request, slug, pk)
    if shown is None:
        return render(request, "previews/over.html", {"access": access}, status=404)
    when = WhenForm(request.POST, access.tenant)
    here = reverse("preview", args=[slug, pk])
    if not when.is_valid():
        return redirect(f"{here}?{urlencode(when.typed)}#when")
    try:
        action = procedure.start(shown, access.actor, in_spite_of=request.POST.get("in_spite_of"), when=when.when)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect(f"{here}?{urlencode([('changed', '1'), *when.typed])}")
    return redirect("bulk-action", slug, action.pk)


@require_safe
def preview_csv(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """Each meeting of the preview as a row."""
    access, shown = _preview(request, slug, pk)
    if shown is None:
        return render(request, "previews/over.html", {"access": access}, status=404)
    return all_of(request, access, *_meetings(request, shown))


@require_safe
def preview_report(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """All of it as one HTML file, to be kept or sent on; it loads nothing."""
    access, shown = _preview(request, slug, pk)
    if shown is None:
        return render(request, "previews/over.html", {"access": access}, status=404)
    response = StreamingHttpResponse(_report(shown), content_type="text/html; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="preview-{slug}-{shown.pk}.html"'
    return response


def _report(shown: Preview) -> Iterator[str]:
    context: dict[str, Any] = {"preview": shown, "totals": Totals.of(shown.totals), "most": IN_REPORT}
    yield render_to_string("previews/report_head.html", context)
    for row in shown.meetings.order_by("pk")[:IN_REPORT].iterator(chunk_size=100):
        yield render_to_string("previews/report_meeting.html", {"row": row, "changes": changes_of(row)})
    yield "</main></body></html>\n"


def _meetings(request: Request, shown: Preview) -> tuple[PreviewedMeetingTable, PreviewFilter]:
    found = PreviewFilter(request.GET, shown.meetings.defer("spans").order_by("pk"))
    table = PreviewedMeetingTable(found.qs)
    table.file_name = f"preview-{shown.pk}"
    if shown.is_open:
        table.empty_text = _("No meeting was looked at yet.")
    return table, found


def _preview(request: Request, slug: str, pk: int) -> tuple[Access, Preview | None]:
    """The preview; None where there is none any more. Whoever may not do what it is about does not see it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = Preview.objects.filter(tenant=access.tenant, pk=pk).select_related("tenant").first()
    if shown is None or procedure.is_over(shown):
        return access, None
    if shown.kind in PLANS:
        _check_may(access, PLANS[shown.kind](access.tenant, shown.terms))
    return access, shown


def _check_may(access: Access, plan: Plan) -> None:
    if plan.needs_admin and not access.may_administer:
        raise Http404
