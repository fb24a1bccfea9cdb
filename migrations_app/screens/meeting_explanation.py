"""What a run would do with one meeting as it stands in the mailbox now, and why: the same page for all who ask."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.preview.explanation import explain
from migrations_app.rewriting.comparison import compare
from tenants_app.access import Access
from tenants_app.models import ConferencingUser
from tenants_app.screens.fragments import answer


def answer_explanation(
    request: HttpRequest, access: Access, user: ConferencingUser, uid: str, subject: str, more: dict[str, Any]
) -> HttpResponse:
    """Explain the meeting in the user's mailbox, or say that it is gone; writes nothing.

    ``more`` are ``run`` and ``result`` where it is about a meeting of a run.
    """
    now = timezone.now()
    stored = mailbox_of(user).read([uid]).get(uid)
    explained = explain(uid, stored.body, user, now=now) if stored else None
    context = {
        "access": access,
        "user_shown": user,
        "subject": subject,
        "now": now,
        "explanation": explained,
        "changes": compare(explained.decision.spans) if explained else [],
        **more,
    }
    return answer(request, "meetings/explanation.html", "meetings/explained.html", context)
