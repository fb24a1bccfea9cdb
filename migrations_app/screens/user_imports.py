"""Users from a CSV file or a directory, and all of them as a file: what would change, and the decision to apply it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import UserImport
from migrations_app.monitoring.health import workers
from migrations_app.procedures import user_import as imports
from migrations_app.procedures.import_progress import progress_of
from migrations_app.screens.forms.user_imports import DirectoryForm, UploadForm
from migrations_app.screens.live import Live
from migrations_app.screens.selection import Misunderstood, selection_of
from migrations_app.screens.tables.jobs import UserImportTable
from tenants_app.access import Access, access_for
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.csv_files.users_out import header_line, user_lines
from tenants_app.models import Role
from tenants_app.screens.forms import style_fields
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def user_imports(request: Request, slug: str) -> HttpResponseBase:
    """The tenant's imports, newest first. A POST takes a file in, or asks a directory, and has it checked."""
    access = access_for(request, slug, Role.Name.ADMIN)
    asks_directory = request.method == "POST" and "connection" in request.POST
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" and not asks_directory else UploadForm()
    directory = DirectoryForm(access.tenant, request.POST if asks_directory else None)
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["file"].name or "users.csv"
        submitted = imports.submit(access.tenant, name, form.text, access.actor)
        return redirect("user-import", slug, submitted.pk)
    if directory.is_bound and directory.is_valid():
        connection = directory.cleaned_data["connection"]
        submitted = imports.submit_directory(access.tenant, connection, directory.source, access.actor)
        return redirect("user-import", slug, submitted.pk)
    if form.errors:
        form.fields["file"].widget.attrs["class"] += " is-invalid"
    if directory.errors:
        style_fields(directory)
    found = UserImport.objects.filter(tenant=access.tenant).defer("text", "findings")
    context = {"access": access, "form": form, "directory": directory, "columns": list(COLUMNS)}
    return answer_list(request, "user_imports/user_imports.html", UserImportTable(found), context)


@require_safe
def user_import(request: Request, slug: str, pk: int) -> HttpResponse:
    """One import: how far it is, what it would change or has changed, and the decision."""
    access = access_for(request, slug, Role.Name.ADMIN)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = _import(access, pk)
    is_waiting = shown.state in UserImport.WAITING
    progress = progress_of(shown) if is_waiting else None
    context = {
        "access": access,
        "import": shown,
        "found": shown.findings if "bad" in shown.findings else None,
        "checked_at": parse_datetime(shown.findings.get("checked_at", "")),
        "by": shown.findings.get("asked_by"),
        "progress": progress,
        "is_waiting": is_waiting,
        "is_silent": is_waiting and not progress and workers().are_silent,
        "seconds_to_refresh": 2 if is_waiting else 0,
        "prepare": [("kind", "import"), ("import", shown.pk)],
        "now": timezone.now(),
    }
    return live.answer("user_imports/user_import.html", "user_imports/live.html", context)


@require_POST
def apply(request: Request, slug: str, pk: int) -> HttpResponse:
    """Have it applied as it was checked. ``leave_out`` agrees to leave out its bad rows."""
    access = access_for(request, slug, Role.Name.ADMIN)
    try:
        if not imports.request_apply(
            _import(access, pk), access.actor, leaves_out_bad_rows="leave_out" in request.POST
        ):
            _tell_too_late(request)
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("user-import", slug, pk)


@require_POST
def check_again(request: Request, slug: str, pk: int) -> HttpResponse:
    """Check it once more, for instance when a bridge that was missing has been made."""
    access = access_for(request, slug, Role.Name.ADMIN)
    if not imports.request_check(_import(access, pk), access.actor):
        _tell_too_late(request)
    return redirect("user-import", slug, pk)


@require_POST
def discard(request: Request, slug: str, pk: int) -> HttpResponse:
    """Discard it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    if imports.discard(_import(access, pk)):
        messages.success(request, _("It was discarded, and nothing was changed."))
    else:
        _tell_too_late(request)
    return redirect("user-import", slug, pk)


def _tell_too_late(request: Request) -> None:
    messages.info(request, _("It does not wait for a decision now: look how it stands."))


@never_cache
@require_safe
def users_csv(request: Request, slug: str) -> HttpResponseBase:
    """The users that are selected, or else all that the filter finds, with the columns of the import: what is
    downloaded can be edited and uploaded."""
    access = access_for(request, slug)
    try:
        selection = selection_of(request.GET, access, all_by_default=True)
    except Misunderstood as error:
        messages.error(request, error.sentence)
        return redirect(error.the_list)
    lines = user_lines(selection.users) if request.method == "GET" else ()
    return _file(StreamingHttpResponse(lines, **_CSV), f"users-{slug}-{timezone.localdate()}.csv")


@require_safe
def template(request: Request, slug: str) -> HttpResponseBase:
    """An empty file of all columns."""
    access_for(request, slug, Role.Name.ADMIN)
    return _file(HttpResponse(header_line(), **_CSV), "users.csv")


_CSV: dict[str, Any] = {"content_type": "text/csv; charset=utf-8"}


def _file(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _import(access: Access, pk: int) -> UserImport:
    return get_object_or_404(UserImport.objects.defer("text"), tenant=access.tenant, pk=pk)
