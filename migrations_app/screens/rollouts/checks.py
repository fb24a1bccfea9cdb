"""Checks of a rollout: how all of them stand, one with all it has found, answers, and looking on a button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Max, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from migrations_app.models import CheckAnswer, GateOpening, Rollout, RolloutCheck
from migrations_app.monitoring import activity
from migrations_app.rollouts import looking
from migrations_app.rollouts.answers import answer, why_over
from migrations_app.rollouts.gates import gates_of, retirement_checklist, standing_of
from migrations_app.rollouts.kinds import parameters_of, what_it_does
from migrations_app.screens.forms.checks import AnswerForm
from tenants_app.access import Access, access_for
from tenants_app.models import Role
from tenants_app.screens.fragments import Look
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request

SHOWN = 50
"""Results on a page, the newest first."""
MOST_ANSWERS = 200
REFRESH = 5
"""Seconds until a page asks again whether a check has found anything."""


class LookAtChecks(Look):
    """One look at a page that shows checks. What these find is told apart without the note that other live pages go by:
    it comes every few seconds."""

    def __init__(self, request: Request, access: Access, rollout: Rollout) -> None:
        checks = RolloutCheck.objects.filter(rollout=rollout)
        found = checks.aggregate(Max("last_result"), Max("due_at"), Max("lease_until"))
        answered = CheckAnswer.objects.filter(rollout_check__rollout=rollout).aggregate(Max("pk"))
        opened = GateOpening.objects.filter(rollout=rollout).aggregate(Max("pk"), Max("used_at"))
        seen = activity.version([access.tenant]), *found.values(), *answered.values(), *opened.values()
        super().__init__(request, *seen, access.account.pk, access.role, get_language())


def rollout_of(access: Access, pk: int) -> Rollout:
    """The rollout with its deployments, or 404."""
    rollouts = Rollout.objects.filter(tenant=access.tenant).select_related("tenant", "legacy", "new")
    return get_object_or_404(rollouts, pk=pk)


def check_of(rollout: Rollout, pk: int) -> RolloutCheck:
    """A check of the rollout, or 404."""
    checks = RolloutCheck.objects.filter(rollout=rollout).select_related("wave", "last_result")
    check = get_object_or_404(checks, pk=pk)
    check.rollout = rollout
    return check


@require_safe
def checks(request: Request, slug: str, pk: int) -> HttpResponse:
    """The gates of all waves and of retirement, with how each check stands."""
    access = access_for(request, slug)
    rollout = rollout_of(access, pk)
    look = LookAtChecks(request, access, rollout)
    if look.is_unchanged:
        return look.nothing_new()
    waves = list(rollout.waves.order_by("position"))
    gates = gates_of(waves, look.now)
    removed = RolloutCheck.objects.filter(rollout=rollout).exclude(removed_at=None).select_related("wave")
    context = {
        "access": access,
        "rollout": rollout,
        "gates": [gates[wave.pk] for wave in waves],
        "retirement": retirement_checklist(rollout, look.now),
        "removed": removed.order_by("wave__position", "position", "pk"),
        "seconds_to_refresh": REFRESH,
    }
    return look.answer("rollouts/checks.html", "rollouts/checks_live.html", context)


@require_safe
def check(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """One check: how it stands, what it asks, who answered, and all it has found."""
    access = access_for(request, slug)
    rollout = rollout_of(access, pk)
    look = LookAtChecks(request, access, rollout)
    if look.is_unchanged:
        return look.nothing_new()
    context = _shown(request, access, check_of(rollout, check))
    return look.answer("rollouts/check.html", "rollouts/check_live.html", context)


@require_POST
def answer_check(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """Append an answer."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    asked = check_of(rollout_of(access, pk), check)
    form = AnswerForm(request.POST)
    if form.is_valid():
        with refusals_told(form):
            answer(asked, CheckAnswer.Answer(form.cleaned_data["answer"]), form.cleaned_data["note"], access.actor)
            messages.success(request, _("The answer to “%(check)s” is kept.") % {"check": asked.name})
            return redirect("rollout-check", slug, pk, check)
    context = _shown(request, access, asked) | {"form": form, "seconds_to_refresh": None}
    look = LookAtChecks(request, access, asked.rollout)
    return look.answer("rollouts/check.html", "rollouts/check_live.html", context)


@require_POST
def look_at_check(request: Request, slug: str, pk: int, check: int) -> HttpResponse:
    """Let the background service look at one check now."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    asked = check_of(rollout_of(access, pk), check)
    if asked.is_manual:
        tell_errors(request, ValidationError(_("A person answers this check: MMS cannot look at it.")))
    else:
        _ask(request, access, asked.rollout, [asked])
    return redirect("rollout-check", slug, pk, check)


@require_POST
def look_at_checks(request: Request, slug: str, pk: int) -> HttpResponse:
    """Let the background service look at all checks now; with ``wave``, at those before it."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    rollout = rollout_of(access, pk)
    found = RolloutCheck.objects.filter(rollout=rollout)
    number = request.POST.get("wave", "")
    if number.isascii() and number.isdigit() and len(number) < 6:
        found = found.filter(wave__position=int(number))
    _ask(request, access, rollout, list(found))
    return redirect("rollout-checks", slug, pk)


def _ask(request: Request, access: Access, rollout: Rollout, some: Sequence[RolloutCheck]) -> None:
    n = looking.ask(rollout, some, access.actor)
    if n:
        told = ngettext(
            "%(number)s check is looked at now. What it finds shows here.",
            "%(number)s checks are looked at now. What they find shows here.",
            n,
        )
        messages.success(request, told % {"number": n})
    else:
        why = why_over(some[0]) if len(some) == 1 else _("There is no check that MMS can look at now.")
        messages.info(request, why)


def _shown(request: Request, access: Access, asked: RolloutCheck) -> dict[str, Any]:
    standing = standing_of(asked)
    results, older = _some(asked.results.all(), request.GET.get("before", ""))
    return {
        "access": access,
        "rollout": asked.rollout,
        "check": asked,
        "standing": standing,
        "over": why_over(asked),
        "does": what_it_does(asked.kind),
        "parameters": _in_words(asked),
        "results": results,
        "older": older,
        "is_first": not request.GET.get("before"),
        "answers": asked.answers.order_by("-at", "-pk")[:MOST_ANSWERS],
        "is_looked_at": bool(asked.due_at and not asked.is_manual and asked.due_at <= timezone.now()),
        "form": AnswerForm(),
        "seconds_to_refresh": None if access.may_operate and asked.is_manual else REFRESH,
    }


def _some(results: QuerySet[Any], before: str) -> tuple[list[Any], int | None]:
    """Some results, from one on that is named, and the key of the last of them where there are more."""
    if before.isascii() and before.isdigit() and len(before) < 19:
        results = results.filter(pk__lt=int(before))
    found = list(results.order_by("-at", "-pk")[: SHOWN + 1])
    return found[:SHOWN], found[SHOWN - 1].pk if len(found) > SHOWN else None


def _in_words(asked: RolloutCheck) -> list[tuple[str, str]]:
    """What it was given, by what forms call it; without what was left empty."""
    told = []
    for parameter in parameters_of(asked.kind):
        value = asked.parameters.get(parameter.name, parameter.default)
        if value in ("", None, [], (), False):
            continue
        text = _("Yes") if value is True else str(parameter.shown(value))
        told.append((str(parameter.label), text if len(text) <= 300 else f"{text[:299]}…"))
    return told
