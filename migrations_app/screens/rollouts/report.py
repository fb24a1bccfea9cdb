"""The report of a rollout or of one of its waves: as a page that prints, and as files (R93)."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from migrations_app.models import Rollout, Wave
from migrations_app.rollouts.listed import LISTS
from migrations_app.rollouts.report import report_of
from migrations_app.rollouts.report_files import TYPES, WRITERS, file_name
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.requests import Request


@require_safe
def rollout_report(request: Request, slug: str, pk: int) -> HttpResponse:
    """All waves and the rollout itself."""
    access = access_for(request, slug, Role.Name.VIEWER)
    return _page(request, access, _rollout(access, pk), None)


@require_safe
def wave_report(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """One wave."""
    access = access_for(request, slug, Role.Name.VIEWER)
    rollout = _rollout(access, pk)
    return _page(request, access, rollout, get_object_or_404(Wave, rollout=rollout, position=n))


@require_safe
def rollout_report_file(request: Request, slug: str, pk: int, kind: str) -> HttpResponseBase:
    """The same as a file."""
    access = access_for(request, slug, Role.Name.VIEWER)
    return _file(_rollout(access, pk), None, kind)


@require_safe
def wave_report_file(request: Request, slug: str, pk: int, n: int, kind: str) -> HttpResponseBase:
    """That of one wave as a file."""
    access = access_for(request, slug, Role.Name.VIEWER)
    rollout = _rollout(access, pk)
    return _file(rollout, get_object_or_404(Wave, rollout=rollout, position=n), kind)


def _rollout(access: Access, pk: int) -> Rollout:
    found = Rollout.objects.filter(tenant=access.tenant).select_related("tenant", "legacy", "new")
    return get_object_or_404(found, pk=pk)


def _page(request: Request, access: Access, rollout: Rollout, wave: Wave | None) -> HttpResponse:
    report = report_of(rollout, timezone.now(), wave)
    for each in report["waves"]:
        each["lists"] = []
        for listed in LISTS:
            rows, has_more = listed.first(each["id"])
            columns = [_(title) for title in listed.columns.values()]
            each["lists"].append({"title": listed.title, "columns": columns, "rows": rows, "has_more": has_more})
    name, args = ("rollout-report-file", ()) if wave is None else ("wave-report-file", (wave.position,))
    context: dict[str, Any] = {
        "access": access,
        "rollout": rollout,
        "wave": wave,
        "report": report,
        "files": [
            (kind.upper(), reverse(name, args=[access.tenant.slug, rollout.pk, *args, kind])) for kind in WRITERS
        ],
    }
    return render(request, "rollouts/report.html", context)


def _file(rollout: Rollout, wave: Wave | None, kind: str) -> HttpResponseBase:
    if kind not in WRITERS:
        raise Http404
    report = report_of(rollout, timezone.now(), wave)
    response = StreamingHttpResponse(WRITERS[kind](report), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{file_name(report, kind)}"'
    return response
