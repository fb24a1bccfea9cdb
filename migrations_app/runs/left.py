"""Meetings that need a person: one row for each that is left now.

Rows follow what runs find: each attempt that ends brings those of its user up to date, in the same transaction. What
failed and may cure by waiting is no row before the run has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from migrations_app.calendars.facts import read_facts
from migrations_app.failures import LEFT_FOR_A_PERSON, Failure
from migrations_app.mailboxes.base import NO_END
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import LeftMeeting, MeetingResult, Run, Update, UpdateText
from tenants_app.audit import Actor
from tenants_app.bulk import batched, insert, update
from tenants_app.models import Tenant
from tenants_app.sentences import sentence

State = LeftMeeting.State
BY_START = (F("starts_at").asc(nulls_first=True), "pk")
"""By start; what cannot be read first."""
_FOUND = ("subject", "starts_at", "last_end", "attendee_count", "code", "detail", "etag", "run")
_DONE = ("state", "note", "by", "at", "request")
_NOT_JUDGED = ("not-selected", "changed-since", "already-put-back", "number-released", "conference-id-taken")
"""Reasons to skip a meeting that say nothing of whether it needs a person."""


def settle(run: Run, *, has_ended: bool) -> None:
    """Bring the user's rows up to date with what the run has found; in the transaction that ends its attempt.

    ``has_ended``: nothing of it is tried again, so that a person must look at what failed.
    """
    known = list(LeftMeeting.objects.select_for_update().filter(user=run.user_id).order_by("pk"))
    if not (known or run.left_meetings or (has_ended and run.failed_meetings)):
        return
    is_left = Q(code__in=LEFT_FOR_A_PERSON)
    if has_ended:
        is_left |= Q(outcome=MeetingResult.Outcome.FAILED)
    left = {result.uid: result for result in run.results.filter(is_left).defer("spans")}
    facts = _facts(run, {*left, *(row.uid for row in known)})
    gone = _in_order(run, known, left)
    if run.done_meetings:  # otherwise nobody has looked what is there
        gone |= {row.pk for row in known if row.uid not in facts}
    for some in batched(gone):
        LeftMeeting.objects.filter(pk__in=some).delete()
    rows = {row.uid: row for row in known if row.message_id is None and row.pk not in gone}
    found = [_noted(rows.get(uid), result, facts[uid]) for uid, result in left.items() if uid in facts]
    for row in found:
        row.tenant_id, row.user_id = run.tenant_id, run.user_id
    update([row for row in found if row.pk], [*_FOUND, *_DONE])
    insert([row for row in found if not row.pk])


def _facts(run: Run, uids: Iterable[str]) -> dict[str, tuple[datetime, str]]:
    mailbox = mailbox_of(run.user)
    return {uid: fact for some in batched(uids) for uid, fact in mailbox.known(some).items()}


def _in_order(run: Run, known: Sequence[LeftMeeting], left: Mapping[str, MeetingResult]) -> set[int]:
    """The rows (keys) of meetings that the run has found in order, or has changed."""
    judged: dict[str, tuple[int, str, str]] = {}
    for some in batched({row.uid for row in known}):
        found = run.results.filter(uid__in=some).values_list("uid", "pk", "outcome", "code")
        judged |= {uid: (key, outcome, code) for uid, key, outcome, code in found}
    in_order = set()
    for row in known:
        key, outcome, code = judged.get(row.uid, (0, "", ""))
        if row.message_id:  # a later change is told anew; a message's key is that of the result which it tells of
            is_done = outcome == MeetingResult.Outcome.SUCCEEDED and key != row.message_id
        else:
            is_done = row.uid not in left and code not in _NOT_JUDGED and outcome not in {"", "Failed"}
        if is_done:
            in_order.add(row.pk)
    return in_order


def _noted(row: LeftMeeting | None, result: MeetingResult, fact: tuple[datetime, str]) -> LeftMeeting:
    """The row as the run leaves the meeting. What was done about it holds while reason and text are the same.

    A mailbox that tells no ETag says nothing of the text.
    """
    last_end, etag = fact
    if row is not None and not etag:
        etag = row.etag
    if row is None or row.code != result.code or (row.etag or etag) != etag:
        row = LeftMeeting(pk=row.pk if row else None, created=row.created if row else timezone.now(), uid=result.uid)
    row.subject, row.starts_at, row.attendee_count = result.subject, result.starts_at, result.attendee_count
    row.code, row.detail, row.run_id = result.code, result.detail, result.run_id
    row.last_end, row.etag = last_end, etag
    return row


# --- messages ---------------------------------------------------------------------------------------------------------


def note_undelivered(message: Update, failure: Failure) -> None:
    """A message to attendees was given up; in the transaction that says so."""
    result = message.result
    if message.asks_organizer:
        return
    run = result.run
    fact = _kept(message) or mailbox_of(run.user).known([result.uid]).get(result.uid)
    if fact is None:  # there is nothing to tell of any more
        return
    LeftMeeting.objects.update_or_create(
        message=message,
        defaults={
            "tenant_id": run.tenant_id,
            "user_id": run.user_id,
            "uid": result.uid,
            "subject": result.subject,
            "starts_at": result.starts_at,
            "last_end": fact[0],
            "attendee_count": result.attendee_count,
            "code": failure.code,
            "detail": failure.detail,
            "etag": fact[1],
            "run": run,
            "state": State.OPEN,
            "note": "",
            "by": "",
            "at": None,
        },
    )


def _kept(message: Update) -> tuple[datetime, str] | None:
    """When the meeting ends whose text was kept for its message, because it is in no mailbox of ours (R38)."""
    text = UpdateText.objects.filter(update=message).first()
    return (read_facts(bytes(text.body)).ends_at or NO_END, "") if text else None


def forget_messages(messages: QuerySet[Update]) -> None:
    """These are to be sent after all, in the caller's transaction."""
    LeftMeeting.objects.filter(message__in=messages).delete()


def accept_messages(messages: QuerySet[Update], actor: Actor) -> None:
    """A person has accepted that these do not arrive, in the caller's transaction."""
    rows = LeftMeeting.objects.filter(message__in=messages).exclude(state=State.DEALT_WITH)
    rows.update(
        state=State.DEALT_WITH, by=actor.name, at=timezone.now(), note=sentence("Accepted for taking a number off.")
    )


# --- looking ----------------------------------------------------------------------------------------------------------


def to_come(tenant: Tenant | None = None) -> QuerySet[LeftMeeting]:
    """The rows of meetings that are not over, of one tenant or of all."""
    rows = LeftMeeting.objects.filter(last_end__gt=timezone.now())
    return rows if tenant is None else rows.filter(tenant=tenant)


def unmigrated(tenant: Tenant) -> QuerySet[LeftMeeting]:
    """What a person must still see to, by start."""
    rows = to_come(tenant).filter(state__in=[State.OPEN, State.ASSIGNED])
    return rows.select_related("user", "run").order_by(*BY_START)


def count_open(tenant: Tenant | None = None) -> int:
    """How many wait for somebody to see to them; an index answers."""
    return to_come(tenant).filter(state=State.OPEN).count()


def open_by_reason(tenant: Tenant) -> list[tuple[str, int]]:
    """The codes of what waits for somebody, each with the number of meetings, most first; one question."""
    rows = to_come(tenant).filter(state=State.OPEN).order_by().values_list("code")
    return sorted(rows.annotate(rows=Count("*")), key=lambda each: (-each[1], each[0]))


def open_count_of(key: str) -> Coalesce:
    """For an annotation: how many meetings wait for somebody, where the row's key is their ``key`` (user or run)."""
    rows = to_come().filter(state=State.OPEN, **{key: OuterRef("pk")})
    counted = rows.order_by().values(key).annotate(rows=Count("*")).values("rows")
    return Coalesce(Subquery(counted), Value(0))
