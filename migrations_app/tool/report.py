"""What a use of the tool reports: a row for each meeting, as CSV for machines and as a page for people (R38)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.template.loader import get_template
from django.utils import timezone

from migrations_app.failures import describe, entry_of, happened
from migrations_app.models import MeetingResult, Update
from migrations_app.rewriting.spans import unpack
from migrations_app.runs.history import plain_block
from migrations_app.runs.outcomes import Outcome
from migrations_app.tool.migration import Migration
from migrations_app.tool.sending import Sending
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines
from tenants_app.sentences import one_after_the_other, sentence


@dataclass(frozen=True, slots=True)
class Row:
    """What the report says of one meeting."""

    file: str
    result: MeetingResult
    recipients: int
    told: str
    """How its attendees learn of the change, in a few words; empty where there is nothing to tell."""
    before: str
    """The plain text of the block that was replaced; empty where nothing was."""
    after: str
    loses_dial_in: bool

    @property
    def what(self) -> str:
        """What happened."""
        if self.result.code:
            return happened(self.result.code, self.result.detail)
        return one_after_the_other(sentence("The block was replaced."), self.result.detail)

    @property
    def to_do(self) -> str:
        """What to do about it; empty where there is nothing."""
        return entry_of(self.result.code).do if self.result.code else ""


FIELDS: Mapping[str, Callable[[Row], Any]] = {
    "File": lambda row: row.file,
    "MeetingUid": lambda row: row.result.uid,
    "Subject": lambda row: row.result.subject,
    "StartDate": lambda row: row.result.starts_at,
    "Attendees": lambda row: row.result.attendee_count,
    "Outcome": lambda row: row.result.outcome,
    "Reason": lambda row: row.result.code,
    "Message": lambda row: describe(row.result.code, row.result.detail) if row.result.code else row.result.detail,
    "LosesDialIn": lambda row: row.loses_dial_in,
    "Recipients": lambda row: row.recipients,
    "Told": lambda row: row.told,
    "MeetingService": lambda row: row.result.meeting_service,
    "JoinUrlBefore": lambda row: row.result.join_url_before,
    "JoinUrlAfter": lambda row: row.result.join_url_after,
    "BlockBefore": lambda row: row.before,
    "BlockAfter": lambda row: row.after,
}
"""The columns of the CSV file; those that a run's preview has too are called the same."""


def rows_of(
    migration: Migration, sending: Sending | None = None, first: Callable[[Outcome], bool] = lambda outcome: False
) -> Iterator[Row]:
    """A row for each meeting, in the order of their start, but for those that come ``first``, and before these those
    that lose their dial-in part. ``sending`` is what was sent, if anything was asked for."""
    without = migration.without_dial_in
    for outcome in sorted(migration.done, key=lambda each: (each.result.uid not in without, not first(each))):
        result = outcome.result
        spans = unpack(bytes(result.spans)) if result.spans else ()
        yield Row(
            file=migration.mailbox.files[result.uid],
            result=result,
            recipients=outcome.recipient_count,
            told=_told(outcome, sending),
            before=plain_block((span, span.before) for span in spans),
            after=plain_block((span, span.after) for span in spans),
            loses_dial_in=result.uid in migration.without_dial_in,
        )


def _told(outcome: Outcome, sending: Sending | None) -> str:
    if not outcome.is_change or not outcome.recipient_count:
        return ""
    if sending is None:
        return sentence("by you, with the .eml file")
    earlier = sending.told_already.get(outcome.result.uid)
    if earlier is None:
        return sentence("by MMS, from its outbox")
    run = earlier.result.run
    if earlier.state == Update.State.FAILED:
        return sentence(
            "once the failed message of the run %(run)s is sent again, on its page", run=str(run.correlation_id)
        )
    return sentence(
        "already, by the run %(run)s of %(day)s", run=str(run.correlation_id), day=f"{run.created:%Y-%m-%d}"
    )


def as_csv(rows: Iterator[Row]) -> Iterator[bytes]:
    """The report as a CSV file in UTF-8 that spreadsheets read."""
    yield f"{BYTE_ORDER_MARK}{lines([list(FIELDS)])}".encode()
    for row in rows:
        yield lines([[read(row) for read in FIELDS.values()]]).encode("utf-8", "replace")


def as_page(migration: Migration, rows: Iterator[Row], sending: Sending | None = None) -> Iterator[bytes]:
    """The report as one HTML page that needs no other file, and runs nothing."""
    context = {
        "migration": migration,
        "user": migration.user,
        "tenant": migration.user.tenant,
        "counts": migration.counts(),
        "sending": sending,
        "now": timezone.now(),
    }
    head, rest = get_template("tool/report.html").render(context).split("<!-- meetings -->")
    yield head.encode("utf-8", "replace")
    template = get_template("tool/report_meeting.html")
    for row in rows:
        yield template.render({"row": row}).encode("utf-8", "replace")
    yield rest.encode("utf-8", "replace")
