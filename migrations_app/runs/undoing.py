"""What an undo does with each meeting that another run had changed. Only reads, like :mod:`outcomes`."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain

from django.db.models import Q
from django.utils import timezone

from migrations_app.calendars.content_lines import all_events, unescaped
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.revision import highest_sequence
from migrations_app.failures import FAILED, Failure
from migrations_app.invitations.dial_in import known_dial_in, known_numbers
from migrations_app.invitations.link_owners import Owners
from migrations_app.mailboxes.base import NO_END, Listed, Mailbox, Stored, Write
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.meeting_services.base import Request
from migrations_app.meeting_services.remembered import SeenMeeting
from migrations_app.models import IntendedWrite, MeetingResult, Run
from migrations_app.models.runs import reference_to
from migrations_app.rewriting.as_stored import places_changed
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.services import Service
from migrations_app.rewriting.spans import Span, pack, unpack
from migrations_app.rewriting.unchanged import digest_of
from migrations_app.rewriting.undo import Undone, is_undone, undo
from migrations_app.rewriting.written_numbers import numbers_in
from migrations_app.runs.intents import unpacked
from migrations_app.runs.outcomes import BATCH, Decided, Outcome, Terms, mailed_parts, settle
from migrations_app.targets import CURRENT, NO_SERVICE, Targets
from tenants_app.bulk import batched
from tenants_app.changes.conference_ids import known_conference_ids, whose_conference_id
from tenants_app.models import ConferenceId, ConferencingUser, FormerConferenceId, FormerNumber
from tenants_app.sentences import at_most

log = logging.getLogger(__name__)

_SEVEN_DIGITS = re.compile(r"(?<![\d+])\d(?:[ -]?\d){6}(?!\d)")


CHANGED = Q(outcome__in=[MeetingResult.Outcome.SUCCEEDED, MeetingResult.Outcome.FAILED], spans__isnull=False)
"""Results of meetings in which something was replaced, be it as it was to be or not."""


def changed_meetings(run: Run) -> Iterator[MeetingResult]:
    """The results of the run's meetings that an undo is about, in their order, without what was replaced."""
    results = MeetingResult.objects.filter(CHANGED, run=run)
    return results.defer("spans").order_by("pk").iterator(chunk_size=BATCH)


def put_back(run: Run, *, but: Run | None = None) -> frozenset[str]:
    """UIDs of the run's meetings that an undo has put back, not counting the undo ``but``."""
    undone = MeetingResult.objects.filter(run__undoes=run, outcome=MeetingResult.Outcome.SUCCEEDED)
    if but is not None and but.pk:
        undone = undone.exclude(run=but)
    return frozenset(undone.values_list("uid", flat=True))


class Undoing:
    """What an undo makes of the meetings that ``run.undoes`` had changed, as the mailbox is.

    Each is put back where nobody has changed it since, and otherwise left with the reason. Has the methods of
    :class:`migrations_app.runs.outcomes.Outcomes`; no settings of the user matter to it but their addresses.
    """

    def __init__(
        self,
        run: Run,
        mailbox: Mailbox | None = None,
        *,
        before_each: Callable[[int], object] = lambda octets: None,
    ) -> None:
        """``before_each`` is called with the size of each meeting's text before it is worked on. Raises ``Failure``
        where the run that is to be undone is not there any more.
        """
        if run.undoes is None:
            raise Failure("run-pruned")
        users = ConferencingUser.objects.select_related(
            "tenant", "bridge", "toll_number", "toll_free_number", "deployment"
        )
        self.run = run
        self.undone = run.undoes
        self.user = users.get(pk=run.user_id)
        self.mailbox = mailbox or mailbox_of(self.user)
        self.octets = 0
        """Of the texts of all meetings, once :meth:`select` has listed them."""
        self.unavailable: Failure | None = None
        self._before_each = before_each
        self._owners = Owners(self.user)
        self.remembered = self._owners.remembered
        self._known = known_numbers(self.user.tenant)
        self._dial_in = known_dial_in(self.user, self._known)
        self._given_ids = known_conference_ids(self.user)
        self._held: dict[tuple[str, frozenset[int]], frozenset[tuple[int, str]]] = {}
        self._put_back = put_back(self.undone, but=run)
        self._begun: Mapping[str, IntendedWrite] = {}

    def select(self, done: Container[str] = ()) -> tuple[list[Listed], list[Outcome]]:
        """The meetings whose text must be looked at, and what is settled about the others."""
        terms = self._terms()
        wanted = {old.uid: old for old in self._wanted() if old.uid not in done}
        listed: dict[str, Listed] = {}
        everything = chain(
            self.mailbox.list_candidates(terms.addresses, terms.now),
            self.mailbox.list_others(terms.addresses, terms.now),
        )
        for meeting in everything:
            self._before_each(0)
            if meeting.uid in wanted:
                listed[meeting.uid] = meeting
                self.octets += meeting.size
        todo: list[Listed] = []
        settled: list[Outcome] = []
        for uid, old in wanted.items():
            found = listed.get(uid)
            decided = self._settled(uid, found, terms)
            if decided:
                settled.append(self._outcome(old, decided, found))
            else:
                todo.append(found or _not_listed(old))
        return todo, settled

    def of(self, uids: Sequence[str], *, ahead: bool = False) -> list[Outcome]:
        """What becomes of each meeting as it stands in the mailbox now."""
        terms = self._terms()
        olds = {old.uid: old for old in self.undone.results.filter(uid__in=uids)}
        stored = self.mailbox.read(uids)
        self._begun = self._half_written(uids)
        outcomes = []
        for uid in uids:
            if uid in olds:
                found = stored.get(uid)
                self._before_each(len(found.body) if found else 0)
                outcomes.append(self._judged(olds[uid], found, terms))
        return outcomes

    def foreseen(self, uids: Sequence[str] | None = None) -> Iterator[Outcome]:
        """What would become of these meetings, or of all, if the undo were worked now."""
        if uids is None:
            todo, settled = self.select()
            yield from settled
            uids = [meeting.uid for meeting in todo]
        for some in batched(uids, BATCH):
            yield from self.of(some, ahead=True)

    def _wanted(self) -> Iterator[MeetingResult]:
        chosen = None if self.run.chosen is None else frozenset(self.run.chosen)
        return (old for old in changed_meetings(self.undone) if chosen is None or old.uid in chosen)

    def _terms(self) -> Terms:
        tenant = self.user.tenant
        return Terms(
            self.user.addresses,
            tenant.attendee_limit,
            timezone.now(),
            self._owners.own_of,
            self._known,
            self._dial_in,
            tenant.same_sequence,
        )

    def _settled(self, uid: str, meeting: Listed | None, terms: Terms) -> Decided | None:
        if uid in self._put_back:
            return Decided(MeetingResult.Outcome.SKIPPED, "already-put-back")
        return settle(meeting, terms) if meeting else None

    def _judged(self, old: MeetingResult, stored: Stored | None, terms: Terms) -> Outcome:
        if stored is None:
            decided = self._settled(old.uid, None, terms)
            return self._outcome(old, decided or Decided(MeetingResult.Outcome.SKIPPED, "meeting-deleted"))
        listed, undone, found = stored.listed, None, None
        decided = self._settled(old.uid, listed, terms)
        if decided is None and stored.obstacle and stored.obstacle.code in FAILED:
            decided = Decided(MeetingResult.Outcome.FAILED, stored.obstacle.code, stored.obstacle.detail)
        if decided is None:
            try:
                undone = self._undone(old, stored, terms)
                if isinstance(undone, Undone):
                    found = self._examined(listed.uid, undone.body, terms)
                    decided = self._forbidden(listed.uid, undone.spans, found)
                else:
                    decided, undone = undone, None
            except UnreadableCalendar as error:
                decided = Decided(MeetingResult.Outcome.FAILED, "unreadable-calendar-object", error.sentence)
            except Exception:
                log.exception("run %s: meeting %r failed unexpectedly", self.run.correlation_id, listed.uid)
                decided = Decided(MeetingResult.Outcome.FAILED, "internal-error", reference_to(self.run))
        outcome = self._outcome(old, decided or Decided(MeetingResult.Outcome.SUCCEEDED), listed)
        outcome.etag = stored.etag
        if self.mailbox.is_outside:
            outcome.body = stored.body
        if isinstance(undone, Undone) and decided is None:
            self._fill(outcome, old, stored, undone, found)
        return outcome

    def _undone(self, old: MeetingResult, stored: Stored, terms: Terms) -> Undone | Decided:
        """The meeting as it was, or why it is left as it is."""
        spans = unpack(bytes(old.spans or b""))
        skipped = MeetingResult.Outcome.SKIPPED
        rest = self._rest(old.uid, spans, stored.body)
        try:
            if rest or self._is_unchanged(old, stored.body):
                return undo(stored.body, rest or spans, now=terms.now, same_sequence=terms.same_sequence)
            detail = ""
        except Declined as declined:
            detail = declined.detail
        if is_undone(stored.body, spans, now=terms.now):
            return Decided(skipped, "already-put-back")
        return Decided(skipped, "changed-since", detail)

    def _half_written(self, uids: Sequence[str]) -> Mapping[str, IntendedWrite]:
        """What this undo has announced of these, or an earlier one of the same run, and may have written a part of."""
        if not self.mailbox.writes_in_parts:
            return {}
        announced = IntendedWrite.objects.filter(user=self.user, run__undoes=self.run.undoes_id, before__isnull=False)
        return {each.uid: each for each in announced.filter(uid__in=uids)}

    def _rest(self, uid: str, spans: Sequence[Span], body: bytes) -> Sequence[Span]:
        """What is still to be put back, where this undo was cut off when it had written a part of the meeting."""
        intent = self._begun.get(uid)
        if intent is None:
            return ()
        intended = unpack(bytes(intent.spans or b""))
        changed = places_changed(unpacked(bytes(intent.before or b"")), intended, body)
        return [span for span in spans if changed and (span.recurrence_id, span.property) not in changed]

    @staticmethod
    def _is_unchanged(old: MeetingResult, body: bytes) -> bool:
        """Whether the meeting is what the run left. Of results without a digest the revision tells."""
        if old.digest:
            return digest_of(body) == old.digest
        return highest_sequence(body, all_events(body)) == (old.sequence or 0)

    def _forbidden(self, uid: str, spans: Sequence[Span], found: Examined | None) -> Decided | None:
        """Why the meeting may not say again what it said: a number that was released, or an ID that is another's."""
        released = _shown(spans, self._released)
        if released:
            return Decided(MeetingResult.Outcome.SKIPPED, "number-released", ", ".join(sorted(released)))
        ids = self._ids(spans, found)
        if self._are_apart(ids, spans):
            apart = ", ".join(sorted(_shown(spans, self._numbers)))
            return Decided(MeetingResult.Outcome.SKIPPED, "number-released", apart)
        taken = self._taken(uid, ids, spans)
        return Decided(MeetingResult.Outcome.SKIPPED, "conference-id-taken", taken) if taken else None

    def _are_apart(self, ids: Collection[str], spans: Sequence[Span]) -> bool:
        """Whether the numbers that come back are on other bridges by now than an ID of the user beside them."""
        bridges = self._bridges(spans)
        return bool(bridges) and any(self._had_on[digits].isdisjoint(bridges) for digits in ids & self._had_on.keys())

    def _taken(self, uid: str, ids: Collection[str], spans: Sequence[Span]) -> str:
        """The first of these IDs of the meeting that is another's; empty where none is."""
        own = {(self.user.pk, ""), (self.user.pk, uid)}
        bridges = self._bridges(spans)
        return next((digits for digits in sorted(ids) if self._holders(digits, bridges) - own), "")

    def taken_by_now(self, outcomes: Sequence[Outcome]) -> dict[str, str]:
        """By UID of these meetings that are to be put back, the ID that somebody else was given since it was judged.

        In a transaction in which nobody else changes the tenant, so that it stays true.
        """
        self._held.clear()
        asked = ((each.result.uid, self._taken(each.result.uid, each.shown_ids, each.replaced)) for each in outcomes)
        return {uid: digits for uid, digits in asked if digits}

    def _ids(self, spans: Sequence[Span], found: Examined | None) -> set[str]:
        """The conference IDs that come back."""
        if found is not None:
            return {digits for each in found.meetings if (digits := found.shown_id(each))}
        texts = "\n".join(unescaped(span.after.encode("utf-8", "surrogateescape")) for span in spans)
        return {re.sub("[ -]", "", digits) for digits in _SEVEN_DIGITS.findall(texts)}

    def _bridges(self, spans: Sequence[Span]) -> frozenset[int]:
        """The bridges whose numbers come back."""
        return frozenset(self._numbers[number][1] for number in _shown(spans, self._numbers))

    def _holders(self, digits: str, bridges: frozenset[int]) -> frozenset[tuple[int, str]]:
        """Whose a conference ID is now; asked once for all meetings that share it."""
        key = (digits, bridges)
        if key not in self._held:
            self._held[key] = whose_conference_id(self.user, digits, bridges)
        return self._held[key]

    def _examined(self, uid: str, body: bytes, terms: Terms) -> Examined | None:
        """What the meeting leads into once it is put back; None where that cannot be told for certain."""
        try:
            return examine(body, terms.own_of(uid), now=terms.now, dial_in=terms.dial_in, known=terms.known)
        except Declined:
            return None

    @cached_property
    def _numbers(self) -> dict[str, tuple[int, int]]:
        """The tenant's service numbers, each with its key and that of its bridge."""
        rows = self.user.tenant.service_numbers.values_list("number", "pk", "bridge_id")
        return {number: (pk, bridge) for number, pk, bridge in rows}

    @cached_property
    def _had_on(self) -> Mapping[str, set[int | None]]:
        """The bridges (keys) on which each ID is the user's, or once was; None for one that is not there any more."""
        found = defaultdict[str, set[int | None]](set)
        for ids in (ConferenceId, FormerConferenceId):
            for digits, bridge in ids.objects.filter(user=self.user).values_list("digits", "bridge_id"):
                found[digits].add(bridge)
        return found

    @cached_property
    def _released(self) -> frozenset[str]:
        """The tenant's numbers that were taken off their bridge, or went with it, and are on none now."""
        here = self._numbers  # read first: of what is released after this, the key is not there any more
        gone = FormerNumber.objects.filter(tenant=self.user.tenant)
        return frozenset(gone.values_list("number", flat=True)) - here.keys()

    def _fill(
        self, outcome: Outcome, old: MeetingResult, stored: Stored, undone: Undone, found: Examined | None
    ) -> None:
        """Note what is written, and what the meeting says then."""
        result, listed = outcome.result, stored.listed
        result.sequence = undone.sequence
        result.spans = pack(undone.spans)
        result.digest = digest_of(undone.body)
        result.join_url_before, result.join_url_after = old.join_url_after, old.join_url_before
        result.meeting_service = self._service_now(old)
        leads_elsewhere = bool(old.code) or old.join_url_before != old.join_url_after
        outcome.write = Write(listed.uid, stored.etag, undone.body, makes_anew=leads_elsewhere)
        outcome.recipient_count = listed.recipient_count
        outcome.ends_at = listed.last_end
        outcome.replaced = undone.spans
        outcome.mailed_parts = mailed_parts(self.mailbox, outcome)
        outcome.shown_numbers = {self._numbers[number][0] for number in _shown(undone.spans, self._numbers)}
        outcome.shown_ids = self._ids(undone.spans, found)
        if found is not None:
            outcome.has_own_blocks = found.has_own_blocks
            outcome.seen = [
                SeenMeeting(
                    Request(listed.uid, each.recurrence_id),
                    each.service,
                    each.join_url,
                    has_given_id=found.shown_id(each) in self._given_ids,
                )
                for each in found.meetings
                if each.service is Service.LINK or found.has_own_blocks
            ]
            outcome.leads_into = [each.join_url for each in found.meetings]

    def _service_now(self, old: MeetingResult) -> str:
        """Whose meeting it is until it is put back."""
        target = Targets.of(self.undone.targets).target_of(old.meeting_service)
        is_moved = old.join_url_before != old.join_url_after and target not in {None, CURRENT, NO_SERVICE}
        return str(target) if is_moved else old.meeting_service

    def _outcome(self, old: MeetingResult, decided: Decided, listed: Listed | None = None) -> Outcome:
        result = MeetingResult(
            run=self.run,
            uid=old.uid,
            subject=listed.subject if listed else old.subject,
            starts_at=listed.starts_at if listed else old.starts_at,
            attendee_count=listed.attendee_count if listed else old.attendee_count,
            outcome=decided.outcome,
            code=decided.code,
            detail=at_most(500, decided.detail),
            join_url_before=old.join_url_after,
            join_url_after=old.join_url_after,
        )
        return Outcome(result)


def _shown(spans: Sequence[Span], numbers: Collection[str]) -> set[str]:
    """Those of the numbers (E.164) that come back with these replacements."""
    before, after = (
        unescaped("\n".join(texts).encode("utf-8", "surrogateescape"))
        for texts in ([span.before for span in spans], [span.after for span in spans])
    )
    found = numbers_in(after, numbers)
    return found - numbers_in(before, found) if found else found


def _not_listed(old: MeetingResult) -> Listed:
    """A meeting that the mailbox does not list; read, it may be found all the same."""
    return Listed(
        old.uid, old.subject, "", old.starts_at, NO_END, old.attendee_count, 0, cancelled=False, unreadable=""
    )
