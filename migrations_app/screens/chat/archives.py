"""Archives of a tenant: giving MMS the history, what an archive holds, downloading and deleting it (R106, R129).

No page here shows the text of a message.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.chat import archives as stored
from migrations_app.chat import evidence, readings
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.sources.script import SCRIPTS
from migrations_app.models import ChatArchive, ChatEvidence, ChatReading
from migrations_app.monitoring.health import workers
from migrations_app.screens.chat.of_page import archive_of, reading_of
from migrations_app.screens.forms.chat import LARGEST_UPLOAD, GivenForm
from migrations_app.screens.live import Live
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

SCRIPT_NAMES = {"powershell": "Export-ChatTables.ps1", "sql": "mgc-tables.sql"}
SHOWN = 50
"""Archives, readings, evidence and rooms on a page."""


@csrf_exempt  # by the middleware, which would read all that was sent; the view behind looks at the token
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def archives(request: Request, slug: str) -> HttpResponse:
    """All archives, what was given lately, and evidence. A POST by an operator gives a file to be read."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.OPERATOR if is_post else Role.Name.VIEWER)
    told = request.headers.get("Content-Length", "")
    size = int(told) if told.isascii() and told.isdigit() else 0
    if is_post and size > LARGEST_UPLOAD:
        form = GivenForm(None)
        refusal = _(
            "The file has %(size)s MB, and at most %(most)s MB go at once here: use the command export_chat, which "
            "takes more and reads it where it lies."
        )
        values = {"size": intcomma(round(size / 1e6)), "most": LARGEST_UPLOAD // 10**6}
        return _page(request, access, form, refusal % values, status=413)
    return _archives(request, access)


@csrf_protect
def _archives(request: Request, access: Access) -> HttpResponse:
    if request.method != "POST":
        return _page(request, access, GivenForm(None))
    form = GivenForm(request.POST, request.FILES)
    if form.is_valid():
        with refusals_told(form):
            given = form.cleaned_data
            reading = readings.submit(
                access.tenant,
                access.actor,
                given["file"],
                kind=given["kind"],
                name=given["name"],
                options=form.options(),
            )
            return redirect("chat-reading", access.tenant.slug, reading.pk)
    return _page(request, access, form)


def _page(request: Request, access: Access, form: GivenForm, refusal: str = "", status: int = 200) -> HttpResponse:
    tenant = access.tenant
    found = list(ChatArchive.objects.filter(tenant=tenant)[: SHOWN + 1])
    context = {
        "access": access,
        "form": form,
        "refusal": refusal,
        "archives": found[:SHOWN],
        "is_cut": len(found) > SHOWN,
        "readings": ChatReading.objects.filter(tenant=tenant).select_related("archive", "evidence")[:10],
        "evidence": ChatEvidence.objects.filter(tenant=tenant)[:SHOWN],
        "largest": LARGEST_UPLOAD // 10**6,
    }
    return render(request, "chat/archives.html", context, status=status)


@require_safe
def archive(request: Request, slug: str, pk: int) -> HttpResponse:
    """One archive: where it is from, what it holds in numbers, and its rooms with theirs."""
    access = access_for(request, slug)
    shown = archive_of(access, pk)
    context: dict[str, Any] = {
        "access": access,
        "archive": shown,
        "plans": shown.plans.select_related("target")[:SHOWN],
        "page": _page_number(request),
        "rooms": [],
    }
    if shown.state == ChatArchive.State.STORED:
        try:
            context |= _rooms(shown, context["page"])
        except Unusable as unusable:
            context["problem"] = unusable.in_a_sentence
    return render(request, "chat/archive.html", context)


def _page_number(request: Request) -> int:
    asked = request.GET.get("page", "")
    return max(int(asked), 1) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1


def _rooms(shown: ChatArchive, page: int) -> dict[str, Any]:
    """Some rooms of the archive, which is read by stream as far as them."""
    start = (page - 1) * SHOWN
    with stored.open_stored(shown) as archive:
        categories = {each.id: each for each in archive.categories()}
        found = list(islice(archive.rooms(), start, start + SHOWN + 1))
    rows = [(room, _path_of(categories, room.category)) for room in found[:SHOWN]]
    return {"rooms": rows, "has_more_rooms": len(found) > SHOWN}


def _path_of(categories: dict[str, Any], key: str | None) -> str:
    names: list[str] = []
    while key and key in categories and len(names) < 50:
        names.append(categories[key].name)
        key = categories[key].parent
    return " / ".join(reversed(names))


@require_safe
def reading(request: Request, slug: str, pk: int) -> HttpResponse:
    """What became of a file that was given: an archive, evidence, or each of its problems. The page follows it."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = reading_of(access, pk)
    is_waiting = shown.state == ChatReading.State.WAITING
    context = {
        "access": access,
        "reading": shown,
        "is_waiting": is_waiting,
        "is_silent": is_waiting and workers().are_silent,
        "seconds_to_refresh": 2 if is_waiting else 0,
    }
    return live.answer("chat/reading.html", "chat/reading_live.html", context)


@require_POST
def download(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """The whole archive as a ZIP file, by stream. The audit says who took it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = archive_of(access, pk)
    try:
        pieces = stored.zipped(shown, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("chat-archive", slug, pk)
    name = f"chat-{slug}-{shown.pk}.zip"
    answer = StreamingHttpResponse(pieces, content_type="application/zip")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks once more, and deletes what is stored of the archive; its row stays and says so."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = archive_of(access, pk)
    if request.method == "POST":
        try:
            stored.delete_archive(shown, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("chat-archive", slug, pk)
        messages.success(request, _("The archive %(name)s is deleted.") % {"name": shown})
        return redirect("chat-archives", slug)
    context = {
        "access": access,
        "archive": shown,
        "has_plans": shown.plans.exists(),
        "refusal": stored.why_not_deleted(shown),
    }
    return render(request, "chat/archive_delete.html", context)


@require_safe
def script(request: Request, slug: str, kind: str) -> HttpResponse:
    """A script that makes the tables of R104, for PowerShell or as SQL alone; it only reads."""
    access_for(request, slug)
    if kind not in SCRIPTS:
        raise Http404
    answer = HttpResponse(SCRIPTS[kind], content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{SCRIPT_NAMES[kind]}"'
    return answer


@require_POST
def download_evidence(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """A file that is kept as evidence, by stream. The audit says who took it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = get_object_or_404(ChatEvidence, tenant=access.tenant, pk=pk)
    shown.tenant = access.tenant
    try:
        pieces = evidence.download(shown, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("chat-archives", slug)
    return FileResponse(pieces, as_attachment=True, filename=shown.file_name, headers={"Cache-Control": "no-store"})
