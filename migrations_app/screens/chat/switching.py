"""Before the old system goes: the gate, the guided steps, and old clients (R125 to R127)."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from migrations_app.chat import endpoint as endpoints
from migrations_app.chat import evidence, sequence
from migrations_app.chat import gate as gates
from migrations_app.models import ChatEvidence
from migrations_app.screens.chat.of_page import plan_context, plan_of
from migrations_app.screens.forms.chat import StepForm
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import refusal_of, tell_errors
from tenants_app.screens.requests import Request
from tenants_app.sentences import sentence


@require_safe
def gate(request: Request, slug: str, number: int) -> HttpResponse:
    """Whether the old system may be switched off, condition by condition."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    context = plan_context(access, shown, "gate") | {"gate": gates.gate_of(shown)}
    return render(request, "chat/gate.html", context)


@require_POST
def answer_condition(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """A person answers a condition that MMS cannot see; some need a second account."""
    return _answer(request, slug, number, key, gates.answer_condition, "chat-gate", _("It is noted."))


@require_POST
def confirm_condition(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """A second account confirms what a first one has answered."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: gates.confirm_condition(shown, access.actor, key), _("It is confirmed."))
    return redirect("chat-gate", slug, number)


@require_POST
def take_back_answer(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Take an answer back; the audit keeps it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: gates.take_back_answer(shown, access.actor, key), _("The answer is taken back."))
    return redirect("chat-gate", slug, number)


@require_safe
def steps(request: Request, slug: str, number: int) -> HttpResponse:
    """The documented sequence, with who took each step, when, and how they know."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    found = sequence.steps_of(shown)
    here = next((step.key for step in found if step.done is None and not step.why_not), "")
    context = plan_context(access, shown, "steps") | {"steps": found, "here": here}
    return render(request, "chat/steps.html", context)


@require_POST
def do_step(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Tick a step, with what was seen as text or as a file, which is kept with its checksum."""
    return _answer(request, slug, number, key, sequence.do_step, "chat-steps", _("The step is noted."))


def _answer(
    request: Request, slug: str, number: int, key: str, answer: Callable[..., object], page: str, done: str
) -> HttpResponse:
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    form = StepForm(request.POST, request.FILES)
    if not form.is_valid():
        tell_errors(request, refusal_of(form))
        return redirect(page, slug, number)
    text, file = form.cleaned_data["evidence"], form.cleaned_data["file"]

    def note(kept: ChatEvidence) -> None:
        answer(shown, access.actor, key, evidence=text, file=kept)

    def act() -> None:
        if not file:
            answer(shown, access.actor, key, evidence=text)
            return
        with evidence.kept_or_refused():
            evidence.store_evidence(
                access.tenant,
                access.actor,
                file.chunks(),
                file_name=file.name or "evidence",
                what=sentence("Evidence for plan %(number)s: %(step)s.", step=key, number=str(number)),
                also=note,
            )

    _act(request, act, done)
    return redirect(page, slug, number)


@require_POST
def take_back_step(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Take a step back that was ticked by mistake; the audit keeps what was said of it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: sequence.take_back_step(shown, access.actor, key), _("The step is taken back."))
    return redirect("chat-steps", slug, number)


@require_safe
def endpoint(request: Request, slug: str, number: int) -> HttpResponse:
    """Whether clients of Group Chat go on without a change: the lines to run, and what is known of it (R126)."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    context = plan_context(access, shown, "endpoint") | {"endpoint": endpoints.endpoint_of(shown)}
    return render(request, "chat/endpoint.html", context)


@require_POST
def compare_endpoint(request: Request, slug: str, number: int) -> HttpResponse:
    """Compare the address of the new endpoint with that of the lookup account, character by character."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    before, after = request.POST.get("before", "")[:1000], request.POST.get("after", "")[:1000]
    same = _("The addresses are the same.")
    _act(request, lambda: endpoints.compare(shown, access.actor, before, after), same)
    return redirect("chat-endpoint", slug, number)


@require_POST
def ask_pool(request: Request, slug: str, number: int) -> HttpResponse:
    """Send OPTIONS to the new pool, and keep what it answers."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: endpoints.ask_pool(shown, access.actor), _("The pool answers."))
    return redirect("chat-endpoint", slug, number)


@require_POST
def answer_client(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """A person says what a client of one kind did."""
    return _answer(request, slug, number, key, endpoints.answer_client, "chat-endpoint", _("It is noted."))


@require_POST
def take_back_client(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Take back what was found or answered of old clients."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: endpoints.take_back(shown, access.actor, key), _("The answer is taken back."))
    return redirect("chat-endpoint", slug, number)


def _act(request: Request, act: Callable[[], object], done: str) -> None:
    try:
        act()
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, done)
