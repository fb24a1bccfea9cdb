"""The history of runs, one run with its meetings, one meeting before and after, and why it is as it is."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.mail.actions import confirm_updates_delivered, send_updates_again
from migrations_app.mail.outbox import count_failed
from migrations_app.mail.waiting import Queue
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import LeftMeeting, MeetingResult, Run
from migrations_app.rewriting.comparison import compare
from migrations_app.rewriting.spans import unpack
from migrations_app.runs.actions import make_due_now, start_by_hand
from migrations_app.runs.left import open_count_of, to_come
from migrations_app.runs.movements import movements_of
from migrations_app.runs.undo_start import undo_again
from migrations_app.runs.undoing import CHANGED
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.filters import ResultFilter, RunFilter
from migrations_app.screens.live import Live
from migrations_app.screens.meeting_explanation import answer_explanation
from migrations_app.screens.selection import bar_of
from migrations_app.screens.tables.runs import ResultTable, RunTable
from migrations_app.screens.told import told_of_run
from migrations_app.targets import Targets
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import answer_list, arrange
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request


@require_safe
def history(request: Request, slug: str) -> HttpResponseBase:
    """All runs of the tenant, newest first, by user, state and time."""
    access = access_for(request, slug)
    runs = Run.objects.filter(tenant=access.tenant).select_related("user").annotate(still_open=open_count_of("run"))
    found = RunFilter(request.GET, runs, access.tenant)
    context = {"access": access, **bar_of(request, access, "runs")}
    return answer_list(request, "runs/history.html", RunTable(found.qs), context, found=found, everything=runs)


@require_safe
def run(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponseBase:
    """One run: its record (R27), its progress, and what became of each meeting."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = _run(access, correlation_id)
    results = shown.results.select_related("update").defer("spans").order_by("pk")
    found = ResultFilter(request.GET, results)
    table = ResultTable(found.qs)
    if instead := arrange(request, access, table, found):
        return instead
    is_open = shown.state in {Run.State.PENDING, Run.State.IN_PROGRESS}
    is_at_work = shown.state == Run.State.IN_PROGRESS
    is_near = shown.due_at <= timezone.now() + timedelta(seconds=30)
    context = {
        "access": access,
        "run": shown,
        "filter": found,
        "movements": movements_of(shown),
        "aim": Targets.of(shown.targets).words,
        "table": table,
        "undos": shown.undone_by.order_by("pk"),
        "may_be_undone": access.may_operate and not shown.is_undo and not is_at_work and _has_changed(shown),
        "newer": None if shown.is_latest else Run.objects.filter(user=shown.user_id, is_latest=True).first(),
        "still_open": to_come(access.tenant).filter(run=shown, state=LeftMeeting.State.OPEN).count(),
        "failed_messages": count_failed(shown),
        "messages_in_doubt": count_failed(shown, in_doubt=True),
        "queue": Queue(access.tenant),
        "notices": told_of_run(shown),
        "is_open": is_open,
        "seconds_to_refresh": (2 if shown.state == Run.State.IN_PROGRESS or is_near else 15) if is_open else 0,
    }
    return live.answer("runs/run.html", "runs/live.html", context)


def _has_changed(run: Run) -> bool:
    """Whether the run has changed meetings, be it otherwise than it was to."""
    return run.succeeded_meetings > 0 or (run.failed_meetings > 0 and run.results.filter(CHANGED).exists())


@require_safe
def meeting(request: Request, slug: str, correlation_id: uuid.UUID, pk: int) -> HttpResponse:
    """One meeting of a run: its block before and after."""
    access = access_for(request, slug)
    shown = _run(access, correlation_id)
    result = get_object_or_404(MeetingResult.objects.select_related("update"), run=shown, pk=pk)
    changes = compare(unpack(bytes(result.spans))) if result.spans else []
    context = {
        "access": access,
        "run": shown,
        "result": result,
        "changes": changes,
        "queue": Queue(access.tenant),
        "is_stored_otherwise": mailbox_of(shown.user).writes_in_parts,
    }
    return answer(request, "runs/meeting.html", "runs/meeting_changes.html", context)


@require_safe
def explanation(request: Request, slug: str, correlation_id: uuid.UUID, pk: int) -> HttpResponse:
    """What a run would do with the meeting as it stands in the mailbox now, and why; writes nothing."""
    access = access_for(request, slug)
    shown = _run(access, correlation_id)
    result = get_object_or_404(MeetingResult.objects.defer("spans"), run=shown, pk=pk)
    return answer_explanation(request, access, shown.user, result.uid, of_run={"run": shown, "result": result})


@require_http_methods(["GET", "HEAD", "POST"])
def run_now(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """Make a pending run due at once (R19); one that is planned after it was asked for once more."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    pending = _run(access, correlation_id)
    is_planned = pending.state == Run.State.PENDING and pending.plan_id is not None
    if request.method != "POST" and is_planned:
        return render(request, "runs/run_now.html", {"access": access, "run": pending})
    if request.method != "POST":
        return redirect("run", slug, correlation_id)
    if is_planned and "confirmed" not in request.POST:
        return redirect("run-now", slug, correlation_id)
    if not access.tenant.meeting_migration_enabled and not pending.is_undo:
        messages.warning(request, _("The service is switched off, so pending runs wait. Switch it on first."))
    elif make_due_now(pending, access.actor):
        begins = _("The run of %(user)s begins as soon as a worker is free.")
        messages.success(request, begins % {"user": pending.user.upn})
    else:
        is_over = _("The run of %(user)s is not pending any more, so there is nothing to bring forward.")
        messages.info(request, is_over % {"user": pending.user.upn})
    return redirect("run", slug, correlation_id)


@require_POST
def start_again(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """Start a new run for the user of this one, to do the same (R40)."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    ended = _run(access, correlation_id)
    if ended.is_undo:
        try:
            again = undo_again(ended, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("run", slug, correlation_id)
        return redirect("run", slug, again.correlation_id)
    targets = Targets.of(ended.targets)
    told = start_by_hand(access.tenant, [ended.user], access.actor, targets=targets, now_due=True)
    tell_consequences(request, told)
    newest = Run.objects.filter(user=ended.user_id, is_latest=True).first()
    return redirect("run", slug, newest.correlation_id if newest else correlation_id)


@require_POST
def send_again(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """Try the run's messages that could not be sent once more."""
    return _send_again(request, slug, correlation_id, in_doubt=False)


@require_POST
def send_in_doubt_again(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """Send the run's messages again of which the mail server did not say whether it took them."""
    return _send_again(request, slug, correlation_id, in_doubt=True)


def _send_again(request: Request, slug: str, correlation_id: uuid.UUID, *, in_doubt: bool) -> HttpResponse:
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = _run(access, correlation_id)
    count = send_updates_again(shown, access.actor, in_doubt=in_doubt)
    if count:
        told = ngettext("%(count)s message goes out again.", "%(count)s messages go out again.", count)
        messages.success(request, told % {"count": intcomma(count)})
    else:
        messages.info(request, _("No message of this run has failed, so there is nothing to send again."))
    return redirect("run", slug, correlation_id)


@require_POST
def confirm_delivered(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """Take the run's messages as delivered of which the mail server did not say whether it took them."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = _run(access, correlation_id)
    count = confirm_updates_delivered(shown, access.actor)
    if count:
        told = ngettext("%(count)s message counts as delivered.", "%(count)s messages count as delivered.", count)
        messages.success(request, told % {"count": intcomma(count)})
    else:
        messages.info(request, _("No message of this run is in doubt any more, so there is nothing to confirm."))
    return redirect("run", slug, correlation_id)


def _run(access: Access, correlation_id: uuid.UUID) -> Run:
    found = (
        Run.objects.filter(tenant=access.tenant, correlation_id=correlation_id)
        .select_related(
            "undoes",
            "user__bridge",
            "user__tenant__mailbox",
            "user__mailbox",
            "user__toll_number",
            "user__toll_free_number",
            "tenant",
        )
        .first()
    )
    if found is None:
        raise Http404
    return found
