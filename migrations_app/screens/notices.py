"""Notices to organizers: what they say in each language, and who was told of which runs, and when (R37)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.mail import notice_texts
from migrations_app.mail.findings import Finding
from migrations_app.mail.notice_texts import PLACEHOLDERS, Text
from migrations_app.mail.servers import service_of
from migrations_app.mail.trial import try_server
from migrations_app.models import NoticeKind, NoticeRound, Plan
from migrations_app.preview.plans import PLANS
from migrations_app.procedures import notices as procedure
from migrations_app.rewriting.labels import LANGUAGES
from migrations_app.screens.filters import NoticeFilter
from migrations_app.screens.forms.notices import NoticeTextForm
from migrations_app.screens.notice_samples import sample_of_language
from migrations_app.screens.tables.jobs import NoticeTable
from migrations_app.screens.told import with_counts
from tenants_app.access import Access, access_for
from tenants_app.models import MailServerConnection, Role, Tenant
from tenants_app.screens.forms import language_name
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import all_of, arrange
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request
from tenants_app.validators import is_address

LATEST = 20
"""Rounds that the page of settings lists."""
WHAT_NOTICES_SAY = {
    NoticeKind.ADVANCE.value.lower(): gettext_noop("Before the runs"),
    NoticeKind.CANCELLED.value.lower(): gettext_noop("If they are cancelled"),
}
"""Each kind of notice, as it stands in addresses, and what it is called."""


@require_safe
def notices(request: Request, slug: str) -> HttpResponse:
    """The tenant's texts, and the latest rounds of notices."""
    access = access_for(request, slug)
    texts = notice_texts.texts_of(access.tenant)
    context = {
        "access": access,
        "kinds": [
            (_(label), kind, [(code, language_name(code), texts[kind.capitalize(), code]) for code in LANGUAGES])
            for kind, label in WHAT_NOTICES_SAY.items()
        ],
        "sender": service_of(access.tenant, MailServerConnection.of(access.tenant)).address,
        # Those before runs; what organizers were told after a wave stands with the wave.
        "rounds": with_counts(NoticeRound.objects.filter(tenant=access.tenant, preview_kind__in=PLANS))[:LATEST],
    }
    return render(request, "notices/notices.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def notice_text(request: Request, slug: str, kind: str, language: str) -> HttpResponse:
    """One text and how it reads. A POST by an admin saves it, or with ``preview`` shows how what was typed reads."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    stored = _text(access.tenant, kind, language)
    form = NoticeTextForm(request.POST if is_post else None, kind.capitalize(), stored)
    if is_post and form.is_valid() and "preview" not in request.POST:
        with refusals_told(form):
            notice_texts.change_notice_text(
                access.tenant, kind.capitalize(), language, access.actor, **form.cleaned_data
            )
            messages.success(request, _("The text in %(language)s is saved.") % {"language": language_name(language)})
            return redirect("notice-text", slug, kind, language)
    shown = Text(**form.cleaned_data) if is_post and form.is_valid() else None if is_post else stored
    return _text_page(request, access, kind, language, form=form, shown=shown)


@require_POST
def reset_text(request: Request, slug: str, kind: str, language: str) -> HttpResponse:
    """Go back to what MMS says by itself."""
    access = access_for(request, slug, Role.Name.ADMIN)
    _text(access.tenant, kind, language)
    notice_texts.reset_notice_text(access.tenant, kind.capitalize(), language, access.actor)
    told = _("The default text in %(language)s is used again.")
    messages.success(request, told % {"language": language_name(language)})
    return redirect("notice-text", slug, kind, language)


@require_POST
def send_test(request: Request, slug: str, kind: str, language: str) -> HttpResponse:
    """Send the text as it is saved to who is signed in, and to nobody else."""
    access = access_for(request, slug, Role.Name.ADMIN)
    stored = _text(access.tenant, kind, language)
    if not is_address(request.user.email):
        messages.error(
            request, _("Your account has no mail address to which a message could be sent: have one entered.")
        )
        return redirect("notice-text", slug, kind, language)
    reads = sample_of_language(access.tenant, language, stored).text
    found = try_server(access.tenant, request.user.email, (reads.subject, reads.body))
    return _text_page(request, access, kind, language, findings=found)


def _text(tenant: Tenant, kind: str, language: str) -> Text:
    texts = notice_texts.texts_of(tenant)
    if kind not in WHAT_NOTICES_SAY or language not in LANGUAGES:
        raise Http404
    return texts[kind.capitalize(), language]


def _text_page(
    request: Request,
    access: Access,
    kind: str,
    language: str,
    *,
    form: NoticeTextForm | None = None,
    shown: Text | None = None,
    findings: Iterable[Finding] = (),
) -> HttpResponse:
    stored = _text(access.tenant, kind, language)
    if form is None:
        form, shown = NoticeTextForm(None, kind.capitalize(), stored), stored
    context = {
        "access": access,
        "kind": kind,
        "label": _(WHAT_NOTICES_SAY[kind]),
        "language": language,
        "language_name": language_name(language),
        "others": [(each, name, label) for each, label in WHAT_NOTICES_SAY.items() for name in LANGUAGES.items()],
        "text": stored,
        "form": form,
        "placeholders": [(f"{{{name}}}", _(what)) for name, what in PLACEHOLDERS.items()],
        "sample": sample_of_language(access.tenant, language, shown) if shown else None,
        "is_typed": request.method == "POST" and "preview" in request.POST,
        "findings": list(findings),
    }
    return render(request, "notices/text.html", context)


# --- who was told -------------------------------------------------------------------------------------


@require_safe
def notice_round(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """Who is told of some runs, when, and who is not and why."""
    access = access_for(request, slug)
    shown = _round(access, pk)
    table, found = _notices(request, shown)
    if instead := arrange(request, access, table, found):
        return instead
    is_ahead = shown.plan.state == Plan.State.PLANNED if shown.plan else shown.begins > timezone.now()
    unresolved = shown.counting + shown.queued
    context = {
        "access": access,
        "round": shown,
        "filter": found,
        "table": table,
        "is_waited_for": bool(shown.plan and shown.plan.waits_for_notices),
        "is_late": bool(shown.plan and shown.plan.waits_for_notices and shown.begins <= timezone.now()),
        "may_tell_again": access.may_operate and is_ahead and not shown.is_cancelled and shown.failed > shown.in_doubt,
        "misled": procedure.told_of_another_time(shown).count() if is_ahead and shown.plan else 0,
        "seconds_to_refresh": 2 if unresolved else 0,
        "now": timezone.now(),
    }
    return answer(request, "notices/round.html", "notices/live.html", context)


@require_safe
def round_csv(request: Request, slug: str, pk: int) -> HttpResponseBase:
    """Everybody of a round, as a file."""
    access = access_for(request, slug)
    return all_of(request, access, *_notices(request, _round(access, pk)))


def _notices(request: Request, shown: NoticeRound) -> tuple[NoticeTable, NoticeFilter]:
    found = NoticeFilter(request.GET, shown.notices.select_related("user").order_by("pk"))
    table = NoticeTable(found.qs)
    table.file_name = f"notices-{shown.pk}"
    return table, found


@require_POST
def begin_anyway(request: Request, slug: str, pk: int) -> HttpResponse:
    """Let the runs begin at their time, whoever is not told yet."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    if procedure.begin_anyway(_round(access, pk), access.actor):
        messages.success(request, _("The runs begin at their time. Who was not told by now is not told any more."))
    else:
        messages.info(request, _("The runs did not wait for notices any more, so nothing was changed."))
    return redirect("notice-round", slug, pk)


@require_POST
def tell_again(request: Request, slug: str, pk: int) -> HttpResponse:
    """Try those once more who could not be told."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    try:
        count = procedure.tell_again(_round(access, pk), access.actor)
    except ValidationError as error:
        tell_errors(request, error)
    else:
        told = ngettext("%(number)s notice will be tried again.", "%(number)s notices will be tried again.", count)
        messages.success(request, told % {"number": number_format(count, force_grouping=True)})
    return redirect("notice-round", slug, pk)


@require_POST
def tell_new_time(request: Request, slug: str, pk: int) -> HttpResponse:
    """Tell those of the new time who were told of another."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    count = procedure.tell_new_time(_round(access, pk), access.actor)
    if count:
        told = ngettext(
            "%(number)s organizer will be told of the new time.",
            "%(number)s organizers will be told of the new time.",
            count,
        )
        messages.success(request, told % {"number": number_format(count, force_grouping=True)})
    else:
        messages.info(request, _("Nobody has to be told of another time, so nothing was changed."))
    return redirect("notice-round", slug, pk)


def _round(access: Access, pk: int) -> Any:
    return get_object_or_404(with_counts(NoticeRound.objects.filter(tenant=access.tenant)), pk=pk)
