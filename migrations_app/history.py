"""What is known of past runs: the blocks that a run replaced, and how long all of it is kept (R27, R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef
from django_q.models import Task

from migrations_app import user_imports
from migrations_app.calendars.content_lines import unescaped
from migrations_app.models import MeetingResult, Run, Update, UserImport
from migrations_app.rewriting.spans import Span, unpack

_RUNS_AT_ONCE = 100
_TEXTS = {"DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION"}


def block_record(result: MeetingResult) -> dict[str, list[dict[str, str]]]:
    """The block before and after, per occurrence and property; raises ``ValueError`` where the record is damaged."""
    spans = unpack(bytes(result.spans)) if result.spans else ()
    return {
        "BlockBefore": _texts((span, span.before) for span in spans),
        "BlockAfter": _texts((span, span.after) for span in spans),
    }


def prune(before: datetime) -> Counter[str]:
    """Delete runs that ended ``before`` this, with their results and updates; how many rows of which kind (R30).

    Imports of users go as well, applied or not. Kept are each user's latest run, which says what state they are in
    (R29), runs with a message still to be sent, and the audit. Deletes in small transactions, so it may be stopped at
    any time and never holds up the queue.
    """
    waiting = Update.objects.filter(result__run=OuterRef("pk"), state=Update.State.QUEUED)
    ended = Run.objects.filter(
        state__in=[Run.State.SUCCEEDED, Run.State.FAILED], is_latest=False, finished_at__lt=before
    ).exclude(Exists(waiting))
    deleted: Counter[str] = Counter()
    while pks := list(ended.order_by("finished_at").values_list("pk", flat=True)[:_RUNS_AT_ONCE]):
        _, counts = Run.objects.filter(pk__in=pks).delete()
        deleted.update(counts)
    imports, _ = UserImport.objects.filter(created__lt=before).exclude(state__in=user_imports.WAITING).delete()
    tasks, _ = Task.objects.filter(stopped__lt=before).delete()
    return Counter(
        runs=deleted["migrations_app.Run"],
        meetings=deleted["migrations_app.MeetingResult"],
        messages=deleted["migrations_app.Update"],
        imports=imports,
        wake_ups=tasks,
    )


def _texts(pieces: Iterable[tuple[Span, str]]) -> list[dict[str, str]]:
    return [
        {"RecurrenceId": span.recurrence_id, "Property": span.property, "Text": _readable(span.property, text)}
        for span, text in pieces
    ]


def _readable(name: str, text: str) -> str:
    if name in _TEXTS:
        text = unescaped(text.encode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # octets that are not UTF-8
