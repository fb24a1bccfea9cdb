"""What a wave would lead to, member by member, before anything moves (R68)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from migrations_app.models import Preview, PreviewedUser, Run, Wave, WaveMember
from migrations_app.monitoring.health import workers
from migrations_app.rollouts.readiness import latest_look, look, minimum_of, numbers_of
from migrations_app.screens.live import Live
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from migrations_app.screens.tables.rollouts import ReadinessFilter, ReadinessTable
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import arrange
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def readiness(request: Request, slug: str, pk: int, n: int) -> HttpResponseBase:
    """The numbers, and each member. A POST by an operator has it looked at what the moves would do."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.OPERATOR if is_post else Role.Name.VIEWER)
    if is_post:
        try:
            look(wave_of(request, access, pk, n), access.actor)
            messages.success(request, _("It is looked at what the moves would do. Nothing is changed by looking."))
        except ValidationError as error:
            tell_errors(request, error)
        return redirect("wave-readiness", slug, pk, n)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    wave = wave_of(request, access, pk, n)
    preview = latest_look(wave)
    context: dict[str, Any] = wave_context(access, wave, "readiness") | {
        "preview": preview,
        "numbers": numbers_of(wave, preview),
        "minimum": minimum_of(wave),
        "seconds_to_refresh": 2 if preview and preview.is_open else 0,
        "is_silent": bool(preview and preview.is_open and workers().are_silent),
        "now": timezone.now(),
    }
    if preview is not None and preview.state == Preview.State.READY:
        found = ReadinessFilter(request.GET, _rows(wave, preview), wave, preview)
        table = ReadinessTable(found.qs, wave=wave, preview=preview)
        if instead := arrange(request, access, table, found):
            return instead
        context |= {"table": table, "filter": found}
        if request.htmx.target == "results":  # the filter asks for the rows alone
            return answer(request, "rollouts/readiness.html", "tables/results.html", context)
    return live.answer("rollouts/readiness.html", "rollouts/readiness_live.html", context)


def _rows(wave: Wave, preview: Preview) -> QuerySet[Any]:
    member = WaveMember.objects.filter(wave=wave, user=OuterRef("user"))
    latest = Run.objects.filter(user=OuterRef("user"), is_latest=True)
    return (
        PreviewedUser.objects.filter(preview=preview)
        .select_related("user")
        .annotate(
            client=Coalesce(Subquery(member.values("client_version")[:1]), Value("")),
            latest_state=Subquery(latest.values("state")[:1]),
        )
        .order_by("user__upn")
    )
