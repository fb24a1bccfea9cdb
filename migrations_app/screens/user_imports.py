"""Users from a CSV file, and all of them as one: upload, what it would change, and the decision to apply it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import UserImport
from migrations_app.monitoring.health import workers
from migrations_app.procedures import user_import as imports
from migrations_app.screens.live import Live
from migrations_app.screens.selection import Misunderstood, selection_of
from migrations_app.screens.tables.jobs import UserImportTable
from tenants_app.access import Access, access_for
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.csv_files.users_out import header_line, user_lines
from tenants_app.models import Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request


class UploadForm(forms.Form):
    """An upload that must be a CSV file of users."""

    file = forms.FileField(
        label="CSV file",
        allow_empty_file=True,  # which is refused with more of a reason
        widget=forms.FileInput({"accept": ".csv,text/csv", "class": "form-control"}),
        help_text=(
            f"UTF-8, comma or semicolon, at most {imports.MAX_OCTETS // 1024**2} MB and {imports.MAX_ROWS:,} rows. "
            "The first line names the columns."
        ),
    )
    text = ""
    """What stands in the file, once the form is valid."""

    def clean_file(self) -> UploadedFile[bytes]:
        uploaded: UploadedFile[bytes] = self.cleaned_data["file"]
        if uploaded.size and uploaded.size > imports.MAX_OCTETS:
            raise ValidationError(
                f"The file has {uploaded.size / 1024**2:,.0f} MB, and at most {imports.MAX_OCTETS // 1024**2} MB go at "
                "once: divide it, or use import_users."
            )
        self.text = imports.read(uploaded.read())
        return uploaded


@require_http_methods(["GET", "HEAD", "POST"])
def user_imports(request: Request, slug: str) -> HttpResponseBase:
    """The tenant's imports, newest first. A POST takes a file in and has it checked."""
    access = access_for(request, slug, Role.Name.ADMIN)
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if form.is_bound and form.is_valid():
        name = form.cleaned_data["file"].name or "users.csv"
        submitted = imports.submit(access.tenant, name, form.text, access.actor)
        return redirect("user-import", slug, submitted.pk)
    if form.errors:
        form.fields["file"].widget.attrs["class"] += " is-invalid"
    found = UserImport.objects.filter(tenant=access.tenant).defer("text", "findings")
    context = {"access": access, "form": form, "columns": list(COLUMNS)}
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
    progress = imports.progress_of(shown) if is_waiting else None
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
        messages.success(request, "The file was discarded, and nothing was changed.")
    else:
        _tell_too_late(request)
    return redirect("user-import", slug, pk)


def _tell_too_late(request: Request) -> None:
    messages.info(request, "It does not wait for a decision now: look how it stands.")


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
