"""Which conference ID a meeting has, and which meeting a conference ID leads to (R43, R46)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from migrations_app.calendars.dates import Occurrence
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import occurrences
from migrations_app.dial_in_directory.rooms import Room, is_at, room_asked_for, room_of
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import OnlineMeeting, Run
from migrations_app.targets import LINK, UNDO
from tenants_app.bulk import batched
from tenants_app.models import ConferenceId, ConferencingUser, FormerConferenceId, Tenant
from tenants_app.validators import is_conference_id

NOTICE = timedelta(minutes=15)
"""How long before it begins a meeting can be reached by an ID that it shares with others."""
LOOKED_AHEAD = timedelta(days=31)
"""How far ahead a series may begin whose first occurrence was moved to now."""

FOUND = "Successfully retrieved conference mapping"
UNKNOWN = "No conference mapping was found"
NOTHING_ON = "No conference mapping was found: no meeting with this ID is going on or begins within 15 minutes"
TWICE = "No conference mapping was found: two bridges have this ID, so send the dialled number too, as number=+…"

_MOST_OF_A_NAME = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A conference ID with its room, or why there is none."""

    message: str
    digits: str = ""
    room: Room | None = None


def by_name(tenant: Tenant, address: str) -> Answer:
    """The conference ID of the meeting in a room: its own, or its organizer's where all of theirs share one."""
    room = room_asked_for(address)
    if room is None:
        return Answer(UNKNOWN)
    meetings = OnlineMeeting.objects.filter(tenant=tenant, room=room.name, service=LINK).select_related("user")
    for meeting in meetings.order_by("-created", "-pk")[:_MOST_OF_A_NAME]:
        if is_at(room, meeting.join_url) and (digits := _id_of(meeting)):
            return Answer(FOUND, digits, room)
    return Answer(UNKNOWN)


def by_id(tenant: Tenant, digits: str, number: str, now: datetime) -> Answer:
    """The room that a conference ID leads to at a moment.

    An ID means one thing on its bridge only; ``number``, if any, is the dialled one and tells which bridge it is.
    An ID of another tenant, or of meetings hosted elsewhere, is as unknown as one that nobody has. Raises ``Failure``
    where the organizer's mailbox does not answer.
    """
    if not is_conference_id(digits):
        return Answer(UNKNOWN)
    rows = [*_with_id(ConferenceId.objects.all(), tenant, digits, number)]
    if not rows:  # of whoever had it before an undo, whose invitations print it again until a run takes it out
        was_undone = Exists(Run.objects.filter(user=OuterRef("user"), migration_type=UNDO))
        rows = [*_with_id(FormerConferenceId.objects.filter(was_undone, taken_out_at=None), tenant, digits, number)]
    answers = {_led_to(row, now) for row in rows if _can_be_called(row.user)} - {Answer(UNKNOWN, digits)}
    if len(answers) > 1:
        return Answer(TWICE, digits)
    return answers.pop() if answers else Answer(UNKNOWN, digits)


def _with_id(ids: QuerySet[Any], tenant: Tenant, digits: str, number: str) -> QuerySet[Any]:
    rows = ids.filter(bridge__tenant=tenant, digits=digits).select_related("user")
    return rows.filter(bridge__numbers__number=number) if number else rows


def _can_be_called(user: ConferencingUser) -> bool:
    """Whether the user's invitations have a phone part."""
    return user.audio_conferencing_license and user.audio_conferencing_enabled


def _id_of(meeting: OnlineMeeting) -> str:
    """The ID that the meeting's invitation prints; "" where it has no phone part."""
    user = meeting.user
    if not _can_be_called(user):
        return ""
    rows = ConferenceId.objects.filter(user=user, bridge=user.bridge_id, meeting_uid__in=["", meeting.uid])
    ids = dict(rows.values_list("meeting_uid", "digits"))
    own, shared = ids.get(meeting.uid, ""), ids.get("", "")
    is_public = user.conference_id_type == ConferencingUser.ConferenceIdType.PUBLIC
    return shared or own if is_public else own or shared


def _led_to(row: ConferenceId | FormerConferenceId, now: datetime) -> Answer:
    links = OnlineMeeting.objects.filter(user=row.user, service=LINK)
    if row.meeting_uid:
        meetings = list(links.filter(uid=row.meeting_uid).order_by("created", "pk"))
        if not meetings:
            return Answer(UNKNOWN, row.digits)
        has_several = any(meeting.recurrence_id for meeting in meetings)
        on = _on(row.user, [row.meeting_uid], now) if has_several else None
        return _found(row, _meant(meetings, on[1].recurrence_id if on else ""))
    if not links.exists():
        return Answer(UNKNOWN, row.digits)
    on = _on(row.user, _uids_of_links(row.user, now), now)
    if on is None:
        return Answer(NOTHING_ON, row.digits)
    uid, occurrence = on
    return _found(row, _meant(list(links.filter(uid=uid).order_by("created", "pk")), occurrence.recurrence_id))


def _found(row: ConferenceId | FormerConferenceId, meeting: OnlineMeeting) -> Answer:
    return Answer(FOUND, row.digits, room_of(meeting.join_url))


def _meant(meetings: Sequence[OnlineMeeting], recurrence_id: str) -> OnlineMeeting:
    """The newest of a meeting's rooms, oldest first: the occurrence's own, the series', or else any."""
    own = [meeting for meeting in meetings if meeting.recurrence_id == recurrence_id]
    series = [meeting for meeting in meetings if not meeting.recurrence_id]
    return (own or series or meetings)[-1]


def _uids_of_links(user: ConferencingUser, now: datetime) -> list[str]:
    """The user's meetings that may be going on, as far as they are ``Link`` meetings."""
    listed = mailbox_of(user).list_candidates(user.addresses, now)
    near = [each.uid for each in listed if each.starts_at is not None and each.starts_at <= now + LOOKED_AHEAD]
    links = OnlineMeeting.objects.filter(user=user, service=LINK)
    return [
        uid for some in batched(near) for uid in links.filter(uid__in=some).values_list("uid", flat=True).distinct()
    ]


def _on(user: ConferencingUser, uids: Sequence[str], now: datetime) -> tuple[str, Occurrence] | None:
    """Which of the user's meetings is going on: of two the one that began last; else the one that begins next."""
    return max(_around(user, uids, now), key=lambda found: _rank(found[1], now), default=None)


def _around(user: ConferencingUser, uids: Sequence[str], now: datetime) -> Iterator[tuple[str, Occurrence]]:
    """What of these takes place now or within the notice; what cannot be read does not."""
    mailbox = mailbox_of(user)
    for some in batched(uids, 50):
        for uid, stored in mailbox.look_at(some).items():
            try:
                yield from ((uid, each) for each in occurrences(stored.body, now, now + NOTICE))
            except UnreadableCalendar:
                continue


def _rank(occurrence: Occurrence, now: datetime) -> tuple[int, float]:
    """The higher, the more likely it is what a caller means. A whole day goes behind whatever has a time."""
    start = occurrence.start.timestamp()
    if occurrence.vague:
        return 0, start
    return (2, start) if occurrence.start <= now else (1, -start)
