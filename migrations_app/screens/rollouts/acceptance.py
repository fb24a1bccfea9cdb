"""What of a wave is not in order, by name, and accepting it (R81)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from migrations_app.models import AcceptedItem, Wave
from migrations_app.rollouts import acceptance
from migrations_app.screens.forms.waves import NoteForm
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from tenants_app.access import access_for
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request

PER_PAGE = 50
COLUMNS = ("Kind", "UserPrincipalName", "Subject", "StartDate", "MeetingUid", "Message")


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """What there is to accept, of one kind at a time; POST by an admin accepts all of it."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = wave_of(request, access, pk, n)
    counts = acceptance.counts_shown(shown)
    total = sum(counts.values())
    form = NoteForm(request.POST if is_post else None, shown=total)
    if is_post and form.is_valid():
        with refusals_told(form):
            told = form.cleaned_data
            wave = acceptance.accept(shown, access.actor, shown=told["shown"], note=told["note"])
            messages.success(request, _("Wave %(wave)s is accepted.") % {"wave": wave.name})
            return redirect("wave", slug, pk, n)
    wanted = request.GET.get("kind", "")
    kind = wanted if counts.get(wanted) else next((each for each in counts if counts[each]), "")
    context = wave_context(access, shown, "wave") | {
        "counts": [(each, label, counts[each]) for each, label in _labels().items() if counts[each]],
        "total": total,
        "kind": kind,
        "page": _page(shown, kind, request.GET.get("page", "1")) if kind else None,
        "refusal": acceptance.why_not_accepted(shown),
        "form": form,
        "is_accepted": shown.accepted_at is not None,
    }
    return render(request, "rollouts/wave_accept.html", context)


def _labels() -> Mapping[str, str]:
    """What many of a kind are called."""
    return {
        AcceptedItem.Kind.FAILED_MEMBER.value: _("Failed members"),
        AcceptedItem.Kind.FAILED_MEETING.value: _("Failed meetings"),
        AcceptedItem.Kind.SKIPPED_MEETING.value: _("Skipped meetings"),
        AcceptedItem.Kind.IN_REVIEW.value: _("Meetings in need of review"),
    }


def _page(wave: Wave, kind: str, number: str) -> Page[AcceptedItem]:
    page = Paginator(acceptance.rows_of(wave, kind), PER_PAGE).get_page(number)
    page.object_list = [acceptance.item_of(wave, row) for row in page.object_list]
    return page


@require_safe
def items_csv(request: Request, slug: str, pk: int, n: int) -> HttpResponseBase:
    """All of it, as a file."""
    access = access_for(request, slug)
    shown = wave_of(request, access, pk, n)
    response = StreamingHttpResponse(
        _written(shown) if request.method == "GET" else (),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="wave-{pk}-{n}-{slug}.csv"'},
    )
    add_never_cache_headers(response)
    return response


def _written(wave: Wave) -> Iterator[str]:
    yield BYTE_ORDER_MARK + lines([COLUMNS])
    found = wave.accepted_items.order_by("pk").iterator() if wave.accepted_at else acceptance.items(wave)
    for some in batched(found):
        yield lines(
            [
                item.kind,
                item.upn,
                item.subject,
                item.starts_at.isoformat(timespec="seconds") if item.starts_at else "",
                item.uid,
                str(item.sentence),
            ]
            for item in some
        )
