"""Why MMS decides what it decides about one calendar object, for the command and the screens. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

from django.utils import timezone

from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import Facts, read_facts, why_without_organizer
from migrations_app.failures import SKIPPED, Failure, entry_of, happened
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.dial_in import known_dial_in
from migrations_app.invitations.link_owners import Colleagues
from migrations_app.mailboxes.base import Listed
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.components import DESCRIPTIONS, Component, components_of
from migrations_app.rewriting.findings import Finding, Point, findings, showable
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.spans import Span
from migrations_app.runs.outcomes import Terms, decide
from tenants_app.models import ConferencingUser, Tenant

MIGRATED = "migrated"
NOT_KNOWN = "not-known"
UNREADABLE = "unreadable-calendar-object"
_LONGEST_SUBJECT = 200


class Outcome(StrEnum):
    """What a run would make of an object, as people read it."""

    UPDATED = "Would be updated"
    SKIPPED = "Would be skipped"
    FAILED = "Would fail"
    NOT_KNOWN = "Not known"


class Decision(NamedTuple):
    """What becomes of an object: a code, what happens and what to do about it, and what would be replaced.

    ``code`` is ``migrated``, a reason of R20, ``unreadable-calendar-object``, the code of a failure that ends a run
    before it looks at any meeting, or ``not-known`` where that takes settings that nobody named.
    """

    code: str
    what: str
    do: str = ""
    spans: Sequence[Span] = ()

    @property
    def sentence(self) -> str:
        return f"{self.what} {self.do}".strip()

    @property
    def outcome(self) -> Outcome:
        if self.code in SKIPPED:
            return Outcome.SKIPPED
        return {MIGRATED: Outcome.UPDATED, NOT_KNOWN: Outcome.NOT_KNOWN}.get(self.code, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was seen in one object and what follows from it.

    Where ``is_new_block_known`` is False the spans of ``decision`` are those of descriptions only, and say nothing of
    what would stand there afterwards.
    """

    uid: str
    subject: str
    decision: Decision
    findings: Sequence[Finding]
    is_new_block_known: bool


@dataclass(slots=True)
class _Subject:
    """An object, and the settings with which it is looked at."""

    body: bytes
    facts: Facts
    user: ConferencingUser | None
    now: datetime
    block: MeetingBlock
    failure: Failure | None = None
    is_block_known: bool = True
    is_own_url_known: bool = True
    components: list[Component] = field(init=False)
    terms: Terms = field(init=False)

    def __post_init__(self) -> None:
        self.components = components_of(self.body, parse(self.body), self.now, self.block.join_url)
        if self.user:
            self.terms = Terms.of(self.user, self.now, Colleagues(self.user), known_dial_in(self.user))
        else:
            limit = Tenant._meta.get_field("attendee_limit").get_default()
            self.terms = Terms({self.facts.organizer} - {""}, limit, self.now, None)

    @property
    def has_own_block(self) -> bool:
        """Whether a block that this service wrote stands in it."""
        return any(block.kind is Kind.OWN for each in self.components for block in each.blocks)


def explain(
    uid: str, body: bytes, user: ConferencingUser | None, *, now: datetime | None = None, is_whole: bool = True
) -> Explanation:
    """What a run of the user would do with the object now, and why.

    Without a user the organizer is taken to be the one who is migrated, and the new block is not known. An object that
    is not ``is_whole`` is a body without its meeting: its UID, and with it the end of its join link, means nothing.
    """
    now = now or timezone.now()
    subject = ""
    try:
        facts = read_facts(body)
        subject = showable(facts.subject, _LONGEST_SUBJECT)
        seen = _looked_at(uid, body, facts, user, now, is_whole)
        told = [
            _meeting(facts, body),
            *findings(
                seen.components,
                seen.block.join_url,
                is_own_url_known=seen.is_own_url_known,
                belongs_to_someone_else=seen.terms.belongs_to_someone_else,
            ),
        ]
        decision = _decide(seen)
    except UnreadableCalendar as error:
        unreadable = _decision(UNREADABLE, showable(str(error)))
        return Explanation(uid, subject, unreadable, [], is_new_block_known=False)
    if seen.failure:
        once_corrected = f"Once that is put right: {_small(decision.sentence)}"
        told.insert(1, Finding("New block", [Point("Not known", seen.failure.what), Point("Then", once_corrected)]))
        what = f"A run fails before it looks at any meeting. {seen.failure.what}"
        decision = Decision(seen.failure.code, what, entry_of(seen.failure.code).do)
    return Explanation(uid, subject, decision, told, seen.is_block_known)


def _looked_at(
    uid: str, body: bytes, facts: Facts, user: ConferencingUser | None, now: datetime, is_whole: bool
) -> _Subject:
    """The object with the block that the meeting would get, or with a stand-in where that cannot be known."""
    failure = None
    if user:
        try:
            block = InvitationSettings(user).blocks_to_show([uid])[uid]
        except Failure as refused:
            failure = refused
        else:
            return _Subject(body, facts, user, now, block, is_own_url_known=is_whole)
    # The name is the organizer's own, so that a link which carries it is seen to be theirs; no link ends in that key.
    name = (user.sip_address if user else facts.organizer).partition("@")[0] or "organizer"
    stand_in = MeetingBlock(f"https://meet.example.org/{quote(name.lower(), safe='')}/unknown")
    return _Subject(body, facts, user, now, stand_in, failure, is_block_known=False, is_own_url_known=False)


def _decide(seen: _Subject) -> Decision:
    decided = decide(Listed.of(seen.facts), seen.body, seen.block, seen.terms)
    made = decided.rewritten
    if made is None:
        if decided.code == "pasted-block" and seen.has_own_block and not seen.is_own_url_known:
            return Decision(
                NOT_KNOWN,
                "This service wrote the block. Whether it belongs to this meeting and is up to date follows from the "
                "organizer's settings and the meeting's own UID, which are not known here.",
                "Look at the meeting itself, with the user it belongs to.",
            )
        return _decision(decided.code, decided.detail)
    if seen.is_block_known:
        replaced = f"A run would replace {_properties(made.spans)}"
        return Decision(MIGRATED, f"{replaced}, raise the revision and leave all else as it is.", spans=made.spans)
    spans = [span._replace(after="") for span in made.spans if span.property.encode() in DESCRIPTIONS]
    return Decision(MIGRATED, f"A run would replace the meeting block in {_properties(spans)}.", spans=spans)


def _decision(code: str, detail: str = "") -> Decision:
    return Decision(code, happened(code, detail), entry_of(code).do)


def _meeting(facts: Facts, body: bytes) -> Finding:
    if facts.ends_at is None:
        until = "a series without end"
    else:
        until = f"the last occurrence ends {facts.ends_at:%Y-%m-%d %H:%M} UTC"
    return Finding(
        "Meeting",
        [
            Point("Subject", showable(facts.subject, _LONGEST_SUBJECT) or "(none)"),
            Point("Organizer", showable(facts.organizer) or f"not known: {why_without_organizer(body)}"),
            Point("When", f"starts {facts.starts_at:%Y-%m-%d %H:%M} UTC; {until}"),
            Point("People", f"{facts.attendee_count:,}, the organizer included"),
            *([Point("Status", "cancelled")] if facts.cancelled else []),
        ],
    )


def _properties(spans: Sequence[Span]) -> str:
    """The names of the properties that would be replaced, each once, as part of a sentence."""
    *names, last = dict.fromkeys(span.property for span in spans)
    return f"{', '.join(names)} and {last}" if names else last


def _small(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
