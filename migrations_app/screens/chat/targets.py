"""Targets of a tenant: where rooms go. Which settings a kind has, its module says (R121)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.chat.evidence import chunks_of
from migrations_app.chat.products import products_of, taken
from migrations_app.chat.target_rows import remove_target, set_target, why_not_removed
from migrations_app.chat.target_rows import try_target as looked_at
from migrations_app.models import ChatTarget
from migrations_app.screens.chat.of_page import target_of
from migrations_app.screens.forms.chat_targets import TargetForm
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

Kind = ChatTarget.Kind
KINDS = (
    (Kind.ARCHIVE, gettext_noop("Pages that any browser can read, with a search, and the archive itself. No server.")),
    (Kind.MATRIX, gettext_noop("Rooms of a Matrix homeserver, with the time and author of each message.")),
    (Kind.TEAMS, gettext_noop("Channels of Microsoft Teams, by the migration mode of Microsoft Graph.")),
    (Kind.MATTERMOST, gettext_noop("A file for Mattermost's own bulk import.")),
    (Kind.PCHAT, gettext_noop("Persistent Chat: its cmdlets copy, and MMS plans, guides and verifies.")),
)
"""The kinds of targets, with what each is for."""
SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
def targets(request: Request, slug: str) -> HttpResponse:
    """All targets. A POST by an admin makes one of the ``kind`` that was chosen."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    given = request.POST if is_post else request.GET
    kind = given.get("kind", "")
    kind = kind if kind in Kind.values else ""
    form = TargetForm(request.POST if is_post else None, kind) if kind else None
    if is_post and form is not None and form.is_valid():
        with refusals_told(form):
            values = form.edited()
            name = values.pop("name")
            if ChatTarget.objects.filter(tenant=access.tenant, name__iexact=name).exists():
                raise ValidationError({"name": _("There is a target of this name: choose another name.")})
            made = set_target(access.tenant, access.actor, name, kind=kind, **values)
            told = _("The target %(name)s is there. Test it before you plan an import.")
            messages.success(request, told % {"name": made})
            return redirect("chat-target", slug, made.pk)
    found = ChatTarget.objects.filter(tenant=access.tenant).annotate(plan_count=Count("plans"))[:SHOWN]
    kinds = [(each.value, each.label, _(meaning)) for each, meaning in KINDS]
    context = {"access": access, "targets": found, "kinds": kinds, "kind": kind, "form": form}
    return render(request, "chat/targets.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def target(request: Request, slug: str, pk: int) -> HttpResponse:
    """One target. A POST by an admin changes it."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = target_of(access, pk)
    form = TargetForm(request.POST if is_post else None, shown.kind, shown)
    if is_post and form.is_valid():
        with refusals_told(form):
            values = form.edited()
            name = values.pop("name", shown.name)
            set_target(access.tenant, access.actor, shown.name, new_name=name, **values)
            messages.success(request, _("The settings of %(name)s are saved.") % {"name": name})
            return redirect("chat-target", slug, pk)
    return _page(request, access, target_of(access, pk), form)


@require_POST
def try_target(request: Request, slug: str, pk: int) -> HttpResponse:
    """Open the target and look, step by step, and say what is there; changes nothing."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = target_of(access, pk)
    tried = list(looked_at(shown))
    context = {"tried": tried, "is_in_order": all(each.ok for each in tried)}
    return _page(request, access, shown, TargetForm(None, shown.kind, shown), context)


def _page(
    request: Request, access: Access, shown: ChatTarget, form: TargetForm, more: dict[str, Any] | None = None
) -> HttpResponse:
    meaning = next(meaning for kind, meaning in KINDS if kind == shown.kind)
    context = {
        "access": access,
        "target": shown,
        "meaning": _(meaning),
        "form": form,
        "plans": shown.plans.select_related("archive")[:20],
        "products": [(file.name, file.stat().st_size) for file in products_of(shown)],
    }
    return render(request, "chat/target.html", context | (more or {}))


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Asks once more, says why it cannot be removed where it is used, and removes it on POST."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = target_of(access, pk)
    if request.method == "POST":
        try:
            remove_target(shown, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("chat-target", slug, pk)
        messages.success(request, _("The target %(name)s is removed.") % {"name": shown})
        return redirect("chat-targets", slug)
    context = {"access": access, "target": shown, "refusal": why_not_removed(shown)}
    return render(request, "chat/target_remove.html", context)


@require_POST
def product(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """A file that the import has made, such as the pages to read, with the text of rooms: for admins, and audited."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = target_of(access, pk)
    try:
        file = taken(shown, access.actor, request.POST.get("file", ""))
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("chat-target", slug, pk)
    answer = StreamingHttpResponse(chunks_of(file), content_type="application/octet-stream")
    answer["Content-Disposition"] = content_disposition_header(True, file.name)
    answer["Content-Length"] = str(file.stat().st_size)
    answer["Cache-Control"] = "no-store"
    return answer
