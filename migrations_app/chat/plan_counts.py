"""What is counted of a plan: its rooms, their messages, and what was found of them (R110)."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from migrations_app.models import ChatFinding, ChatPlan, ChatRoom

ACCEPTABLE = "retention-unknown"
"""The one error that a person may take away by answering for the target (R110)."""

_OUT = Q(state__in=ChatRoom.OUT)


def standing(plan: ChatPlan) -> QuerySet[ChatFinding]:
    """The findings that count: of the plan as a whole, and of rooms that are to be imported."""
    found = plan.findings.exclude(room__state__in=ChatRoom.OUT)
    return found.exclude(code=ACCEPTABLE) if plan.retention_accepted_at else found


def counts_of(plan: ChatPlan) -> dict[str, Any]:
    """The fields of the plan that say how much there is, as its rows are now; two statements."""
    rooms = plan.rooms.order_by().aggregate(
        room_count=Count("pk", filter=~_OUT),
        message_count=Sum("message_count", filter=~_OUT),
        file_count=Sum("file_count", filter=~_OUT),
        estimate_seconds=Sum("estimate_seconds", filter=~_OUT),
    )
    severity = ChatFinding.Severity
    findings = (
        standing(plan)
        .order_by()
        .aggregate(
            error_count=Count("pk", filter=Q(severity=severity.ERROR)),
            warning_count=Count("pk", filter=Q(severity=severity.WARNING)),
            note_count=Count("pk", filter=Q(severity=severity.NOTE)),
        )
    )
    return {
        **rooms,
        "message_count": rooms["message_count"] or 0,
        "file_count": rooms["file_count"] or 0,
        **findings,
    }
