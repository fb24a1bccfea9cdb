"""The page of a wave: its members by state, its batches, its gate and what happened; and steering it (R77 to R80)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import workers
from migrations_app.rollouts import going_back, move_lists, movers, organizers, steering
from migrations_app.rollouts.board import board_of, waits_for
from migrations_app.rollouts.gates import gate_of, shown_state
from migrations_app.screens.forms.waves import ReasonForm, ResultsForm
from migrations_app.screens.live import Live
from migrations_app.screens.rollouts.of_page import wave_context, wave_of
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

EVENTS = 20
"""Of the timeline; the report has all."""


@require_safe
def wave(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """How the wave stands. The page follows what happens."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    shown = wave_of(request, access, pk, n)
    now = clock.now()
    gate = None if shown.state in Wave.ENDED else gate_of(shown, now)
    board = board_of(shown)
    moves = shown.state in Wave.MOVES
    goes_on = moves or bool(board.under_way)
    events = list(shown.events.order_by("-at", "-pk")[: EVENTS + 1])
    context = wave_context(access, shown, "wave") | {
        "gate": gate,
        "state": shown_state(shown, gate) if gate else shown.state,
        "board": board,
        "waits_for": waits_for(shown, board, gate, now),
        "to_confirm": move_lists.waits_for_list(shown) and bool(board.counts[WaveMember.State.MOVING]),
        "events": events[:EVENTS],
        "has_more_events": len(events) > EVENTS,
        "moves": moves,
        "may_start": access.may_operate and not shown.has_started,
        "may_pause": access.may_operate and moves,
        "may_resume": access.may_operate and shown.state in {Wave.State.PAUSED, Wave.State.STOPPED},
        "may_go_back": access.may_operate and shown.state in going_back.MAY_GO_BACK and not shown.back_from,
        "goes_back": shown.state in {Wave.State.ROLLING_BACK, Wave.State.ROLLED_BACK},
        "told": organizers.told(shown) if shown.tells_before or shown.tells_after else {},
        "may_retry": access.may_operate and shown.has_started and shown.state not in Wave.ENDED,
        "is_silent": goes_on and workers().are_silent,
        "seconds_to_refresh": 2 if goes_on else 15 if shown.has_started and shown.state not in Wave.ENDED else 0,
        "now": timezone.now(),
    }
    return live.answer("rollouts/wave.html", "rollouts/wave_live.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Asks once more, with the gate and who moves, and starts the wave on POST."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = wave_of(request, access, pk, n)
    if request.method == "POST":
        try:
            steering.start(shown, access.actor, at_once="at_once" in request.POST)
        except ValidationError as error:
            tell_errors(request, error)
        else:
            messages.success(request, _("Wave %(wave)s is started.") % {"wave": shown.name})
            return redirect("wave", slug, pk, n)
    context = wave_context(access, shown, "wave") | {
        "refusal": steering.why_not_started(shown),
        "gate": gate_of(shown),
        "sizes": shown.batch_sizes(),
        "is_later": bool(shown.window or (shown.not_before and shown.not_before > clock.now())),
    }
    return render(request, "rollouts/wave_start.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def pause(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Asks once more, and on POST moves nobody else."""
    return _with_reason(request, slug, pk, n, steering.pause, "rollouts/wave_pause.html", _("The wave is paused."))


@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Asks why, where the wave has stopped by itself, and lets it go on."""
    return _with_reason(request, slug, pk, n, steering.resume, "rollouts/wave_resume.html", _("The wave goes on."))


def _with_reason(
    request: Request, slug: str, pk: int, n: int, act: Callable[..., Wave], page: str, done: str
) -> HttpResponse:
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = wave_of(request, access, pk, n)
    is_required = act is steering.resume and shown.state == Wave.State.STOPPED
    form = ReasonForm(request.POST if request.method == "POST" else None, is_required=is_required)
    if request.method == "POST" and form.is_valid():
        with refusals_told(form):
            act(shown, access.actor, form.cleaned_data["reason"])
            messages.success(request, done)
            return redirect("wave", slug, pk, n)
    return render(request, page, wave_context(access, shown, "wave") | {"form": form})


@require_POST
def retry(request: Request, slug: str, pk: int, n: int, member: int) -> HttpResponse:
    """Try a failed member again, alone."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = wave_of(request, access, pk, n)
    found = get_object_or_404(WaveMember.objects.select_related("wave__rollout", "user"), wave=shown, pk=member)
    try:
        steering.retry(found, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, _("%(user)s is tried again.") % {"user": found.user.upn})
    return redirect("wave", slug, pk, n)


# --- moving by a list (R63) -------------------------------------------------------------------------------


@require_safe
def move_list(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """The file that ``Move-CsUser -UserList`` takes, of all who wait."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    users = move_lists.users_to_move(wave_of(request, access, pk, n))
    return HttpResponse(
        movers.list_file(users),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{movers.LIST_NAME}"', "Cache-Control": "no-store"},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def moves(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Who waits to be moved, and how. POST takes the word that all were, or what a file says of each."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = wave_of(request, access, pk, n)
    is_file = request.method == "POST" and "all" not in request.POST
    form = ResultsForm(request.POST, request.FILES) if is_file else ResultsForm()
    if request.method == "POST":
        with refusals_told(form):
            noted = _noted(shown, access, form, is_file=is_file)
            if noted is not None:
                _tell_noted(request, noted)
                return redirect("wave", slug, pk, n)
    users = move_lists.users_to_move(shown)
    context: dict[str, Any] = wave_context(access, shown, "wave") | {
        "form": form,
        "count": len(users),
        "users": users[:50],
        "command_line": move_lists.command_line(shown),
        "target": move_lists.target_of(shown),
    }
    return render(request, "rollouts/wave_moves.html", context)


def _noted(shown: Wave, access: Access, form: ResultsForm, *, is_file: bool) -> int | None:
    """How many members it was noted for; None where the form says what is wrong."""
    if not is_file:
        return move_lists.confirm(shown, access.actor)
    if not form.is_valid():
        return None
    try:
        text = form.cleaned_data["results"].read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValidationError({"results": _("The file is not UTF-8 text: save it as UTF-8.")}) from error
    return move_lists.import_results(shown, text, access.actor)


def _tell_noted(request: Request, noted: int) -> None:
    if noted:
        messages.success(request, _("It is noted, and the settings of those who were moved change now."))
    else:
        messages.info(request, _("Nobody waited for that any more."))
