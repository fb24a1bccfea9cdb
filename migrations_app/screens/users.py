"""The tenant's users, and one user: settings, what changing them starts, meetings and runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import push_url

from migrations_app.failures import Failure
from migrations_app.invitations.dial_in import dial_in_details
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import LeftMeeting, Run, TeamsLook
from migrations_app.preview.changes import Foresight, foresee
from migrations_app.preview.foretold import first_meetings
from migrations_app.preview.meetings import foresee_meetings
from migrations_app.runs.left import open_count_of, to_come
from migrations_app.runs.starts import decide_starts
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.failures import AcceptForm
from migrations_app.screens.filters import UserFilter
from migrations_app.screens.forms.starting import MeetingTypesForm
from migrations_app.screens.live import Live
from migrations_app.screens.meeting_explanation import answer_explanation
from migrations_app.screens.selection import bar_of
from migrations_app.screens.tables.meetings import MeetingTable, UpcomingMeeting
from migrations_app.screens.tables.users import UserTable
from migrations_app.screens.told import told_of_runs
from migrations_app.targets import Targets
from migrations_app.triggers.rules import why_not_served
from tenants_app.access import Access, access_for
from tenants_app.changes.locking import wait_for_others
from tenants_app.changes.users import UserEdit, change_users, mark_up_to_date
from tenants_app.models import ConferencingUser, MeetingService, Role, ServiceNumber
from tenants_app.screens.forms import UserForm
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import answer_list, arrange
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request
from tenants_app.signals import Consequence
from tenants_app.user_settings import UserSettings


def with_latest_run(users: QuerySet[ConferencingUser]) -> QuerySet[Any]:
    """The users with the state, the error and the last change of their latest run (R29), and how many meetings need a
    person.

    Looked up by its index for the rows that are shown, so that to count the users no run is looked at.
    """
    latest = Run.objects.filter(user=OuterRef("pk"), is_latest=True)
    return users.annotate(
        latest_state=Subquery(latest.values("state")),
        latest_modified=Subquery(latest.values("modified")),
        still_open=open_count_of("user"),
        latest_error=Subquery(latest.values("last_error_code")),
        latest_detail=Subquery(latest.values("last_error_detail")),
        latest_accepted=Subquery(latest.values("accepted_at")),
    )


@require_safe
def users(request: Request, slug: str) -> HttpResponseBase:
    """All users, or those that the filter finds."""
    access = access_for(request, slug)
    everyone = ConferencingUser.objects.filter(tenant=access.tenant)
    found = UserFilter(request.GET, with_latest_run(everyone).select_related("bridge"), access.tenant)
    bar = bar_of(request, access)
    table = UserTable(found.qs)
    table.for_import = f"{reverse('users-csv', args=[slug])}?{bar['selection_query']}"
    context = {"access": access, **bar}
    return answer_list(request, "users/users.html", table, context, found=found, everything=everyone)


@require_http_methods(["GET", "HEAD", "POST"])
def user(request: Request, slug: str, upn: str) -> HttpResponse:
    """One user. A POST by an admin saves the form, or with ``preview`` only tells what saving would lead to."""
    is_post = request.method == "POST"
    is_preview = "preview" in request.POST
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    live = Live(request, access)
    if not is_post and live.is_unchanged:
        return live.nothing_new()
    foresight = None
    if is_post and not is_preview:
        form, consequences = _save(access, upn, request.POST)
        if consequences is not None:
            messages.success(request, _("The settings of %(name)s are saved.") % {"name": form.instance.upn})
            tell_consequences(request, consequences)
            return redirect("user", slug, upn)
    else:
        form = UserForm(request.POST if is_post else None, _user(access, upn))
        foresight = _foresee(access, form) if is_post else None
    # The form has put what was typed into its instance; what stands beside it shows the user as stored.
    stored = _user(access, upn)
    context = {
        "access": access,
        "user_shown": stored,
        "form": form,
        "is_preview": is_preview,
        "foresight": foresight,
        "is_answer": request.POST.get("preview") == "asked",
        **first_meetings(foresight.meetings if foresight else ()),
        "refusal": why_not_served(UserSettings.of(stored, "")),
        "leaving": ServiceNumber.objects.filter(is_leaving=True, invitations__user=stored),
        "runs": list(Run.objects.filter(user=stored).annotate(still_open=open_count_of("run"))[:5]),
        **_standing(stored),
        "left_count": to_come(access.tenant).filter(user=stored, state=LeftMeeting.State.OPEN).count(),
        "notices": told_of_runs(stored),
        "accept_form": AcceptForm(),
        "as_of": mailbox_of(stored).as_of,
        **_dial_in(stored),
    }
    return live.answer("users/user.html", "users/consequence.html" if is_post else "users/state.html", context)


def _standing(user: ConferencingUser) -> dict[str, Any]:
    """How the run is that counts for the user (R29), and when the page asks again."""
    latest, now = Run.objects.filter(user=user, is_latest=True).first(), timezone.now()
    open_run = latest if latest and latest.state in {Run.State.PENDING, Run.State.IN_PROGRESS} else None
    is_near = open_run and (open_run.state == Run.State.IN_PROGRESS or open_run.due_at <= now + timedelta(seconds=30))
    return {
        "latest": latest,
        "open_run": open_run,
        "may_begin": user.tenant.meeting_migration_enabled or bool(open_run and open_run.is_undo),
        "seconds_to_refresh": (2 if is_near else 15) if open_run else 0,
        "now": now,
    }


@require_safe
def user_meetings(request: Request, slug: str, upn: str) -> HttpResponseBase:
    """The user's future meetings. For those of the requested page, what a run would do with them now, where it is
    started with the types of the address (R40).
    """
    access = access_for(request, slug)
    shown = _user(access, upn)
    now = timezone.now()
    meetings: list[UpcomingMeeting] = []
    failure = None
    try:
        meetings = [UpcomingMeeting(meeting) for meeting in mailbox_of(shown).list_upcoming(now)]
    except Failure as unavailable:
        failure = unavailable
    table = MeetingTable(meetings)
    table.now, table.failure = now, failure
    types = MeetingTypesForm(request.GET, access.tenant)
    table.asked = types.asked
    (start,) = decide_starts(access.tenant, [shown], access.actor, types.targets())
    table.foretell = partial(_foretell, shown, start.targets)
    if instead := arrange(request, access, table):
        return instead
    context = {"access": access, "user_shown": shown, "table": table, "failure": table.failure}
    response = answer(request, "meetings/meetings.html", "meetings/list.html", context)
    asked_from = request.htmx.current_url or ""
    if not asked_from.partition("?")[0].endswith("/meetings/"):
        push_url(response, False)  # turning the pages in the user's page, one stays there
    return response


@require_safe
def user_meeting(request: Request, slug: str, upn: str, uid: str) -> HttpResponse:
    """What a run would do with one meeting of the user's mailbox, and why; writes nothing."""
    access = access_for(request, slug)
    return answer_explanation(request, access, _user(access, upn), uid)


@require_POST
def mark_as_up_to_date(request: Request, slug: str, upn: str) -> HttpResponse:
    """Take the admin's word that the user's invitations are right (R36)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _user(access, upn)
    if mark_up_to_date(shown, access.actor):
        messages.success(request, _("%(upn)s is marked as up to date.") % {"upn": shown.upn})
    else:
        told = _("%(upn)s is up to date already, so nothing was changed.")
        messages.info(request, told % {"upn": shown.upn})
    return redirect("user", slug, upn)


@transaction.atomic
def _save(access: Access, upn: str, posted: QueryDict) -> tuple[UserForm, list[Consequence] | None]:
    """Save what was edited. Returns the form, and what follows or None where it was refused.

    Whoever saves the same user at this moment waits, so that the second form is compared with what the first saved.
    """
    wait_for_others(access.tenant)
    form = UserForm(posted, _user(access, upn))
    if form.is_valid():
        with refusals_told(form):
            return form, change_users(access.tenant, [_edit(form)], access.actor)
    return form, None


def _foresee(access: Access, form: UserForm) -> Foresight | None:
    """What saving the form would lead to; None where it would be refused."""
    if form.is_valid():
        with refusals_told(form):
            return foresee(access.tenant, _edit(form))
    return None


def _edit(form: UserForm) -> UserEdit:
    return UserEdit(form.instance.pk, form.edited(), form.cleaned_data["reschedule_meetings"])


def _dial_in(user: ConferencingUser) -> dict[str, Any]:
    """The dial-in details in the user's invitations, or why there are none; and when Teams was asked of whom it says
    them."""
    is_in_teams = user.effective_meeting_service == MeetingService.TEAMS
    try:
        return {
            "dial_in": dial_in_details(user),
            "is_in_teams": is_in_teams,
            "teams_look": TeamsLook.objects.filter(user=user).first() if is_in_teams else None,
        }
    except Failure as failure:
        return {"failure": failure}


def _foretell(user: ConferencingUser, targets: Targets, meetings: Sequence[UpcomingMeeting]) -> Failure | None:
    """Note at each meeting what is ``foreseen`` of it and how many people would be mailed; or why a run would fail."""
    by_uid = {each.meeting.uid: each for each in meetings}
    try:
        for outcome in foresee_meetings(user, targets, list(by_uid)):
            row = by_uid[outcome.result.uid]
            row.foreseen, row.recipients = outcome.result, outcome.recipient_count
    except Failure as failure:
        return failure
    return None


def _user(access: Access, upn: str) -> ConferencingUser:
    found = (
        ConferencingUser.objects.with_upns(access.tenant, [upn])
        .select_related("tenant", "bridge", "toll_number", "toll_free_number", "deployment")
        .prefetch_related("conference_ids")
        .first()
    )
    if found is None:
        raise Http404
    return found
