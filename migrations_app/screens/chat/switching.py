"""Before the old system goes: the gate, the guided steps, and the people who are asked (R124, R125, R127)."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.chat import evidence, sequence
from migrations_app.chat import gate as gates
from migrations_app.chat import people as asked
from migrations_app.models import ChatQuestion
from migrations_app.screens.chat.of_page import plan_context, plan_of
from migrations_app.screens.forms.chat import StepForm
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request
from tenants_app.sentences import sentence

SHOWN = 200
"""People on the page; those who miss something first."""


@require_safe
def gate(request: Request, slug: str, number: int) -> HttpResponse:
    """Whether the old system may be switched off, condition by condition."""
    access = access_for(request, slug)
    shown = plan_of(access, number)
    context = plan_context(access, shown, "gate") | {"gate": gates.gate_of(shown), "form": StepForm(None)}
    return render(request, "chat/gate.html", context)


@require_POST
def answer_condition(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """A person answers a condition that MMS cannot see; some need a second account."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    form = StepForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data["evidence"]
        _act(request, lambda: gates.answer_condition(shown, access.actor, key, evidence=given), _("It is noted."))
    else:
        _tell_form(request, form)
    return redirect("chat-gate", slug, number)


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
    context = plan_context(access, shown, "steps") | {"steps": found, "here": here, "form": StepForm(None)}
    return render(request, "chat/steps.html", context)


@require_POST
def do_step(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Tick a step, with what was seen as text or as a file, which is kept with its checksum."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    form = StepForm(request.POST, request.FILES)
    if form.is_valid():
        text, file = form.cleaned_data["evidence"], form.cleaned_data["file"]

        def do() -> None:
            if not file:
                sequence.do_step(shown, access.actor, key, evidence=text)
                return
            evidence.store_evidence(
                access.tenant,
                access.actor,
                file.chunks(),
                file_name=file.name or "evidence",
                what=sentence("Evidence of the step %(step)s of plan %(number)s.", step=key, number=str(number)),
                also=lambda kept: sequence.do_step(shown, access.actor, key, evidence=text, file=kept),
            )

        _act(request, do, _("The step is noted."))
    else:
        _tell_form(request, form)
    return redirect("chat-steps", slug, number)


@require_POST
def take_back_step(request: Request, slug: str, number: int, key: str) -> HttpResponse:
    """Take a step back that was ticked by mistake; the audit keeps what was said of it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    shown = plan_of(access, number)
    _act(request, lambda: sequence.take_back_step(shown, access.actor, key), _("The step is taken back."))
    return redirect("chat-steps", slug, number)


def _act(request: Request, act: Callable[[], object], done: str) -> None:
    try:
        act()
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, done)


def _tell_form(request: Request, form: StepForm) -> None:
    for errors in form.errors.values():
        for error in errors:
            messages.error(request, str(error))


@require_http_methods(["GET", "HEAD", "POST"])
def people(request: Request, slug: str, number: int) -> HttpResponse:
    """Who was asked whether anything of their rooms is missing, and what they said. A POST asks them by mail."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.OPERATOR if is_post else Role.Name.VIEWER)
    shown = plan_of(access, number)
    if is_post:
        try:
            n = asked.ask_people(shown, access.actor)
        except ValidationError as error:
            tell_errors(request, error)
        else:
            told = ngettext("%(n)s person is asked by mail.", "%(n)s people are asked by mail.", n)
            messages.success(request, told % {"n": n})
        return redirect("chat-people", slug, number)
    questions = ChatQuestion.objects.filter(plan=shown)
    missing, complete = (Q(answer=value) for value in (ChatQuestion.Answer.MISSING, ChatQuestion.Answer.COMPLETE))
    counted = questions.aggregate(
        asked=Count("pk"), complete=Count("pk", filter=complete), missing=Count("pk", filter=missing)
    )
    found = list(questions.order_by("-answer", "name", "pk")[: SHOWN + 1])
    context = plan_context(access, shown, "people") | {
        "questions": found[:SHOWN],
        "is_cut": len(found) > SHOWN,
        "counted": counted,
        "silent": counted["asked"] - counted["complete"] - counted["missing"],
    }
    return render(request, "chat/people.html", context)
