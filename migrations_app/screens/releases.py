"""Numbers on their way off a bridge: all of them, and one with its progress and who still holds it (R35)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import NumberRelease
from migrations_app.monitoring.health import workers
from migrations_app.preview.many_users import EndedUndos
from migrations_app.procedures import number_looks
from migrations_app.procedures.bulk_actions import AT_ONCE, perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.procedures.number_holders import explain, holders_with_why, progress_of, startable
from migrations_app.procedures.number_holds import meetings, standing_of, updates, where
from migrations_app.procedures.number_release import (
    Holds,
    accept_given_up,
    begin_now,
    cancel_release,
    check_may_be_released_anyway,
    release_anyway,
)
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.left import open_count_of, to_come
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.forms.bridges import ReleaseAnywayForm
from migrations_app.screens.live import Live
from migrations_app.screens.tables.jobs import ReleaseTable
from tenants_app.access import Access, access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

MANY = 10_000
"""From this many users on the page refreshes less often, because it takes a second to find out who holds the number."""


class HolderPaginator(Paginator[Any]):
    """Pages of a list that was counted already."""

    count = 0

    def __init__(self, holding: QuerySet[Any], count: int) -> None:
        super().__init__(holding, 10)
        self.count = count


@require_safe
def releases(request: Request, slug: str) -> HttpResponseBase:
    """All of the tenant, newest first."""
    access = access_for(request, slug)
    found = NumberRelease.objects.filter(tenant=access.tenant).select_related("bridge")
    return answer_list(request, "releases/releases.html", ReleaseTable(found), {"access": access})


@require_safe
def release(request: Request, slug: str, pk: int) -> HttpResponse:
    """One of them: what happens now and next, how far it is, and because of whom the number is kept."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = _release(access, pk)
    progress = progress_of(shown)
    is_begun = shown.is_open and shown.state != NumberRelease.State.WAITING
    holding = holders_with_why(shown).select_related("latest", "bridge", "deployment").order_by("why", "upn")
    holding = holding.annotate(still_open=open_count_of("user"))
    page = HolderPaginator(holding, progress.holders).get_page(request.GET.get("page")) if is_begun else None
    now = timezone.now()
    is_due = shown.due_at <= now
    holds = Holds.of(shown)
    is_updating = shown.state == NumberRelease.State.UPDATING
    waits_for_people = is_updating and (progress.held or holds.meetings or holds.mailboxes) and not progress.under_way
    context = {
        "access": access,
        "release": shown,
        "progress": progress,
        "page": page,
        "holders": explain(shown, list(page)) if page else [],
        "holds": holds,
        "is_held_by_meetings": bool(holds.meetings) and progress.held == progress.left,
        "shown_meetings": _first_meetings(shown, request.GET.get("meetings")),
        "untold": _first_updates(shown),
        "unseen": _first_mailboxes(shown) if is_updating else [],
        "awaited": number_looks.awaited(shown).count() if is_updating and shown.searched_at is None else 0,
        "is_searching": is_updating and shown.searched_at is None,
        "may_be_released": not _why_not_anyway(shown),
        "undos": EndedUndos.of(startable(shown)) if is_begun and progress.startable else None,
        "is_due": is_due,
        "is_silent": is_due and shown.is_open and not waits_for_people and workers().are_silent,
        "now": now,
        "seconds_to_refresh": (3 if progress.all <= MANY else 15) if shown.is_open else 0,
    }
    return live.answer("releases/release.html", "releases/live.html", context)


@require_POST
def cancel(request: Request, slug: str, pk: int) -> HttpResponse:
    """Stop it before anybody was moved."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    if cancel_release(shown, access.actor):
        messages.success(request, _("Cancelled: %(number)s stays, and nothing was changed.") % {"number": shown})
    else:
        messages.info(request, _("It cannot be cancelled any more: it has begun to move users, or has ended."))
    return redirect("release", slug, pk)


@require_POST
def begin(request: Request, slug: str, pk: int) -> HttpResponse:
    """Do not wait for the settling time (R19). What is planned asks once more, on the page of its plan."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    if shown.plan:
        return redirect("begin-plan", slug, shown.plan.pk)
    if not begin_now(shown, access.actor):
        messages.info(request, _("It does not wait any more, so there is nothing to bring forward."))
    elif access.tenant.meeting_migration_enabled:
        messages.success(request, _("It begins as soon as a worker is free."))
    else:
        messages.warning(request, _("The service is switched off, so it waits all the same. Switch it on first."))
    return redirect("release", slug, pk)


@require_POST
def start_runs(request: Request, slug: str, pk: int) -> HttpResponse:
    """Start runs by hand for those who hold the number while nothing is under way for them (R11)."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = _release(access, pk)
    is_begun = shown.is_open and shown.state != NumberRelease.State.WAITING
    users = list(startable(shown)[: AT_ONCE + 1]) if is_begun else []
    if len(users) > AT_ONCE:
        holding = ConferencingUser.objects.filter(pk__in=startable(shown).order_by().values("pk"))
        action = perform(access.tenant, KINDS["start"], holding, access.actor, options={"now": True})
        return redirect("bulk-action", slug, action.pk)
    if users:
        tell_consequences(request, start_by_hand(access.tenant, users, access.actor, now_due=True))
    elif shown.state == NumberRelease.State.WAITING:
        messages.info(request, _("Nobody was moved yet, so a run would not help: begin first."))
    else:
        told = _("There is nobody whom a run would help to give up %(number)s.")
        messages.info(request, told % {"number": shown})
    return redirect("release", slug, pk)


@require_POST
def accept(request: Request, slug: str, pk: int) -> HttpResponse:
    """Take it that attendees keep the number, because the messages to them were given up (R35)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    try:
        count = accept_given_up(shown, access.actor, seen=request.POST.get("seen", ""))
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("release", slug, pk)
    if count:
        told = ngettext(
            "Accepted for %(count)s message: it does not hold %(number)s any more.",
            "Accepted for %(count)s messages: they do not hold %(number)s any more.",
            count,
        )
        messages.success(request, told % {"count": number_format(count, force_grouping=True), "number": shown})
    else:
        messages.info(request, _("No message that was given up holds %(number)s.") % {"number": shown})
    return redirect("release", slug, pk)


@require_http_methods(["GET", "HEAD", "POST"])
def anyway(request: Request, slug: str, pk: int) -> HttpResponse:
    """Release the number knowingly: first what still holds it, on POST with a reason released (R35)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _release(access, pk)
    if problem := _why_not_anyway(shown):
        tell_errors(request, problem)
        return redirect("release", slug, pk)
    holds = Holds.of(shown)
    form = ReleaseAnywayForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refusals_told(form):
            release_anyway(shown, form.cleaned_data["reason"], access.actor, seen=form.cleaned_data["seen"])
            messages.success(request, _("%(number)s is released.") % {"number": shown})
            return redirect("release", slug, pk)
    context = {
        "access": access,
        "release": shown,
        "holds": holds,
        "form": form,
        "shown_meetings": _first_meetings(shown, request.GET.get("meetings")),
        "untold": _first_updates(shown),
        "unseen": _first_mailboxes(shown),
    }
    return render(request, "releases/anyway.html", context)


def _why_not_anyway(shown: NumberRelease) -> ValidationError | None:
    try:
        check_may_be_released_anyway(shown)
    except ValidationError as error:
        return error
    return None


def _first_meetings(shown: NumberRelease, page: str | None) -> Page[Any]:
    """A page of the meetings that hold the number, each with ``where`` it stands, and its row where it was left."""
    found = Paginator(meetings(shown), 10).get_page(page)
    found.object_list = list(found.object_list)
    users, uids = {meeting.user_id for meeting in found.object_list}, {meeting.uid for meeting in found.object_list}
    rows = to_come(shown.tenant).filter(message=None, user__in=users, uid__in=uids)
    left = {(row.user_id, row.uid): row for row in rows}
    meeting: Any
    for meeting in found.object_list:
        meeting.where = where(meeting.places)
        meeting.left = left.get((meeting.user_id, meeting.uid))
    return found


def _first_updates(shown: NumberRelease) -> list[Any]:
    """The first messages that hold the number and on which a person must decide."""
    found = list(updates(shown).filter(order__lt=3)[:10])
    for row in found:
        row.standing = standing_of(row)
    return found


def _first_mailboxes(shown: NumberRelease) -> list[ConferencingUser]:
    """The first users whose mailboxes outside could not be looked at, each with ``why_unseen``."""
    found = list(number_looks.refused(shown)[:10])
    user: Any
    for user in found:
        user.why_unseen = number_looks.why(user)
    return found


def _release(access: Access, pk: int) -> NumberRelease:
    found = NumberRelease.objects.select_related("tenant", "bridge", "number", "replacement", "plan__tenant")
    return get_object_or_404(found, tenant=access.tenant, pk=pk)
