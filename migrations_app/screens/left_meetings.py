"""Meetings that need a person: the tenant's list, one of them, and what an operator does about some."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, gettext_noop, ngettext
from django.views.decorators.http import require_POST, require_safe

from migrations_app.mail.organizer_notes import assign
from migrations_app.mail.waiting import Queue
from migrations_app.models import LeftMeeting
from migrations_app.rewriting.labels import language_of
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.left import to_come
from migrations_app.runs.left_actions import deal_with, open_again
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.filters import LeftFilter
from migrations_app.screens.tables.meetings import LeftTable
from tenants_app.access import Access, access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.forms import language_name
from tenants_app.screens.lists import all_of, answer_list
from tenants_app.screens.requests import Request
from tenants_app.signals import Consequence

MOST = 1_000
"""Meetings that are acted on at once; a page shows fewer."""
_UNDO_HOLDS = gettext_noop(
    "No run, because an undo holds, which put the user's meetings back: start the user on their page to end it."
)


@require_safe
def left_meetings(request: Request, slug: str) -> HttpResponseBase:
    """All meetings to come that need a person, or those that the filter finds."""
    access = access_for(request, slug)
    table, found, everything = _found(request, access)
    context = {"access": access, "queue": Queue(access.tenant), "below": "left/chosen.html"}
    return answer_list(request, "left/list.html", table, context, found=found, everything=everything)


@require_safe
def left_csv(request: Request, slug: str) -> HttpResponseBase:
    """What the filter of the list finds, as a CSV file."""
    access = access_for(request, slug)
    table, found, _ = _found(request, access)
    return all_of(request, access, table, found)


@require_safe
def left_meeting(request: Request, slug: str, pk: int) -> HttpResponse:
    """One of them: why it was left, what to do, and what was done about it."""
    access = access_for(request, slug)
    rows = to_come(access.tenant).select_related("user__tenant", "run", "request", "message__result__run")
    row = get_object_or_404(rows, pk=pk)
    context = {
        "access": access,
        "row": row,
        "language": language_name(language_of(row.user.language)),
        "others": to_come(access.tenant).filter(user=row.user_id).exclude(pk=row.pk).count(),
        "queue": Queue(access.tenant),
    }
    return render(request, "left/meeting.html", context)


@require_POST
def assign_left(request: Request, slug: str) -> HttpResponse:
    """Ask the organizers of these to look at them; each gets a mail."""

    def act(access: Access, keys: list[int]) -> None:
        done = assign(access.tenant, keys, access.actor)
        told = []
        if done.mailed:
            sentence = ngettext(
                "%(count)s meeting assigned: its organizer gets a mail.",
                "%(count)s meetings assigned: their organizers get a mail about each.",
                done.mailed,
            )
            told.append(sentence % {"count": intcomma(done.mailed)})
        if done.told_before:
            sentence = ngettext(
                "%(count)s meeting assigned whose organizer was mailed already.",
                "%(count)s meetings assigned whose organizers were mailed already.",
                done.told_before,
            )
            told.append(sentence % {"count": intcomma(done.told_before)})
        if done.messages:
            sentence = ngettext(
                "%(count)s undelivered message cannot be assigned, because no meeting has to be corrected: what to do "
                "stands beside each.",
                "%(count)s undelivered messages cannot be assigned, because no meeting has to be corrected: what to do "
                "stands beside each.",
                done.messages,
            )
            told.append(sentence % {"count": intcomma(done.messages)})
        if done.out_of_history:
            sentence = ngettext(
                "%(count)s meeting cannot be assigned, because the run is not in the history any more: choose “Look "
                "again” first.",
                "%(count)s meetings cannot be assigned, because the run is not in the history any more: choose “Look "
                "again” first.",
                done.out_of_history,
            )
            told.append(sentence % {"count": intcomma(done.out_of_history)})
        if done.changed:
            sentence = ngettext(
                "%(count)s meeting cannot be assigned, because the run has changed more than it was to: look at what "
                "it did, and undo it first.",
                "%(count)s meetings cannot be assigned, because the run has changed more than it was to: look at what "
                "it did, and undo it first.",
                done.changed,
            )
            told.append(sentence % {"count": intcomma(done.changed)})
        _tell(request, told, is_done=bool(done.mailed or done.told_before))

    return _act(request, slug, act)


@require_POST
def deal_with_left(request: Request, slug: str) -> HttpResponse:
    """Note that somebody has seen to these."""
    note = " ".join(request.POST.get("note", "").split())

    def act(access: Access, keys: list[int]) -> None:
        count = deal_with(access.tenant, keys, access.actor, note)
        told = ngettext(
            "%(count)s meeting marked as dealt with.", "%(count)s meetings marked as dealt with.", count
        ) % {"count": intcomma(count)}
        _tell(request, [told] if count else [], is_done=bool(count))

    return _act(request, slug, act)


@require_POST
def open_left_again(request: Request, slug: str) -> HttpResponse:
    """Take back that these are assigned or dealt with."""

    def act(access: Access, keys: list[int]) -> None:
        count = open_again(access.tenant, keys, access.actor)
        told = ngettext("%(count)s meeting open again.", "%(count)s meetings open again.", count)
        _tell(request, [told % {"count": intcomma(count)}] if count else [], is_done=bool(count))

    return _act(request, slug, act)


@require_POST
def look_again(request: Request, slug: str) -> HttpResponse:
    """Start runs for the organizers of these: what is in order by then leaves the list.

    Not of those whose undo holds: who looks at a meeting does not mean to end it.
    """

    def act(access: Access, keys: list[int]) -> None:
        chosen = LeftMeeting.objects.filter(tenant=access.tenant, pk__in=keys)
        users = ConferencingUser.objects.filter(pk__in=chosen.values("user")).select_related("bridge").order_by("pk")
        told = start_by_hand(access.tenant, users.filter(undo_holds=False), access.actor, now_due=True)
        told += [
            Consequence(upn, False, gettext(_UNDO_HOLDS))
            for upn in users.filter(undo_holds=True).values_list("upn", flat=True)
        ]
        tell_consequences(request, told)
        if not told:
            _tell(request, [], is_done=False)

    return _act(request, slug, act)


def _act(request: Request, slug: str, act: Callable[[Access, list[int]], None]) -> HttpResponse:
    """Do it to the meetings that were chosen, and go back to where one was.

    One ``meeting`` of the form may name all of a page, with full stops between their keys.
    """
    access = access_for(request, slug, Role.Name.OPERATOR)
    named = [key for value in request.POST.getlist("meeting") for key in value.split(".")]
    keys = list({int(key) for key in named if key.isascii() and key.isdecimal() and len(key) < 19})
    if not keys:
        messages.info(request, gettext("No meeting was chosen, so nothing was done: tick those that it is about."))
    elif len(keys) > MOST:
        refusal = gettext("At most %(most)s meetings are done at once, so nothing was done: choose fewer.")
        messages.error(request, refusal % {"most": intcomma(MOST)})
    else:
        act(access, keys)
    back = request.POST.get("back", "")
    the_list = reverse("left-meetings", args=[slug])
    if back.startswith(the_list) and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect(the_list)


def _tell(request: Request, told: list[str], *, is_done: bool) -> None:
    if is_done:
        messages.success(request, " ".join(told))
    elif told:
        messages.warning(request, " ".join(told))
    else:
        messages.info(request, gettext("They are so already, or not in the list any more, so nothing was done."))


def _found(request: Request, access: Access) -> tuple[LeftTable, LeftFilter, QuerySet[LeftMeeting]]:
    everything = to_come(access.tenant)
    found = LeftFilter(request.GET, everything)
    table = LeftTable(found.qs.select_related("user", "run", "request", "message"))
    if not access.may_operate:
        table.columns.hide("chosen")
    return table, found, everything
