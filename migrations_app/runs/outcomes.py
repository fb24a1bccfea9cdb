"""What a run does with each meeting (R20 to R25). Only reads: the worker writes it, previews and *Explain* show it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import NamedTuple, cast

from django.utils import timezone

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import why_without_organizer
from migrations_app.failures import LEFT_FOR_A_PERSON, SKIPPED, Failure
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.dial_in import known_dial_in, known_numbers
from migrations_app.invitations.link_owners import Owners
from migrations_app.mailboxes.base import NO_END, Listed, Mailbox, Stored, Write
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.meeting_services.of_user import service_named, service_of
from migrations_app.meeting_services.remembered import SeenMeeting
from migrations_app.models import MeetingResult, Run
from migrations_app.models.runs import reference_to
from migrations_app.rewriting import links
from migrations_app.rewriting.block import Phone
from migrations_app.rewriting.components import recurrence_id_of
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.facts import NO_NUMBERS, KnownNumbers
from migrations_app.rewriting.online_meeting import TO_BE_MADE, DialInFacts, OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import Identities, Rewrite, write
from migrations_app.rewriting.services import Service
from migrations_app.rewriting.spans import Span, pack
from migrations_app.rewriting.unchanged import digest_after
from migrations_app.rewriting.written_numbers import DialIn
from migrations_app.runs.selection import why_skipped
from migrations_app.targets import CURRENT, TEAMS
from tenants_app.bulk import batched
from tenants_app.changes.conference_ids import known_conference_ids
from tenants_app.fingerprints import user_of_one_moment
from tenants_app.models import ConferencingUser
from tenants_app.sentences import at_most, sentence
from tenants_app.wording import FREE_ID

log = logging.getLogger(__name__)

BATCH = 100
"""Meetings that are read, rewritten and committed together."""
OCTETS = 8_000_000
"""Their texts are no larger in sum, but for a single one."""

_WITH_DETAIL = frozenset({"needs-review", "pasted-block", "other-service", "no-conference-id"})
"""Reasons that leave questions open, so that the detail says what exactly was found."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a decision needs to know, beside the meeting and what the organizer's settings say."""

    addresses: Collection[str]
    """The user's, in lower case."""
    attendee_limit: int
    """R22; organizer included."""
    now: datetime
    own_of: Callable[[str], Own]
    """What is known of a meeting before its text is read, by its UID."""
    known: KnownNumbers = NO_NUMBERS
    dial_in: DialIn | None = None
    """How people dial into the user's meetings; None where the user is not known."""
    same_sequence: bool = False
    """Whether updates keep the SEQUENCE of their meeting, as the tenant's setting says."""

    @classmethod
    def of(
        cls, user: ConferencingUser, now: datetime, own_of: Callable[[str], Own], known: KnownNumbers, dial_in: DialIn
    ) -> Terms:
        """Those of the user's runs."""
        tenant = user.tenant
        return cls(user.addresses, tenant.attendee_limit, now, own_of, known, dial_in, tenant.same_sequence)


class Decided(NamedTuple):
    """What becomes of one meeting: with the new text, or with the code of why it is skipped or fails."""

    outcome: MeetingResult.Outcome
    code: str = ""
    detail: str = ""
    rewritten: Rewrite | None = None
    provider: str = ""
    """The name of another provider, whose meeting it is."""


@dataclass(slots=True)
class Outcome:
    """What becomes of one meeting as a run records it; for a changed one the text to write and how many to tell."""

    result: MeetingResult
    write: Write | None = None
    etag: str = ""
    """Of the text that was judged; empty where it was settled without."""
    body: bytes = b""
    """That text, where it may be the result of a write into a mailbox outside, or what its server made of the text that
    was written; empty in previews."""
    obstacle: Failure | None = None
    """What the mailbox says against the meeting as it stands."""
    before: bytes = b""
    """What stood there before a part of the change was written by an attempt that was cut off; empty where none was."""
    is_in_doubt: bool = False
    """Whether the attendees of the changed meeting may have been told of it by somebody else, or by nobody."""
    recipient_count: int = 0
    mailed_parts: Collection[str] = ()
    """Of which parts the mailbox's server mails attendees, once for each time: "" for the meeting as a whole, and
    RECURRENCE-IDs of occurrences."""
    ends_at: datetime = NO_END
    """When the meeting is over; known where it is changed."""
    replaced: Sequence[Span] = ()
    """The pieces of the text that changed."""
    seen: Sequence[SeenMeeting] = ()
    """Online meetings to remember (R41)."""
    has_own_blocks: bool = False
    """Whether the text, the new one where it changes, has a block that MMS drew."""
    examined: Examined | None = None
    """What the text said before, where it has a block to judge; previews show it."""
    leads_into: Sequence[str] = ()
    """The join links of meetings made anew, or gone back to, that invitations lead into from now on."""

    shown_numbers: Collection[int] = ()
    """Keys of the service numbers that an undo brings back."""
    shown_ids: Collection[str] = ()
    """Conference IDs that an undo brings back."""

    @property
    def is_change(self) -> bool:
        """Whether the run changes the meeting."""
        return self.result.outcome == MeetingResult.Outcome.SUCCEEDED

    @property
    def is_written(self) -> bool:
        """Whether something of the change stands in the mailbox, be it as it was to be or not."""
        return self.is_change or self.result.spans is not None


@dataclass(slots=True)
class _Case:
    """One meeting on its way through the judgement."""

    stored: Stored
    examined: Examined | None = None
    decided: Decided | None = None
    requests: dict[str, Request] = field(default_factory=dict)
    """What is to be made anew, by RECURRENCE-ID."""
    left: set[str] = field(default_factory=set)
    """Online meetings of a type that the run does not select, likewise."""
    made: dict[str, OnlineMeeting] = field(default_factory=dict)
    service: str = ""
    """Of the meetings to be made."""
    to_ask: dict[str, str] = field(default_factory=dict)
    """Join links of meetings that stay in a service which says how people dial in, by RECURRENCE-ID."""
    phones: dict[str, Phone] = field(default_factory=dict)
    """What services say of dialling in, likewise."""


def settle(meeting: Listed, terms: Terms) -> Decided | None:
    """What becomes of a meeting by its facts alone; None where that depends on its text."""
    if meeting.unreadable:
        # Whose it is and when it ends cannot be known, so it is not touched.
        return Decided(MeetingResult.Outcome.FAILED, "unreadable-calendar-object", meeting.unreadable)
    reason = why_skipped(meeting, terms.addresses, limit=terms.attendee_limit, now=terms.now)
    return Decided(MeetingResult.Outcome.SKIPPED, *reason) if reason else None


def examined(meeting: Listed, body: bytes, terms: Terms) -> Examined | Decided:
    """The online meetings behind a meeting, or what becomes of it whatever the settings say."""
    settled = settle(meeting, terms)
    if settled:
        return _explained(settled, meeting, body)
    try:
        return examine(body, terms.own_of(meeting.uid), now=terms.now, dial_in=terms.dial_in, known=terms.known)
    except (Declined, UnreadableCalendar) as error:
        return _refused(error)


def _refused(error: Declined | UnreadableCalendar) -> Decided:
    if isinstance(error, UnreadableCalendar):
        return Decided(MeetingResult.Outcome.FAILED, "unreadable-calendar-object", error.sentence)
    detail = error.detail if error.reason in _WITH_DETAIL else ""
    return Decided(MeetingResult.Outcome.SKIPPED, error.reason, detail, provider=error.provider)


def _left(obstacle: Failure) -> Decided:
    is_skip = obstacle.code in SKIPPED
    outcome = MeetingResult.Outcome.SKIPPED if is_skip else MeetingResult.Outcome.FAILED
    return Decided(outcome, obstacle.code, obstacle.detail)


def _stops(obstacle: Failure, decided: Decided) -> bool:
    """Whether this is what is to be said of the meeting: it would be changed, or is not in order though its text is."""
    is_unseen = decided.code == "already-current" and obstacle.code in LEFT_FOR_A_PERSON
    return decided.rewritten is not None or is_unseen


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
        former_ids: Collection[str] = (),
        before_each: Callable[[int], object] = lambda octets: None,
    ) -> None:
        """Reads the user's settings at once, even where the transaction is rolled back later. ``mailbox`` is the user's
        own where none is given; ``user`` has settings that are not saved, for a preview or the tool. ``former_ids`` are
        conference IDs that give way to that of the settings, beside those that MMS ever gave (R43). ``before_each`` is
        called with the size of each meeting's text before it is worked on. Raises ``Failure`` where such a run fails
        before it looks at any meeting.
        """
        self.run = run
        self.user = user or user_of_one_moment(run.user_id)
        self.settings = InvitationSettings(self.user)
        self.mailbox = mailbox or mailbox_of(self.user)
        self.octets = 0
        """Of the texts of all meetings, once :meth:`select` has listed them."""
        self.unavailable: Failure | None = None
        """Set where a meeting service is down, so that the run is to wait and try again (R28)."""
        self._before_each = before_each
        self._owners = Owners(self.user)
        self.remembered = self._owners.remembered
        self._known = known_numbers(self.user.tenant)
        self._dial_in = known_dial_in(self.user, self._known)
        given = (known_conference_ids(self.user) | frozenset(former_ids)) - {FREE_ID}
        self._ids = Identities(given, from_service=not self.settings.gives_ids)
        self._services: dict[str, MeetingService] = {}
        self.dial_in_said: tuple[str, DialInFacts] | None = None
        """What the user's service said of dialling in, and of which meeting (join link)."""

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

    def of(self, uids: Sequence[str], *, ahead: bool = False) -> list[Outcome]:
        """What becomes of each meeting as it stands in the mailbox now; it may have changed since it was listed.

        Makes the online meetings and gives out the private conference IDs that are needed, unless it only looks
        ``ahead``, for a preview: that asks no service for anything.
        """
        stored = self.mailbox.look_at(uids) if ahead else self.mailbox.read(uids)
        return self.judge([found for uid in uids if (found := stored.get(uid))], ahead=ahead)

    def judge(self, stored: Sequence[Stored], *, ahead: bool, terms: Terms | None = None) -> list[Outcome]:
        """What becomes of each of these texts; see :meth:`of`."""
        terms = terms or self._terms()
        cases: list[_Case] = []
        for each in stored:  # what was deleted since then needs nothing
            self._before_each(len(each.body))
            cases.append(self._case(each, terms))
        self._make(cases, ahead=ahead)
        self._ask_for_dial_in(cases, ahead=ahead)
        ids = self._private_ids(cases, ahead=ahead)
        outcomes = [self._concluded(case, ids.get(case.stored.listed.uid, ""), terms) for case in cases]
        if self.mailbox.is_outside and not ahead:
            for case, outcome in zip(cases, outcomes, strict=True):
                outcome.body = case.stored.body
        return outcomes

    def foreseen(self, uids: Sequence[str] | None = None) -> Iterator[Outcome]:
        """What would become of these meetings, or of all, if the run were worked now; gives out no conference IDs."""
        if uids is not None:
            for some in batched(uids, BATCH):
                yield from self.of(some, ahead=True)
            return
        todo, settled = self.select()
        yield from settled
        for meetings in in_batches(todo):
            outcomes = self.of([meeting.uid for meeting in meetings], ahead=True)
            # As a run does: a later meeting with the link of an earlier one shows a copied block.
            self.remembered.learn([seen for outcome in outcomes for seen in outcome.seen])
            yield from outcomes

    def _terms(self) -> Terms:
        return Terms.of(self.user, timezone.now(), self._owners.own_of, self._known, self._dial_in)

    def _case(self, stored: Stored, terms: Terms) -> _Case:
        case = _Case(stored)
        try:
            found = examined(stored.listed, stored.body, terms)
        except Exception:
            log.exception("run %s: meeting %r failed unexpectedly", self.run.correlation_id, stored.listed.uid)
            case.decided = self._failed_unexpectedly()
            return case
        if isinstance(found, Decided):
            case.decided = found
            return case
        case.examined = found
        for seen in found.meetings:
            target = self._targets.get(seen.service, "")
            if not target:
                case.left.add(seen.recurrence_id)
            elif target != CURRENT and not (
                target == seen.service and self._service(target).is_there_already(seen.join_url)
            ):
                listed = stored.listed
                case.service = target
                ends_at = listed.last_end if listed.last_end != NO_END else None
                case.requests[seen.recurrence_id] = Request(
                    listed.uid, seen.recurrence_id, listed.subject, listed.starts_at, ends_at
                )
            elif self._asks_service and seen.service == TEAMS:
                case.to_ask[seen.recurrence_id] = _long_form(found, seen.recurrence_id)
        if case.requests and stored.obstacle:
            case.decided = _left(stored.obstacle)
        if len(case.left) == len(found.meetings):
            case.decided = Decided(
                MeetingResult.Outcome.SKIPPED,
                "not-selected",
                sentence("It is in %(service)s.", service=found.first.service.product),
            )
        return case

    def _service(self, name: str) -> MeetingService:
        if name not in self._services:
            self._services[name] = service_named(name, self.user)
        return self._services[name]

    def _make(self, cases: Sequence[_Case], *, ahead: bool) -> None:
        """Have the online meetings made that the cases ask for; ahead of a run only those that are made already."""
        asking: dict[str, list[_Case]] = {}
        for case in cases:
            if case.requests and case.decided is None:
                asking.setdefault(case.service, []).append(case)
        for name, some in asking.items():
            service = self._service(name)
            requests = [each for case in some for each in case.requests.values()]
            answers: Mapping[Request, OnlineMeeting | Failure]
            try:
                if not ahead or service.makes_nothing:
                    answers = self._made(service, requests)
                else:
                    answers = self.remembered.find(service, requests)
            except Failure as failure:
                self.unavailable = failure
                answers = dict.fromkeys(requests, failure)
            for case in some:
                self._take(case, answers, ahead=ahead)

    def _take(self, case: _Case, answers: Mapping[Request, OnlineMeeting | Failure], *, ahead: bool) -> None:
        # Words that stand for a link are for a preview alone, also where a service forgets a meeting.
        unanswered = OnlineMeeting(TO_BE_MADE) if ahead else Failure("service-unavailable")
        for recurrence_id, request in case.requests.items():
            answer = answers.get(request, unanswered)
            if isinstance(answer, Failure):
                case.decided = _left(answer)
            else:
                case.made[recurrence_id] = answer
                if ahead and answer is unanswered and case.service == TEAMS and self.settings.has_phone_part:
                    case.phones[recurrence_id] = self._phone_to_be()
                if answer.phone is not None and self.settings.has_phone_part:
                    said = self.user.teams_dial_in if ahead else ""  # else the service has been asked again
                    phone = DialInFacts.of_meeting(said, answer.phone.conference_id) if said else answer.phone
                    case.phones[recurrence_id] = self.settings.phone_of(phone)
                    self._note_dial_in(answer.join_url, answer.phone)

    def _phone_to_be(self) -> Phone:
        """In a preview: how people will dial into a meeting that its service is still to make, by what is known."""
        said, block = self.user.teams_dial_in, self.settings.block
        if said:
            return self.settings.phone_of(DialInFacts.of_meeting(said, FREE_ID))
        return Phone(block.toll, block.toll_free, FREE_ID, block.local_numbers_url)

    def _made(self, service: MeetingService, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        """A few at a time, so that what was made is remembered soon, and the run is kept meanwhile."""
        answers: dict[Request, OnlineMeeting | Failure] = {}
        for some in batched(requests, service.at_once):
            answers |= self.remembered.make(service, some)
            self._before_each(0)
        return answers

    @cached_property
    def _asks_service(self) -> bool:
        """Whether the user's service says how people dial into the meetings that stay in it (R43)."""
        served = service_of(self.user)
        return served == TEAMS and self.settings.has_phone_part and self._service(served).says_dial_in

    def _ask_for_dial_in(self, cases: Sequence[_Case], *, ahead: bool) -> None:
        """Learn how people dial into the meetings that stay where they are; a preview asks nobody, but goes by what was
        said last."""
        asking = [case for case in cases if case.to_ask and case.decided is None]
        if not asking:
            return
        if ahead:
            for case in asking:
                self._take_dial_in(case, self._said_last(case))
            return
        urls = list(dict.fromkeys(url for case in asking for url in case.to_ask.values()))
        answers: dict[str, DialInFacts | Failure] = {}
        service = self._service(service_of(self.user))
        try:
            for some in batched(urls, service.at_once):
                answers |= service.dial_in(some)
                self._before_each(0)
        except Failure as failure:
            self.unavailable = failure
            answers |= {url: failure for url in urls if url not in answers}
        for case in asking:
            self._take_dial_in(case, {each: answers[url] for each, url in case.to_ask.items()})

    def _take_dial_in(self, case: _Case, answers: Mapping[str, DialInFacts | Failure]) -> None:
        for recurrence_id, answer in answers.items():
            if isinstance(answer, Failure):
                case.decided = _left(answer)
            elif not answer.is_complete:
                case.decided = Decided(
                    MeetingResult.Outcome.SKIPPED,
                    "no-conference-id",
                    sentence("Its service names no number or no conference ID for it."),
                )
            else:
                case.phones[recurrence_id] = self.settings.phone_of(answer)
                self._note_dial_in(case.to_ask[recurrence_id], answer)

    def _said_last(self, case: _Case) -> Mapping[str, DialInFacts | Failure]:
        found = case.examined
        said = self.user.teams_dial_in
        if not said or found is None:
            asked = Failure("already-current", sentence("its service is asked when the run starts"))
            return dict.fromkeys(case.to_ask, asked)
        of = {each.recurrence_id: found.shown_id(each) for each in found.meetings}
        return {each: DialInFacts.of_meeting(said, of[each]) for each in case.to_ask}

    def _note_dial_in(self, join_url: str, said: DialInFacts) -> None:
        if self.dial_in_said is None and said.is_complete:
            self.dial_in_said = join_url, said

    def _private_ids(self, cases: Sequence[_Case], *, ahead: bool) -> dict[str, str]:
        """The IDs that MMS gives: for `Link` meetings, and where the block shows one that it gave before (R43)."""
        if not self.settings.gives_private_ids:
            return {}
        uids = [
            case.stored.listed.uid
            for case in cases
            if case.decided is None and case.examined is not None and self._has_own_id(case, case.examined)
        ]
        return self.settings.private_ids_to_show(uids) if ahead else self.settings.private_ids(uids)

    def _has_own_id(self, case: _Case, found: Examined) -> bool:
        """Whether one of the meeting's blocks is to print an ID of ours."""
        had_one = self.remembered.had_given_id(case.stored.listed.uid)
        for each in found.meetings:
            if each.recurrence_id in case.left:
                continue
            if each.recurrence_id in case.phones:
                continue  # its service gives it
            shown = found.shown_id(each)
            is_ours = shown in self._ids.given if shown else had_one
            if is_ours or each.recurrence_id in case.made or each.service is Service.LINK:
                return True
        return False

    def _concluded(self, case: _Case, private_id: str, terms: Terms) -> Outcome:
        stored, found = case.stored, case.examined
        decided = case.decided
        if decided is None and found is not None:
            try:
                decided = self._written(case, found, private_id, terms)
            except Exception:
                log.exception("run %s: meeting %r failed unexpectedly", self.run.correlation_id, stored.listed.uid)
                decided = self._failed_unexpectedly()
        if decided is not None and stored.obstacle and _stops(stored.obstacle, decided):
            decided = _left(stored.obstacle)
        outcome = self._outcome(stored.listed, decided or Decided(MeetingResult.Outcome.SKIPPED, "no-block"))
        outcome.etag, outcome.obstacle = stored.etag, stored.obstacle
        result = outcome.result
        if found is not None:
            result.meeting_service = found.first.service
            outcome.has_own_blocks = found.has_own_blocks
            outcome.examined = found
            result.join_url_before = result.join_url_after = found.first.join_url[:2000]
            stays_in_own_block = (
                decided is not None and decided.rewritten is not None and decided.rewritten.has_own_blocks
            )
            outcome.seen = [
                SeenMeeting(
                    Request(stored.listed.uid, each.recurrence_id),
                    each.service,
                    each.join_url,
                    has_given_id=found.shown_id(each) in self._ids.given,
                )
                for each in found.meetings
                if each.service is Service.LINK
                or (stays_in_own_block and each.recurrence_id not in case.left and each.recurrence_id not in case.made)
            ]
        elif decided and decided.provider:
            result.meeting_service = decided.provider
        if decided and decided.rewritten and found is not None:
            rewritten = decided.rewritten
            result.sequence = rewritten.sequence
            result.spans = pack(rewritten.spans)
            result.detail = at_most(500, rewritten.note)
            result.join_url_after = rewritten.join_url[:2000]
            result.digest = digest_after(found.source, found.events, rewritten.edits, rewritten.body)
            outcome.leads_into = [made.join_url for made in case.made.values()]
            outcome.write = Write(stored.listed.uid, stored.etag, rewritten.body, makes_anew=bool(case.made))
            outcome.recipient_count = stored.listed.recipient_count
            outcome.ends_at = stored.listed.last_end
            outcome.replaced = rewritten.spans
            outcome.mailed_parts = mailed_parts(self.mailbox, outcome)
            outcome.has_own_blocks = rewritten.has_own_blocks
        return outcome

    def _written(self, case: _Case, found: Examined, private_id: str, terms: Terms) -> Decided:
        block = self.settings.block
        if self.settings.gives_private_ids:
            block = replace(block, conference_id=private_id)
        had_given_id = self.remembered.had_given_id(case.stored.listed.uid)
        try:
            rewritten = write(
                found,
                block,
                case.made,
                now=terms.now,
                left=case.left,
                ids=replace(self._ids, was_given=True) if had_given_id else self._ids,
                phones=case.phones,
                same_sequence=terms.same_sequence,
            )
        except (Declined, UnreadableCalendar) as error:
            return _refused(error)
        return Decided(MeetingResult.Outcome.SUCCEEDED, rewritten=rewritten)

    def _failed_unexpectedly(self) -> Decided:
        return Decided(MeetingResult.Outcome.FAILED, "internal-error", reference_to(self.run))

    @property
    def _targets(self) -> Mapping[str, str]:
        return cast("dict[str, str]", self.run.targets)

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
                detail=at_most(500, decided.detail),
            )
        )


def mailed_parts(mailbox: Mailbox, outcome: Outcome) -> Sequence[str]:
    """See ``Outcome.mailed_parts``; empty where the mailbox writes a meeting at once, or it has nobody to tell."""
    if not mailbox.writes_in_parts or not outcome.recipient_count or outcome.write is None:
        return ()
    parts = sorted({span.recurrence_id for span in outcome.replaced})
    if "" in parts and mailbox.tells_of_series_and_occurrences:
        body = outcome.write.body
        parts += [name for event in all_events(body) if (name := recurrence_id_of(body, event))]
    return parts


def _long_form(found: Examined, recurrence_id: str) -> str:
    """The join link by which a service finds a meeting: of two the long one, which services keep."""
    facts = next(facts for rid, facts in found.facts_of.items() if found.meeting_of[rid].recurrence_id == recurrence_id)
    urls = [url for each in facts for url in (each.online_meeting.join_url, each.online_meeting.second_join_url) if url]
    return next((url for url in urls if not links.is_short_teams(url)), urls[0])


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
