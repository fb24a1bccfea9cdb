"""Why MMS decides what it decides about one calendar object, for the command and the screens. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote

from django.utils import timezone

from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import Facts, read_facts
from migrations_app.failures import SKIPPED, Failure, entry_of, happened
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.link_owners import Colleagues
from migrations_app.mailboxes.base import Listed
from migrations_app.models import NO_END
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.components import DESCRIPTIONS, Component, components_of
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.findings import Finding, Point, findings, showable
from migrations_app.rewriting.frames import Kind
from migrations_app.rewriting.rewrite import rewrite
from migrations_app.rewriting.spans import Span
from migrations_app.runs.selection import why_skipped
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
    """An object with the settings that it is looked at with."""

    body: bytes
    facts: Facts
    user: ConferencingUser | None
    now: datetime
    block: MeetingBlock
    failure: Failure | None = None
    is_block_known: bool = True
    is_own_url_known: bool = True
    components: list[Component] = field(init=False)
    colleagues: Colleagues | None = field(init=False)

    def __post_init__(self) -> None:
        self.components = components_of(self.body, parse(self.body), self.now, self.block.join_url)
        self.colleagues = Colleagues(self.user) if self.user else None


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
            _meeting(facts),
            *findings(
                seen.components,
                seen.block.join_url,
                is_own_url_known=seen.is_own_url_known,
                belongs_to_someone_else=seen.colleagues.have if seen.colleagues else None,
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
    reason = _why_skipped(seen.facts, seen.user, seen.now)
    if reason:
        return _decision(*reason)
    try:
        made = rewrite(
            seen.body,
            seen.block,
            now=seen.now,
            belongs_to_someone_else=seen.colleagues.have if seen.colleagues else None,
        )
    except Declined as declined:
        is_own = any(block.kind is Kind.OWN for each in seen.components for block in each.blocks)
        if is_own and not seen.is_own_url_known and declined.reason == "pasted-block":
            return Decision(
                NOT_KNOWN,
                "This service wrote the block. Whether it belongs to this meeting and is up to date follows from the "
                "organizer's settings and the meeting's own UID, which are not known here.",
                "Look at the meeting itself, with the user it belongs to.",
            )
        detail = declined.detail if declined.reason in {"needs-review", "pasted-block"} else ""
        return _decision(declined.reason, detail)
    if seen.is_block_known:
        replaced = f"A run would replace {_properties(made.spans)}"
        return Decision(MIGRATED, f"{replaced}, raise the revision and leave all else as it is.", spans=made.spans)
    spans = [span._replace(after="") for span in made.spans if span.property.encode() in DESCRIPTIONS]
    return Decision(MIGRATED, f"A run would replace the meeting block in {_properties(spans)}.", spans=spans)


def _decision(code: str, detail: str = "") -> Decision:
    return Decision(code, happened(code, detail), entry_of(code).do)


def _meeting(facts: Facts) -> Finding:
    if facts.ends_at is None:
        until = "a series without end"
    else:
        until = f"the last occurrence ends {facts.ends_at:%Y-%m-%d %H:%M} UTC"
    return Finding(
        "Meeting",
        [
            Point("Subject", showable(facts.subject, _LONGEST_SUBJECT) or "(none)"),
            Point("Organizer", showable(facts.organizer) or "nobody with a mail address"),
            Point("When", f"starts {facts.starts_at:%Y-%m-%d %H:%M} UTC; {until}"),
            Point("People", f"{facts.attendee_count:,}, the organizer included"),
            *([Point("Status", "cancelled")] if facts.cancelled else []),
        ],
    )


def _why_skipped(facts: Facts, user: ConferencingUser | None, now: datetime) -> tuple[str, str] | None:
    addresses: Collection[str] = user.addresses if user else {facts.organizer} - {""}
    limit = user.tenant.attendee_limit if user else Tenant._meta.get_field("attendee_limit").get_default()
    listed = Listed(
        uid=facts.uid,
        subject=facts.subject,
        organizer=facts.organizer,
        starts_at=facts.starts_at,
        last_end=facts.ends_at or NO_END,
        attendee_count=facts.attendee_count,
        recipient_count=0,
        cancelled=facts.cancelled,
        unreadable="",
    )
    return why_skipped(listed, addresses, limit=limit, now=now)


def _properties(spans: Sequence[Span]) -> str:
    """Their names, each once, as part of a sentence."""
    *names, last = dict.fromkeys(span.property for span in spans)
    return f"{', '.join(names)} and {last}" if names else last


def _small(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
