"""Rooms of a plan: all as a list, choosing among them, and one with all that is known of it (R110, R123, R129)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from migrations_app.chat import importing, plans, verification
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archives import open_stored
from migrations_app.models import ChatPlan, ChatRoom
from migrations_app.screens.chat.of_page import plan_context, plan_of, room_of
from migrations_app.screens.chat.sides import not_told, settings_of, sides_of
from migrations_app.screens.forms.chat import ON_CONFLICT, ChoosingForm, NamesForm, ReasonForm
from migrations_app.screens.live import Live
from migrations_app.screens.tables.chat import RoomFilter, RoomTable
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import refusal_of, refusals_told, tell_errors
from tenants_app.screens.requests import Request

SHOWN = 200
"""Findings and differences of one room on its page; the lists and the report have all."""
DECIDED_IN = (ChatPlan.State.READY, ChatPlan.State.REFUSED)
MAY_BE_COMPARED = ChatRoom.State.IMPORTED


@require_safe
def rooms(request: Request, slug: str, number: int) -> HttpResponseBase:
    """All rooms of the plan, with what becomes of each."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    found = RoomFilter(request.GET, ChatRoom.objects.filter(plan=shown), plan=shown)
    table = RoomTable(found.qs, may_choose=access.may_operate)
    context = plan_context(access, shown, "rooms") | {
        "on_conflict": ON_CONFLICT,
        "may_decide": access.may_operate and shown.state in DECIDED_IN,
        "has_started": shown.state in ChatPlan.STARTED,
    }
    return answer_list(request, "chat/rooms.html", table, context, found=found)


@require_POST
def choose(request: Request, slug: str, number: int) -> HttpResponse:
    """Do something with the rooms that were ticked."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    form = ChoosingForm(request.POST)
    picked = list(ChatRoom.objects.filter(plan=shown, pk__in=form.rooms).values_list("pk", flat=True))
    if not form.is_valid():
        tell_errors(request, refusal_of(form))
    elif not picked:
        messages.error(request, _("Tick at least one room first."))
    else:
        try:
            done = _do(shown, access, form.cleaned_data, picked)
        except ValidationError as error:
            tell_errors(request, error)
        else:
            messages.success(request, done)
    return redirect("chat-rooms", slug, number)


def _do(shown: ChatPlan, access: Access, asked: dict[str, Any], picked: list[int]) -> str:
    """Returns what is said of it."""
    do, n = asked["do"], len(picked)
    if do == "deselect":
        plans.decide(shown, access.actor, picked, deselect=True, reason=asked["reason"])
        told = ngettext("%(n)s room is left out.", "%(n)s rooms are left out.", n)
    elif do == "select":
        plans.decide(shown, access.actor, picked, deselect=False)
        told = ngettext("%(n)s room is in the import again.", "%(n)s rooms are in the import again.", n)
    elif do == "conflict":
        plans.decide(shown, access.actor, picked, on_conflict=asked["on_conflict"])
        told = ngettext("%(n)s room has a new answer.", "%(n)s rooms have a new answer.", n)
    elif do == "import":
        importing.start(shown, access.actor, picked)
        told = ngettext("The import of %(n)s room has begun.", "The import of %(n)s rooms has begun.", n)
    elif do == "retry":
        importing.retry(shown, access.actor, picked)
        told = ngettext("%(n)s room is tried again.", "%(n)s rooms are tried again.", n)
    else:
        verification.ask(shown, access.actor, picked)
        told = ngettext("%(n)s room is compared now.", "%(n)s rooms are compared now.", n)
    return told % {"n": n}


@require_safe
def room(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """One room: what it becomes, what was found, how far it is, and how both sides compare. Never its text."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = room_of(plan_of(access, number), pk)
    return live.answer("chat/room.html", "chat/room_live.html", _room(access, shown))


def _room(
    access: Access, shown: ChatRoom, form: ReasonForm | None = None, name_form: NamesForm | None = None
) -> dict[str, Any]:
    plan = shown.plan
    goes_on = shown.state == ChatRoom.State.WRITING or shown.compare_asked_at is not None
    differences = list(shown.differences.order_by("pk")[: SHOWN + 1])
    return plan_context(access, plan, "rooms") | {
        "room": shown,
        "findings": shown.findings.order_by("pk")[:SHOWN],
        "differences": differences[:SHOWN],
        "has_more_differences": len(differences) > SHOWN,
        "open_differences": sum(each.accepted_at is None for each in differences[:SHOWN]),
        "sides": sides_of(shown.compared),
        "not_told": not_told(shown.compared),
        "settings": settings_of(shown.planned),
        "shifts": shown.shifts.count(),
        "may_verify": access.may_operate and shown.state == MAY_BE_COMPARED and not shown.compare_asked_at,
        "may_retry": access.may_operate and shown.state == ChatRoom.State.FAILED,
        "may_sample": access.may_operate and shown.comparison == ChatRoom.Comparison.DIFFERS,
        "name_form": name_form or _name_form(access, shown),
        "form": form or ReasonForm(None, help_text=_("The report shows it with your name.")),
        "seconds_to_refresh": 2 if goes_on else 0,
    }


def _name_form(access: Access, shown: ChatRoom) -> NamesForm | None:
    """Where other names can be given; None where nothing can be decided any more."""
    if not access.may_operate or shown.plan.state not in DECIDED_IN or shown.state in ChatRoom.OUT:
        return None
    return NamesForm(None, shown)


@require_POST
def name_room(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """What the room, or its category with all its rooms, is to be called at the target (R113)."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = room_of(plan_of(access, number), pk)
    form = NamesForm(request.POST, shown)
    if form.is_valid():
        with refusals_told(form):
            names = form.edited()
            if "room" in names:
                plans.decide(shown.plan, access.actor, [shown.pk], name=names["room"])
            if "category" in names:
                plans.name_category(shown.plan, access.actor, _category_of(shown), names["category"])
            messages.success(request, _("It is planned again with these names."))
            return redirect("chat-plan", slug, number)
    context = _room(access, room_of(plan_of(access, number), pk), name_form=form) | {"seconds_to_refresh": 0}
    return Live(request, access).answer("chat/room.html", "chat/room_live.html", context)


def _category_of(shown: ChatRoom) -> str:
    """The id of its category in the archive. Raises ``ValidationError``."""
    try:
        with open_stored(shown.plan.archive) as archive:
            found = next((room.category for room in archive.rooms() if room.id == shown.room_id), None)
    except Unusable as unusable:
        raise ValidationError(unusable.in_a_sentence) from None
    if found is None:
        raise ValidationError(_("The archive has this room no more: make a new plan."))
    return found


@require_POST
def accept(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """An admin accepts the differences that are ticked, with a reason (R124)."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = room_of(plan_of(access, number), pk)
    ticked = [int(key) for key in request.POST.getlist("difference") if key.isascii() and key.isdigit()][:5000]
    chosen = list(shown.differences.filter(pk__in=ticked, accepted_at=None))
    form = ReasonForm(request.POST)
    if form.is_valid() and not chosen:
        form.add_error(None, _("Tick at least one difference that nobody has accepted yet."))
    if form.is_valid():
        with refusals_told(form):
            verification.accept(chosen, access.actor, form.cleaned_data["reason"])
            n = len(chosen)
            told = ngettext("%(n)s difference is accepted.", "%(n)s differences are accepted.", n)
            messages.success(request, told % {"n": n})
            return redirect("chat-room", slug, number, pk)
    context = _room(access, shown, form) | {"seconds_to_refresh": 0}
    return Live(request, access).answer("chat/room.html", "chat/room_live.html", context)


@require_POST
def verify_room(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """Have this room compared."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = room_of(plan_of(access, number), pk)
    try:
        verification.ask(shown.plan, access.actor, [shown.pk])
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("chat-room", slug, number, pk)


@require_POST
def retry_room(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """Try this room again."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = room_of(plan_of(access, number), pk)
    try:
        importing.retry(shown.plan, access.actor, [shown.pk])
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("chat-room", slug, number, pk)


@never_cache
@require_POST
def sample(request: Request, slug: str, number: int, pk: int) -> HttpResponse:
    """Some messages of both sides, with their text, of a room that differs. The audit says who looked (R129)."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = room_of(plan_of(access, number), pk)
    try:
        sampled = verification.sampled(shown, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("chat-room", slug, number, pk)
    context = plan_context(access, shown.plan, "rooms") | {"room": shown, "sampled": sampled}
    response = render(request, "chat/room_sample.html", context)
    response["Cache-Control"] = "no-store, private"
    return response
