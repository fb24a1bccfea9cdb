"""The report of a plan and its import (R128): numbers counted by the database, and lists that are read row by row.

It names rooms, people and findings, and no text of a message (R129).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from migrations_app.models import ChatDifference, ChatFinding, ChatPlan, ChatQuestion, ChatRoom

VERSION = 1
"""Of the document: it changes where something is taken out or means something else."""
FORMAT = "mms-chat-report"
"""By this a file of ours is known."""
_CHUNK = 500

Document = dict[str, Any]
Row = dict[str, Any]


def report_of(plan: ChatPlan, now: datetime) -> Document:
    """What the plan found, what became of it, and how both sides compare, as of ``now``; a few statements, however
    many rooms there are. ``LISTS`` has what is listed in full."""
    archive, target = plan.archive, plan.target
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": gettext("Report of chat plan %(number)s") % {"number": plan.number},
        "created": now,
        "tenant": {"slug": plan.tenant.slug, "name": plan.tenant.name},
        "id": plan.pk,
        "plan": _plan(plan),
        "archive": {
            "name": archive.name,
            "source": archive.source,
            "level": archive.level,
            "scope": list(archive.scope),
            "start_date": archive.start_date,
            "exported": archive.exported_at,
            "stored": archive.stored_at,
            "stored_by": archive.stored_by,
            "bytes": archive.bytes,
            "sha256": archive.sha256,
            "newest_message": archive.newest_at,
            "counts": archive.counts,
            "notes": [str(note) for note in archive.notes],
        },
        "target": {"name": target.name, "kind": target.kind, "address": target.address},
        "totals": _totals(plan),
        "questions": _questions(plan),
    }


def _plan(plan: ChatPlan) -> Document:
    return {
        "number": plan.number,
        "state": plan.state,
        "state_label": plan.get_state_display(),
        "problem": str(plan.problem),
        "replaced_by": plan.replaced_by.number if plan.replaced_by else None,
        "on_conflict": plan.on_conflict,
        "keeps_root_managers": plan.keeps_root_managers,
        "prefixes_rooms": plan.prefixes_rooms,
        "includes_disabled": plan.includes_disabled,
        "retention_accepted": plan.retention_accepted_at,
        "retention_accepted_by": plan.retention_accepted_by,
        "estimate_seconds": plan.estimate_seconds,
        "created": plan.created,
        "created_by": plan.created_by,
        "planned": plan.planned_at,
        "started": plan.started_at,
        "started_by": plan.started_by,
        "finished": plan.finished_at,
    }


def _totals(plan: ChatPlan) -> Document:
    """How many rooms are in each state, and what they hold."""
    is_out = Q(state__in=ChatRoom.OUT)
    rooms = plan.rooms.order_by()
    by_state = dict.fromkeys(ChatRoom.State.values, 0)
    by_state |= dict(rooms.values_list("state").annotate(rooms=Count("pk")))
    comparisons = {name: 0 for name in ChatRoom.Comparison.values if name}
    compared = rooms.exclude(comparison="").values_list("comparison").annotate(rooms=Count("pk"))
    comparisons |= dict(compared)
    sums = rooms.aggregate(
        total=Count("pk"),
        messages=Sum("message_count", filter=~is_out),
        written=Sum("written"),
        files=Sum("file_count", filter=~is_out),
        file_bytes=Sum("file_bytes", filter=~is_out),
        differences=Sum("difference_count"),
    )
    return {
        "rooms": {"total": sums.pop("total"), **by_state},
        "comparison": comparisons,
        **{name: count or 0 for name, count in sums.items()},
        "errors": plan.error_count,
        "warnings": plan.warning_count,
        "notes": plan.note_count,
    }


def _questions(plan: ChatPlan) -> Document:
    """What people of the rooms answered (R124)."""
    answer = ChatQuestion.Answer
    return plan.questions.aggregate(
        asked=Count("pk"),
        complete=Count("pk", filter=Q(answer=answer.COMPLETE)),
        missing=Count("pk", filter=Q(answer=answer.MISSING)),
    )


# --- what is listed ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """One of the lists: what it and its columns are called, and its rows, of a plan by its key."""

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Callable[[int], Iterator[Row]]


def _rooms(plan: int) -> Iterator[Row]:
    for room in ChatRoom.objects.filter(plan=plan).order_by("position").iterator(_CHUNK):
        yield {
            "room": room.name,
            "id": room.room_id,
            "category": room.category,
            "becomes": room.becomes,
            "becomes_category": room.becomes_category,
            "state": room.state,
            "on_conflict": room.on_conflict,
            "decided_by": room.decided_by,
            "reason": room.reason,
            "messages": room.message_count,
            "written": room.written,
            "files": room.file_count,
            "file_bytes": room.file_bytes,
            "first": room.first_at,
            "last": room.last_at,
            "errors": room.error_count,
            "warnings": room.warning_count,
            "comparison": room.comparison,
            "compared": room.compared_at,
            "differences": room.difference_count,
            "finished": room.finished_at,
            "error_code": room.error_code,
            "error": str(room.error_detail),
        }


def _findings(plan: int) -> Iterator[Row]:
    found = ChatFinding.objects.filter(plan=plan).select_related("room").order_by("room__position", "pk")
    for finding in found.iterator(_CHUNK):
        yield {
            "room": finding.room.name if finding.room else "",
            "id": finding.room.room_id if finding.room else "",
            "severity": finding.severity,
            "code": finding.code,
            "count": finding.count,
            "sentence": str(finding.sentence),
        }


def _differences(plan: int) -> Iterator[Row]:
    found = ChatDifference.objects.filter(room__plan=plan).select_related("room").order_by("room__position", "pk")
    for difference in found.iterator(_CHUNK):
        yield {
            "room": difference.room.name,
            "id": difference.room.room_id,
            "code": difference.code,
            "message": difference.n,
            "sentence": str(difference.sentence),
            "do": str(difference.do),
            "accepted": difference.accepted_at,
            "accepted_by": difference.accepted_by,
            "reason": difference.reason,
        }


LISTS = (
    Listed(
        "rooms",
        _("Rooms"),
        {
            "room": _("Room"),
            "id": _("ID"),
            "category": _("Category"),
            "becomes": _("Becomes"),
            "becomes_category": _("In the category"),
            "state": _("State"),
            "on_conflict": _("Answer to a conflict"),
            "decided_by": _("Left out by"),
            "reason": _("Why"),
            "messages": _("Messages"),
            "written": _("Written"),
            "files": _("Files"),
            "file_bytes": _("Octets of files"),
            "first": _("First message"),
            "last": _("Last message"),
            "errors": _("Errors"),
            "warnings": _("Warnings"),
            "comparison": _("Compared"),
            "compared": _("Compared on"),
            "differences": _("Differences"),
            "finished": _("Ended"),
            "error_code": _("Code"),
            "error": _("What went wrong"),
        },
        _rooms,
    ),
    Listed(
        "findings",
        _("Findings"),
        {
            "room": _("Room"),
            "id": _("ID"),
            "severity": _("Severity"),
            "code": _("Code"),
            "count": _("Count"),
            "sentence": _("What was found"),
        },
        _findings,
    ),
    Listed(
        "differences",
        _("Differences"),
        {
            "room": _("Room"),
            "id": _("ID"),
            "code": _("Code"),
            "message": _("Message number"),
            "sentence": _("What differs"),
            "do": _("What to do"),
            "accepted": _("Accepted"),
            "accepted_by": _("Accepted by"),
            "reason": _("Why"),
        },
        _differences,
    ),
)
"""What grows with the rooms: one row for each room, each finding and each difference."""
