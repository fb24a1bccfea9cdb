"""The report of a plan: as a page that prints, and as files (R128)."""

from __future__ import annotations

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from migrations_app.chat.report import report_of
from migrations_app.chat.report_files import TYPES, WRITERS, file_name
from migrations_app.screens.chat.of_page import plan_context, plan_of, standing_of
from tenants_app.access import access_for
from tenants_app.screens.requests import Request


@require_safe
def report(request: Request, slug: str, number: int) -> HttpResponse:
    """What the report says in sum, and its files."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    context = plan_context(access, shown, "report") | {"standing": standing_of(shown), "kinds": list(WRITERS)}
    return render(request, "chat/report.html", context)


@require_safe
def report_file(request: Request, slug: str, number: int, kind: str) -> HttpResponseBase:
    """The same as a file, by stream."""
    access = access_for(request, slug)
    if kind not in WRITERS:
        raise Http404
    told = report_of(plan_of(access, number), timezone.now())
    response = StreamingHttpResponse(WRITERS[kind](told), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{file_name(told, kind)}"'
    return response
