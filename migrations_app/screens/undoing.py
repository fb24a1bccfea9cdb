"""Undoing a run: what that would make of each of its meetings, choosing among them, and starting it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from migrations_app.calendars import itip
from migrations_app.failures import Failure
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import MeetingResult, Run
from migrations_app.rewriting.comparison import compare
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.undo_start import foreseen_undo, start_undo, why_not_undone
from migrations_app.runs.undoing import CHANGED, changed_meetings
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request

MOST_ON_A_PAGE = 500
"""Changed meetings of a run that are looked at while somebody waits for the page."""


@dataclass(slots=True)
class Foreseen:
    """What an undo would make of the run's meetings."""

    back: list[Outcome] = field(default_factory=list)
    """Meetings that are put back."""
    left: list[Outcome] = field(default_factory=list)
    mailed: int = 0
    """Updates that attendees are sent."""

    def note(self, outcome: Outcome) -> None:
        (self.back if outcome.is_change else self.left).append(outcome)
        self.mailed += outcome.recipient_count


@require_http_methods(["GET", "HEAD", "POST"])
def undo_run(request: Request, slug: str, correlation_id: uuid.UUID) -> HttpResponse:
    """What undoing the run leads to, meeting by meeting; POST undoes those that are chosen."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    run = _run(access, correlation_id)
    results = run.results.filter(CHANGED)
    if request.method == "POST":
        chosen = _chosen(request, run)
        try:
            undo = start_undo(run, access.actor, chosen=chosen, now_due="now" in request.POST)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("undo-run", slug, correlation_id)
        started = _("The undo for %(user)s is started. Attendees are told once.")
        messages.success(request, started % {"user": run.user.upn})
        return redirect("run", slug, undo.correlation_id)
    context: dict[str, Any] = {"access": access, "run": run, "refusal": why_not_undone(run)}
    if not context["refusal"]:
        count = results.count()
        pending = Run.objects.filter(user=run.user_id, state=Run.State.PENDING).first()
        context |= {"count": count, "is_large": count > MOST_ON_A_PAGE, "pending": pending}
        context["prepare"] = [("kind", "undo"), ("run", run.correlation_id)]
        if count <= MOST_ON_A_PAGE:
            keys = dict(results.values_list("uid", "pk"))
            try:
                context["foreseen"] = _foresee(run, keys)
            except Failure as failure:
                context["failure"] = failure
    return render(request, "runs/undo.html", context)


@require_safe
def undo_meeting(request: Request, slug: str, correlation_id: uuid.UUID, pk: int) -> HttpResponse:
    """What undoing the run would make of one of its meetings, and who would be told."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    run = _run(access, correlation_id)
    old = get_object_or_404(MeetingResult.objects.filter(CHANGED), run=run, pk=pk)
    context: dict[str, Any] = {"access": access, "run": run, "result": old}
    try:
        (outcome,) = foreseen_undo(run, [old.uid])
        recipients = []
        if outcome.write:
            stored = mailbox_of(run.user).read([old.uid]).get(old.uid)
            body = stored.body if stored else outcome.write.body
            recipients = itip.read(body, run.user.addresses, now=timezone.now()).recipients
        context |= {"outcome": outcome, "changes": compare(outcome.replaced), "recipients": recipients}
    except Failure as failure:
        context["failure"] = failure
    return answer(request, "runs/undo_meeting.html", "runs/undo_meeting_changes.html", context)


def _foresee(run: Run, keys: dict[str, int]) -> Foreseen:
    foreseen = Foreseen()
    for outcome in foreseen_undo(run):
        outcome.result.pk = keys[outcome.result.uid]  # of the result that is undone: for addresses and checkboxes
        foreseen.note(outcome)
    return foreseen


def _chosen(request: Request, run: Run) -> list[str] | None:
    """UIDs of the run's meetings but for those whose boxes were offered and are not ticked; None for all of them."""
    offered, ticked = (_keys(request.POST.getlist(name)) for name in ("offered", "meeting"))
    unticked = offered - ticked
    if not unticked:
        return None
    if not ticked:
        return []
    return [result.uid for result in changed_meetings(run) if result.pk not in unticked]


def _keys(values: list[str]) -> set[int]:
    return {int(key) for key in values if key.isascii() and key.isdecimal() and len(key) < 19}


def _run(access: Access, correlation_id: uuid.UUID) -> Run:
    runs = Run.objects.select_related("user__bridge", "user__tenant", "tenant")
    found = runs.filter(tenant=access.tenant, correlation_id=correlation_id).first()
    if found is None:
        raise Http404
    return found
