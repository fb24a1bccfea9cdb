"""The whole story of one meeting: what it said, what it says, who was told when, what failed, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from migrations_app.badges import STORY
from migrations_app.calendars import itip, people
from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import Failure
from migrations_app.invitations.link_owners import Owners
from migrations_app.mailboxes.base import AsOf, Listed
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import IntendedWrite, MeetingResult, Run, Update
from migrations_app.rewriting.comparison import compare
from migrations_app.rewriting.components import components_of
from migrations_app.rewriting.spans import Span, unpack
from tenants_app.models import ConferenceId, ConferencingUser

MOST_RUNS = 60
"""Runs of the user that are told of, the newest."""
_TEXTS = ("DESCRIPTION", "STYLED-DESCRIPTION", "X-ALT-DESC")


class Kind(StrEnum):
    """What an entry of the story is about."""

    CHANGED = "changed"
    LEFT = "left"
    FAILED = "failed"
    TOLD = "told"
    NOT_TOLD = "not told"
    TO_BE_TOLD = "to be told"
    WITHDRAWN = "withdrawn"
    NOBODY = "nobody"
    ASKED = "asked"
    RUN_FAILED = "run failed"
    RUN_AHEAD = "run ahead"
    UNSETTLED = "unsettled"


@dataclass(slots=True)
class Entry:
    """One thing that happened, or that is about to. ``result`` is what the run made of this meeting, where it did."""

    kind: Kind
    at: datetime | None
    """None where it is about to happen."""
    run: Run
    result: MeetingResult | None = None
    update: Update | None = None

    @property
    def tone(self) -> str:
        return STORY[self.kind][0]

    @property
    def icon(self) -> str:
        return STORY[self.kind][1]

    @property
    def told(self) -> int:
        """How many recipients of the message have it, as far as the mail server said."""
        if self.update is None:
            return 0
        if self.kind == Kind.TOLD:
            return self.update.recipient_count
        left = self.update.recipients_left
        return 0 if left is None else max(self.update.recipient_count - len(left), 0)


class Standing(StrEnum):
    """What an attendee knows of the latest change."""

    TOLD = "told"
    NOT_TOLD = "not told"
    IN_DOUBT = "in doubt"
    TO_BE_TOLD = "to be told"


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody who is invited now. ``standing`` is None where no change was ever to be told, or that is not known."""

    name: str
    address: str
    standing: Standing | None = None


@dataclass(slots=True)
class Now:
    """The meeting as it stands in the mailbox."""

    as_of: AsOf | None = None
    """How old what MMS lists of the mailbox is; None where MMS keeps the mailbox. The text itself was read just now."""
    failure: Failure | None = None
    """Why it could not be read."""
    meeting: Listed | None = None
    """None where it is not there, or could not be read."""
    block: Sequence[str] = ()
    """The lines of the meeting block that people see; empty where there is none."""
    attendees: list[Attendee] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """One meeting of one user, over all runs that history still has."""

    user: ConferencingUser
    uid: str
    now: Now
    entries: list[Entry]
    before: Sequence[str] = ()
    """The lines of the block before MMS first changed it; empty where it never did."""
    is_cut: bool = False
    """Whether the user has more runs than are told of."""
    conference_ids: Sequence[str] = ()

    @property
    def _latest(self) -> MeetingResult | None:
        return next((entry.result for entry in reversed(self.entries) if entry.result), None)

    @property
    def subject(self) -> str:
        if self.now.meeting and self.now.meeting.subject:
            return self.now.meeting.subject
        return self._latest.subject if self._latest else ""

    @property
    def starts_at(self) -> datetime | None:
        if self.now.meeting:
            return self.now.meeting.starts_at
        return self._latest.starts_at if self._latest else None

    def __bool__(self) -> bool:
        """Whether anything is known of such a meeting, or could be if its mailbox answered."""
        return bool(self._latest or self.now.meeting or self.now.failure)


def story_of(user: ConferencingUser, uid: str) -> Story:
    """Everything that MMS knows of the meeting; reads its text from the mailbox and writes nothing.

    ``user.tenant``, ``user.bridge`` and ``user.mailbox`` should be loaded already.
    """
    runs = list(Run.objects.filter(user=user).order_by("-created", "-pk")[: MOST_RUNS + 1])
    told_of = runs[:MOST_RUNS]
    results = MeetingResult.objects.filter(run__in=[run.pk for run in told_of], uid=uid).select_related("update")
    by_run = {result.run_id: result for result in results}
    intended = set(IntendedWrite.objects.filter(user=user, uid=uid).values_list("run", flat=True))
    entries = [
        entry
        for run in reversed(told_of)
        for entry in _entries(run, by_run.get(run.pk), is_intended=run.pk in intended)
    ]
    entries.sort(key=lambda entry: (entry.at is None, entry.at or timezone.now()))
    changes = [entry.result for entry in entries if entry.kind == Kind.CHANGED and entry.result]
    updates = [entry.update for entry in entries if entry.update and entry.kind not in {Kind.WITHDRAWN, Kind.ASKED}]
    ids = ConferenceId.objects.filter(Q(meeting_uid=uid) | Q(meeting_uid=""), user=user).order_by("-meeting_uid")
    return Story(
        user,
        uid,
        _now(user, uid, updates[-1] if updates else None),
        entries,
        before=_before(changes),
        is_cut=len(runs) > MOST_RUNS,
        conference_ids=list(ids.values_list("digits", flat=True)[:1]),
    )


def _entries(run: Run, result: MeetingResult | None, *, is_intended: bool) -> Iterator[Entry]:
    """What a run has to tell of the meeting."""
    if is_intended:
        yield Entry(Kind.UNSETTLED, run.started_at, run)
    if result is None:
        if run.state == Run.State.FAILED:
            yield Entry(Kind.RUN_FAILED, run.finished_at or run.modified, run)
        elif run.state != Run.State.SUCCEEDED:
            yield Entry(Kind.RUN_AHEAD, None, run)
        return
    result.run = run
    update: Update | None = getattr(result, "update", None)
    is_change = result.outcome == MeetingResult.Outcome.SUCCEEDED
    at = update.queued_at if update and is_change else run.finished_at or run.modified
    yield Entry(_OUTCOMES[result.outcome], at, run, result)
    if update:
        update.result = result
        # The message about a meeting that was left asks its organizer to look at it.
        kind = Kind.ASKED if update.asks_organizer else _MESSAGES[Update.State(update.state)]
        yield Entry(kind, _moment_of(update), run, result, update)
    elif is_change:
        yield Entry(Kind.NOBODY, at, run, result)


_OUTCOMES: Mapping[str, Kind] = {
    MeetingResult.Outcome.SUCCEEDED: Kind.CHANGED,
    MeetingResult.Outcome.SKIPPED: Kind.LEFT,
    MeetingResult.Outcome.FAILED: Kind.FAILED,
}
_MESSAGES: Mapping[Update.State, Kind] = {
    Update.State.QUEUED: Kind.TO_BE_TOLD,
    Update.State.SENT: Kind.TOLD,
    Update.State.BY_SERVER: Kind.TOLD,
    Update.State.FAILED: Kind.NOT_TOLD,
    Update.State.SUPERSEDED: Kind.WITHDRAWN,
}


def _moment_of(update: Update) -> datetime | None:
    if update.state == Update.State.QUEUED:
        return None
    return max(update.queued_at, update.sent_at or update.due_at)


def _before(changes: Sequence[MeetingResult]) -> Sequence[str]:
    for result in changes:
        if result.spans:
            try:
                return shown_lines(unpack(bytes(result.spans)), is_after=False)
            except ValueError:  # the record is damaged: the next one may tell more
                continue
    return ()


def shown_lines(spans: Iterable[Span], *, is_after: bool) -> list[str]:
    """The lines of a block that people see, of one side: of its plain text, and only without one of its HTML."""
    spans = list(spans)
    found = next((name for name in _TEXTS if any(span.property == name for span in spans)), "")
    rows = [row for change in compare(each for each in spans if each.property == found) for row in change.rows]
    return [line for line in (row.after if is_after else row.before for row in rows) if line is not None]


def _now(user: ConferencingUser, uid: str, update: Update | None) -> Now:
    now = Now()
    try:
        mailbox = mailbox_of(user)
        now.as_of = mailbox.as_of
        stored = mailbox.read([uid]).get(uid)
    except Failure as failure:
        now.failure = failure
        return now
    if stored is None:
        return now
    now.meeting = stored.listed
    try:
        now.block = _block(user, uid, stored.body)
        now.attendees = _attendees(user, stored.body, update)
    except UnreadableCalendar as error:
        now.failure = Failure("unreadable-calendar-object", str(error))
    return now


def _block(user: ConferencingUser, uid: str, body: bytes) -> Sequence[str]:
    """The lines of the block; of a series that of its first component which has one."""
    for component in components_of(body, parse(body), timezone.now(), Owners(user).own_of(uid).place):
        spans = []
        for description in component.descriptions_with_block:
            found = description.sight.found
            cut = description.value[found.cut.start : found.cut.end] if found else b""
            text = cut.decode("utf-8", "surrogateescape")
            spans.append(Span("", description.line.name.decode("ascii"), text, text))
        if spans:
            return shown_lines(spans, is_after=True)
    return ()


def _attendees(user: ConferencingUser, body: bytes, update: Update | None) -> list[Attendee]:
    """Who is invited now, but for the organizer, and what they know of the latest change."""
    invited = [each for each in people.attendees(body) if each.address.lower() not in user.addresses]
    reached = _folded(each.address for each in itip.read(body, user.addresses, now=timezone.now()).recipients)
    told = {address: _standing(address, update) for address in reached}
    return [Attendee(each.name, each.address, told.get(each.address.lower())) for each in invited]


def _standing(address: str, update: Update | None) -> Standing | None:
    if update is None:
        return None
    in_doubt, left = _folded(update.recipients_in_doubt), update.recipients_left
    if address in in_doubt and update.state == Update.State.FAILED:
        return Standing.IN_DOUBT
    is_left = left is None or address in _folded(left)
    if update.state == Update.State.QUEUED:
        return Standing.TO_BE_TOLD if is_left else Standing.TOLD
    if update.state == Update.State.FAILED:
        return Standing.NOT_TOLD if is_left else Standing.TOLD
    return Standing.TOLD


def _folded(addresses: Iterable[str]) -> set[str]:
    return {address.lower() for address in addresses}
