"""What is known of past runs, under the names that commands print and files carry (R27)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from migrations_app.calendars.content_lines import unescaped
from migrations_app.models import LeftMeeting, MeetingResult, Run
from migrations_app.rewriting.spans import Span, unpack

RUN_FIELDS: Mapping[str, Callable[[Run], Any]] = {
    "CorrelationId": lambda run: str(run.correlation_id),
    "UserId": lambda run: str(run.user.user_id),
    "UserPrincipalName": lambda run: run.user.upn,
    "State": lambda run: run.state,
    "MigrationType": lambda run: run.migration_type,
    "Reasons": lambda run: [reason["sentence"] for reason in run.reasons],
    "CreateDate": lambda run: run.created,
    "ModifiedDate": lambda run: run.modified,
    "StartDate": lambda run: run.started_at,
    "FinishDate": lambda run: run.finished_at,
    "NextTryDate": lambda run: run.due_at if run.state == Run.State.PENDING else None,
    "TotalMeeting": lambda run: run.total_meetings,
    "SucceededMeeting": lambda run: run.succeeded_meetings,
    "SkippedMeeting": lambda run: run.skipped_meetings,
    "FailedMeeting": lambda run: run.failed_meetings,
    "LeftMeeting": lambda run: run.left_meetings,
    "InvitesUpdate": lambda run: run.invites_update,
    "RetryCount": lambda run: run.retry_count,
    "LastErrorMessage": lambda run: run.last_error_message,
}
"""The fields of a run's record, and how each is read."""

MEETING_FIELDS: Mapping[str, Callable[[MeetingResult], Any]] = {
    "CorrelationId": lambda result: str(result.run.correlation_id),
    "MeetingUid": lambda result: result.uid,
    "Subject": lambda result: result.subject,
    "StartDate": lambda result: result.starts_at,
    "Attendees": lambda result: result.attendee_count,
    "Outcome": lambda result: result.outcome,
    "Reason": lambda result: result.code,
    "Message": lambda result: result.reason,
    "MeetingService": lambda result: result.meeting_service,
    "JoinUrlBefore": lambda result: result.join_url_before,
    "JoinUrlAfter": lambda result: result.join_url_after,
}
"""The fields of the record of one meeting of a run, and how each is read."""

LEFT_FIELDS: Mapping[str, Callable[[LeftMeeting], Any]] = {
    "UserPrincipalName": lambda row: row.user.upn,
    "MeetingUid": lambda row: row.uid,
    "Subject": lambda row: row.subject,
    "StartDate": lambda row: row.starts_at,
    "Attendees": lambda row: row.attendee_count,
    "Reason": lambda row: row.code,
    "Message": lambda row: row.reason,
    "CorrelationId": lambda row: str(row.run.correlation_id) if row.run else "",
}
"""The fields of a meeting that needs a person, and how each is read. ``row.user`` and ``row.run`` should be loaded."""

LEFT_FIELDS_OF_FILES: Mapping[str, Callable[[LeftMeeting], Any]] = {
    "Organizer": lambda row: row.user.display_name,
    "State": lambda row: row.state,
    "By": lambda row: row.by,
    "At": lambda row: row.at,
    "Note": lambda row: row.note,
}
"""What files say of it beside these."""

_TEXTS = {"DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION"}


def run_record(run: Run) -> dict[str, Any]:
    """The run by the names of its fields. ``run.user`` should be loaded already."""
    return {name: read(run) for name, read in RUN_FIELDS.items()}


def meeting_record(result: MeetingResult) -> dict[str, Any]:
    """What a run did with one meeting, by the names of the fields. ``result.run`` should be loaded already."""
    return {name: read(result) for name, read in MEETING_FIELDS.items()}


def left_record(row: LeftMeeting) -> dict[str, Any]:
    """A meeting that needs a person, by the names of the fields."""
    return {name: read(row) for name, read in LEFT_FIELDS.items()}


def block_record(result: MeetingResult) -> dict[str, list[dict[str, str]]]:
    """The block before and after, per occurrence and property; raises ``ValueError`` where the record is damaged."""
    spans = unpack(bytes(result.spans)) if result.spans else ()
    return {
        "BlockBefore": _texts((span, span.before) for span in spans),
        "BlockAfter": _texts((span, span.after) for span in spans),
    }


def plain_block(pieces: Iterable[tuple[Span, str]]) -> str:
    """The plain text of the block in what was replaced; of a series the different ones, one below the other."""
    texts = (_readable(span.property, text) for span, text in pieces if span.property == "DESCRIPTION")
    return "\n\n".join(dict.fromkeys(texts))


def _texts(pieces: Iterable[tuple[Span, str]]) -> list[dict[str, str]]:
    return [
        {"RecurrenceId": span.recurrence_id, "Property": span.property, "Text": _readable(span.property, text)}
        for span, text in pieces
    ]


def _readable(name: str, text: str) -> str:
    if name in _TEXTS:
        text = unescaped(text.encode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # octets that are not UTF-8
