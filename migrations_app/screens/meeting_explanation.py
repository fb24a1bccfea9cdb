"""What a run would do with one meeting as it stands in the mailbox now, and why: the same page for all who ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.preview.explanation import explain
from migrations_app.rewriting.comparison import compare
from migrations_app.runs.starts import decide_starts
from migrations_app.screens.forms.starting import MeetingTypesForm
from migrations_app.targets import ALL_CURRENT
from tenants_app.access import Access
from tenants_app.models import ConferencingUser
from tenants_app.screens.fragments import answer
from tenants_app.screens.requests import Request


def answer_explanation(
    request: Request, access: Access, user: ConferencingUser, uid: str, of_run: Mapping[str, Any] | None = None
) -> HttpResponse:
    """Explain the meeting in the user's mailbox, or why it cannot be read there; writes nothing.

    ``of_run`` are ``run`` and ``result`` where it is about a meeting of a run: then a meeting that is gone is said to
    be gone, and without it ``Http404`` is raised. The run that it tells of is one that is started now, with the types
    of the address (R40).
    """
    now = timezone.now()
    stored, failure = None, None
    try:
        stored = mailbox_of(user).read([uid]).get(uid)
    except Failure as unavailable:
        failure = unavailable
    if not (stored or failure or of_run):
        raise Http404
    types = MeetingTypesForm(request.GET, access.tenant)
    (start,) = decide_starts(access.tenant, [user], access.actor, types.targets())
    explained = None
    if stored:
        explained = explain(uid, stored.body, user, targets=start.targets, now=now, obstacle=stored.obstacle)
    context = {
        "access": access,
        "user_shown": user,
        "subject": of_run["result"].subject if of_run else stored.listed.subject if stored else "",
        "now": now,
        "story_uid": uid,
        "failure": failure,
        "explanation": explained,
        "aim": "" if start.targets == ALL_CURRENT else start.targets.words,
        "changes": compare(explained.decision.spans) if explained else [],
        **(of_run or {}),
    }
    return answer(request, "meetings/explanation.html", "meetings/explained.html", context)
