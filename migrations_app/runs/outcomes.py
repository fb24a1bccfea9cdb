"""What a run does with each meeting (R20 to R25). Only reads: the worker writes it, previews and *Explain* show it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from django.utils import timezone

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import why_without_organizer
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.dial_in import known_dial_in
from migrations_app.invitations.link_owners import Colleagues
from migrations_app.mailboxes.base import NO_END, Listed, Mailbox, Stored, Write
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import MeetingResult, Run
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite, rewrite
from migrations_app.rewriting.spans import Span, pack
from migrations_app.rewriting.written_numbers import DialIn
from migrations_app.runs.selection import why_skipped
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser

log = logging.getLogger(__name__)

BATCH = 100
"""Meetings that are read, rewritten and committed together."""
OCTETS = 8_000_000
"""Their texts are no larger in sum, but for a single one."""

LEFT_AS_THEY_ARE = (
    "needs-review",
    "pasted-block",
    "too-many-attendees",
    "not-selected",
    "no-meeting-service",
    "no-conference-id",
)
"""Reasons to skip a meeting that may still show an old number (R35)."""

_WITH_DETAIL = frozenset({"needs-review", "pasted-block"})
"""Reasons that leave questions open, so that the detail says what exactly was found."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a decision needs to know, beside the meeting and the block that it should carry."""

    addresses: Collection[str]
    """The user's, in lower case."""
    attendee_limit: int
    """R22; organizer included."""
    now: datetime
    belongs_to_someone_else: Callable[[str], bool] | None
    """Asked with the user part of a join link; None where no other user is known."""
    dial_in: DialIn | None = None
    """How people dial into the user's meetings; None where the user is not known."""
    same_sequence: bool = False
    """Whether updates keep the SEQUENCE of their meeting, as the tenant's setting says."""

    @classmethod
    def of(cls, user: ConferencingUser, now: datetime, colleagues: Colleagues, dial_in: DialIn | None) -> Terms:
        """Those of the user's runs."""
        tenant = user.tenant
        return cls(user.addresses, tenant.attendee_limit, now, colleagues.have, dial_in, tenant.same_sequence)


class Decided(NamedTuple):
    """What becomes of one meeting: with the new text, or with the code of why it is skipped or fails."""

    outcome: MeetingResult.Outcome
    code: str = ""
    detail: str = ""
    rewritten: Rewrite | None = None


@dataclass(slots=True)
class Outcome:
    """What becomes of one meeting as a run records it; for a changed one the text to write and how many to tell."""

    result: MeetingResult
    write: Write | None = None
    recipient_count: int = 0
    ends_at: datetime = NO_END
    """When the meeting is over; known where it is changed."""
    replaced: Sequence[Span] = ()
    """The pieces of the text that changed."""


def settle(meeting: Listed, terms: Terms) -> Decided | None:
    """What becomes of a meeting by its facts alone; None where that depends on its text."""
    if meeting.unreadable:
        # Whose it is and when it ends cannot be known, so it is not touched.
        return Decided(MeetingResult.Outcome.FAILED, "unreadable-calendar-object", meeting.unreadable)
    reason = why_skipped(meeting, terms.addresses, limit=terms.attendee_limit, now=terms.now)
    return Decided(MeetingResult.Outcome.SKIPPED, *reason) if reason else None


def decide(meeting: Listed, body: bytes, block: MeetingBlock, terms: Terms) -> Decided:
    """What becomes of a meeting that should carry ``block``."""
    settled = settle(meeting, terms)
    if settled:
        return _explained(settled, meeting, body)
    try:
        rewritten = rewrite(
            body,
            block,
            now=terms.now,
            belongs_to_someone_else=terms.belongs_to_someone_else,
            dial_in=terms.dial_in,
            same_sequence=terms.same_sequence,
        )
    except Declined as declined:
        detail = declined.detail if declined.reason in _WITH_DETAIL else ""
        return Decided(MeetingResult.Outcome.SKIPPED, declined.reason, detail)
    except UnreadableCalendar as error:
        return Decided(MeetingResult.Outcome.FAILED, "unreadable-calendar-object", str(error))
    return Decided(MeetingResult.Outcome.SUCCEEDED, rewritten=rewritten)


def _explained(settled: Decided, meeting: Listed, body: bytes) -> Decided:
    """With the reason why nobody is known as organizer, where that decided."""
    if settled.code == "not-organizer" and not meeting.organizer:
        return settled._replace(detail=why_without_organizer(body))
    return settled


class Outcomes:
    """What a run makes of the meetings of its user, by the settings and the mailbox as they are."""

    def __init__(
        self,
        run: Run,
        mailbox: Mailbox | None = None,
        *,
        user: ConferencingUser | None = None,
        before_each: Callable[[int], object] = lambda octets: None,
    ) -> None:
        """Reads the user's settings at once, even where the transaction is rolled back later. ``mailbox`` is the user's
        own where none is given; ``user`` has settings that are not saved, for a preview. ``before_each`` is called with
        the size of each meeting's text before it is worked on. Raises ``Failure`` where such a run fails before it
        looks at any meeting.
        """
        users = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number")
        self.run = run
        self.user = user or users.get(pk=run.user_id)
        self.settings = InvitationSettings(self.user)
        self.mailbox = mailbox or mailbox_of(self.user)
        self._colleagues = Colleagues(self.user)
        self.octets = 0
        """Of the texts of all meetings, once :meth:`select` has listed them."""
        self._before_each = before_each
        self._dial_in = known_dial_in(self.user)

    def select(self, done: Container[str] = ()) -> tuple[list[Listed], list[Outcome]]:
        """The meetings whose text must be looked at, and what is settled about the others (R20).

        ``done`` are UIDs to leave out.
        """
        terms = self._terms()
        todo: list[Listed] = []
        settled: list[Outcome] = []
        nameless: dict[str, Outcome] = {}
        candidates = self.mailbox.list_candidates(terms.addresses, terms.now)
        for meeting in chain(candidates, self.mailbox.list_others(terms.addresses, terms.now)):
            self._before_each(0)
            self.octets += meeting.size
            if meeting.uid in done:
                continue
            decided = settle(meeting, terms)
            if decided:
                settled.append(self._outcome(meeting, decided))
                if decided.code == "not-organizer" and not meeting.organizer:
                    nameless[meeting.uid] = settled[-1]
            else:
                todo.append(meeting)
        for uids in batched(nameless, BATCH):
            for uid, stored in self.mailbox.read(uids).items():
                if not stored.listed.unreadable:
                    nameless[uid].result.detail = why_without_organizer(stored.body)
        return todo, settled

    def of(self, uids: Sequence[str], blocks: Mapping[str, MeetingBlock]) -> list[Outcome]:
        """What becomes of each meeting as it stands in the mailbox now; it may have changed since it was listed."""
        stored = self.mailbox.read(uids)
        terms = self._terms()
        outcomes: list[Outcome] = []
        for uid in uids:
            found = stored.get(uid)
            if found:  # what was deleted since then needs nothing
                self._before_each(len(found.body))
                outcomes.append(self._judged(found, blocks[uid], terms))
        return outcomes

    def foreseen(self, uids: Sequence[str] | None = None) -> Iterator[Outcome]:
        """What would become of these meetings, or of all, if the run were worked now; gives out no conference IDs."""
        if uids is None:
            todo, settled = self.select()
            yield from settled
            uids = [meeting.uid for meeting in todo]
        for some in batched(uids, BATCH):
            yield from self.of(some, self.settings.blocks_to_show(some))

    def _terms(self) -> Terms:
        return Terms.of(self.user, timezone.now(), self._colleagues, self._dial_in)

    def _judged(self, stored: Stored, block: MeetingBlock, terms: Terms) -> Outcome:
        try:
            decided = decide(stored.listed, stored.body, block, terms)
        except Exception:
            log.exception("run %s: meeting %r failed unexpectedly", self.run.correlation_id, stored.listed.uid)
            reference = f"reference {self.run.correlation_id}"
            decided = Decided(MeetingResult.Outcome.FAILED, "internal-error", reference)
        outcome = self._outcome(stored.listed, decided)
        if decided.rewritten:
            outcome.result.sequence = decided.rewritten.sequence
            outcome.result.spans = pack(decided.rewritten.spans)
            outcome.write = Write(stored.listed.uid, stored.etag, decided.rewritten.body)
            outcome.recipient_count = stored.listed.recipient_count
            outcome.ends_at = stored.listed.last_end
            outcome.replaced = decided.rewritten.spans
        return outcome

    def _outcome(self, meeting: Listed, decided: Decided) -> Outcome:
        return Outcome(
            MeetingResult(
                run=self.run,
                uid=meeting.uid,
                subject=meeting.subject,
                starts_at=meeting.starts_at,
                attendee_count=meeting.attendee_count,
                outcome=decided.outcome,
                code=decided.code,
                detail=decided.detail[:500],
            )
        )


def in_batches(meetings: Sequence[Listed]) -> Iterator[list[Listed]]:
    """Meetings that are worked together: at most :data:`BATCH`, and no more than :data:`OCTETS` but for one alone."""
    batch: list[Listed] = []
    octets = 0
    for meeting in meetings:
        if batch and (len(batch) == BATCH or octets + meeting.size > OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(meeting)
        octets += meeting.size
    if batch:
        yield batch


def preview(user: ConferencingUser, uids: Sequence[str] | None = None) -> Iterator[tuple[MeetingResult, int]]:
    """What a run of the user would do with each meeting, and how many people it would mail; writes nothing.

    With ``uids`` only these meetings, in that order, as far as they are in the mailbox. The settings are read at once,
    the meetings while the answer is read.

    Raises ``Failure`` where such a run would fail as a whole.
    """
    outcomes = Outcomes(Run(user=user, tenant=user.tenant))
    return ((outcome.result, outcome.recipient_count) for outcome in outcomes.foreseen(uids))
