"""What people of the rooms say, by a link in a mail and without an account (R124).

A link leads to one question. A wrong link, and one of a question that is gone, get the same answer; whoever tries many
from one address is answered no more for a while.
"""

from __future__ import annotations

from axes.helpers import get_client_ip_address
from django.contrib.auth.decorators import login_not_required
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from migrations_app.chat import people
from migrations_app.screens.forms.chat import AnswerForm
from tenants_app.screens.refusals import refusals_told

MISSES = 20
"""Wrong links of one address within so many seconds; then it is answered no more until they are over."""
SECONDS = 600


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, token: str) -> HttpResponse:
    """The rooms of one person by name, and whether anything is missing. Only a POST changes anything."""
    counts, who = caches["throttle"], f"chat-answer/{get_client_ip_address(request)}"
    if counts.get(who, 0) >= MISSES:
        return _refusal(request, _("Too many wrong links came from your network: try again in ten minutes."), 429)
    question = people.question_of(token)
    if question is None:
        counts.add(who, 0, SECONDS)
        try:
            counts.incr(who)
        except ValueError:  # forgotten between the two
            counts.add(who, 1, SECONDS)
        return _refusal(request, _("This link is not valid: copy it whole from the mail, or ask who sent it."), 200)
    form = AnswerForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            people.answer(token, form.cleaned_data["answer"], form.cleaned_data["said"])
            return redirect("chat-answer", token)
    context = {"question": question, "rooms": people.rooms_of(question), "form": form}
    response = render(request, "chat/answer.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _refusal(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    return render(request, "chat/answer_refused.html", {"sentence": sentence}, status=status)
