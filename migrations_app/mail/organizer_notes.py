"""Asking organizers to look at meetings that were left for a person: one message for each, in their language.

It goes the way of all messages: a row of the outbox, committed with the request and delivered once. The row is that of
the result that left the meeting, so that the same finding is never mailed twice, and a run that changes the meeting
meanwhile takes the message's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.appointments import Appointment
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.people import Person
from migrations_app.failures import LEFT_FOR_A_PERSON
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.imip import message_id
from migrations_app.mail.letters import Letter
from migrations_app.mail.servers import Service
from migrations_app.mail.when_and_where import when_and_where
from migrations_app.mailboxes.base import Stored
from migrations_app.models import LeftMeeting, MeetingResult, Update
from migrations_app.monitoring import clock
from migrations_app.rewriting.labels import LABELS, language_of
from migrations_app.runs.left_actions import MARKED, locked, marked
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched, insert, update
from tenants_app.models import ConferencingUser, Tenant

State = LeftMeeting.State


@dataclass(frozen=True, slots=True)
class Assigned:
    """What came of assigning meetings to their organizers, in numbers of meetings."""

    mailed: int = 0
    told_before: int = 0
    """Assigned too; the organizer was mailed about the same finding before."""
    messages: int = 0
    """Not assigned: there is nothing to correct in them, only their attendees are to be told."""
    out_of_history: int = 0
    """Not assigned: the run that left them is not in the history any more."""
    changed: int = 0
    """Not assigned: the run has changed them, and the mailbox's server told their attendees; its undo comes first."""


@transaction.atomic
def assign(tenant: Tenant, pks: Iterable[int], actor: Actor) -> Assigned:
    """Assign these of the tenant's open meetings to their organizers, each of whom is mailed once."""
    rows = [row for row in locked(tenant, pks) if row.state == State.OPEN]
    meetings = [row for row in rows if row.message_id is None]
    results = _results(meetings)
    by_server = Update.objects.filter(pk__in=list(results.values()), state=Update.State.BY_SERVER)
    changed = set(by_server.values_list("pk", flat=True))
    known = [row for row in meetings if (row.run_id, row.uid) in results]
    found = [row for row in known if results[row.run_id, row.uid] not in changed]
    keys = {row.pk: results[row.run_id, row.uid] for row in found}
    earlier = Update.objects.filter(pk__in=list(keys.values()))
    there = set(earlier.values_list("pk", flat=True))
    now = clock.now()
    new = [key for key in keys.values() if key not in there]
    insert([Update(result_id=key, tenant=tenant, recipient_count=1, queued_at=now, due_at=now) for key in new])
    mailed = len(new) + _queue_again(earlier)
    for row in found:
        row.request_id = keys[row.pk]
    states = [(row, *marked(row, actor, State.ASSIGNED)) for row in found]
    record(entry(tenant, actor, "assign meeting to organizer", row.user.upn, old, new) for row, old, new in states)
    update(found, [*MARKED, "request"])
    if mailed:
        wake_cluster()
    return Assigned(
        mailed, len(found) - mailed, len(rows) - len(meetings), len(meetings) - len(known), len(known) - len(found)
    )


def _queue_again(earlier: QuerySet[Update]) -> int:
    """Queue those of the messages that have not reached their organizer; how many there are."""
    failed = Q(state=Update.State.FAILED) & ~Q(error_code=Update.IN_DOUBT)
    unsent = earlier.filter(failed | Q(state=Update.State.SUPERSEDED))
    return unsent.update(
        state=Update.State.QUEUED, due_at=clock.now(), attempts=0, recipients_refused={}, error_code="", error_detail=""
    )


def is_wanted(update: Update) -> bool:
    """Whether the meeting is still with its organizer: no run has found it in order since, and no person."""
    return LeftMeeting.objects.filter(request=update, state=State.ASSIGNED).exists()


def _results(rows: Sequence[LeftMeeting]) -> Mapping[tuple[int | None, str], int]:
    """The results (keys) by which the meetings were left, by run and UID."""
    found: dict[tuple[int | None, str], int] = {}
    for some in batched(rows):
        of = MeetingResult.objects.filter(run__in={row.run_id for row in some}, uid__in={row.uid for row in some})
        found |= {(run, uid): pk for run, uid, pk in of.values_list("run", "uid", "pk")}
    return found


def compose(update: Update, user: ConferencingUser, found: Stored, service: Service) -> ComposedMessage:
    """The message to the organizer."""
    result, tenant = update.result, user.tenant
    language = language_of(user.language)
    labels = LABELS[language]
    subject = result.subject or labels["note_no_subject"]
    facts = when_and_where(_appointments(result, user, found), language)
    told = [f"{labels['note_meeting']}: {subject}"]
    told += [f"{label}: {value}" for label, value in facts if label == labels["when"]]
    text = "\n\n".join(
        [
            labels["note_intro"],
            "\n".join(told),
            _what_to_do(result.code, labels),
            labels["note_end"].format(tenant=tenant),
        ]
    )
    letter = Letter(
        sender=Person(tenant.name, service.address),
        to=Person(user.display_name, itip.ascii_address(user.upn)),
        subject=labels["note_subject"].format(subject=subject),
        text=text,
        language=language,
        message_id=message_id(result.run.correlation_id, result.uid, 0, tenant.domain, "organizer"),
        date=update.queued_at,
    )
    return letter.compose()


def _what_to_do(code: str, labels: Mapping[str, str]) -> str:
    known = (*LEFT_FOR_A_PERSON, "unreadable-calendar-object")
    return labels[f"note_{code}" if code in known else "note_failed"]


def _appointments(result: MeetingResult, user: ConferencingUser, found: Stored) -> Sequence[Appointment]:
    """When the meeting takes place: by its own time zone where that can be read."""
    try:
        requests = itip.read(found.body, user.addresses, now=timezone.now()).requests
    except UnreadableCalendar:
        requests = []
    if told := [each for request in requests[:1] for each in request.appointments]:
        return told
    if result.starts_at is None:
        return ()
    start = result.starts_at.astimezone(UTC).replace(tzinfo=None)
    return (Appointment(start, start, is_day=False, zone="UTC", repetition=None, location=""),)
