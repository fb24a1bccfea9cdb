"""The people of the rooms, who are asked whether anything is missing (R124)."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from migrations_app.chat import people as asked
from migrations_app.models import ChatQuestion
from migrations_app.screens.chat.of_page import plan_context, plan_of
from tenants_app.access import access_for
from tenants_app.models import Role
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request

SHOWN = 200
"""People on the page; those who miss something first."""


@require_http_methods(["GET", "HEAD", "POST"])
def people(request: Request, slug: str, number: int) -> HttpResponse:
    """Who was asked whether anything of their rooms is missing, and what they said. A POST asks by mail those who were
    not asked yet; with ``remind``, those who have not answered."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.OPERATOR if is_post else Role.Name.VIEWER)
    shown = plan_of(access, number)
    if is_post:
        try:
            ask = asked.remind if "remind" in request.POST else asked.ask_people
            n = ask(shown, access.actor)
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
        "why_not": asked.why_not_asked(shown),
        "silent": counted["asked"] - counted["complete"] - counted["missing"],
    }
    return render(request, "chat/people.html", context)
