"""Why MMS decides what it decides about one calendar object, for the command and the screens. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from django.utils import timezone

from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import Facts, read_facts, why_without_organizer
from migrations_app.failures import SKIPPED, Failure, entry_of, happened
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.dial_in import known_numbers
from migrations_app.invitations.link_owners import Owners, name_in_links
from migrations_app.mailboxes.base import Listed, Stored
from migrations_app.models import Run
from migrations_app.rewriting.components import Description, components_of
from migrations_app.rewriting.examine import Examined
from migrations_app.rewriting.findings import Finding, Point, findings, showable
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.spans import Span
from migrations_app.runs.outcomes import Decided, Outcomes, Terms, examined
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.models import ConferencingUser, Tenant

MIGRATED = "migrated"
NOT_KNOWN = "not-known"
UNREADABLE = "unreadable-calendar-object"
_LONGEST_SUBJECT = 200
_PLAIN = ("Meeting", "New block", "Is the block this meeting's own?")
_SAID = {"Meeting service": "Online meeting", "Telephone": "Dial-in number", "Conference ID": "Conference ID"}
"""What of a block people go by, by the label of its point, and what they call it."""


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

    Where ``is_new_block_known`` is False the spans of ``decision`` are the blocks of descriptions, and say nothing of
    what would stand there afterwards.
    """

    uid: str
    subject: str
    decision: Decision
    findings: Sequence[Finding]
    is_new_block_known: bool

    @property
    def plain(self) -> Sequence[Finding]:
        """What anybody understands: whose meeting it is, what its invitation says, whether the block is its own."""
        told = [finding for finding in self.findings if finding.title.startswith(_PLAIN)]
        said = {
            Point(called, point.text): None
            for label, called in _SAID.items()
            for finding in self.findings
            for point in finding.points
            if point.label == label
        }
        if said:
            told.insert(1, Finding("What its invitation says", list(said)))
        return told

    @property
    def technical(self) -> Sequence[Finding]:
        """The rest: rows, links and properties as they stand in the text."""
        return [finding for finding in self.findings if not finding.title.startswith(_PLAIN)]


def explain(
    uid: str,
    body: bytes,
    user: ConferencingUser | None,
    *,
    targets: Targets = ALL_CURRENT,
    now: datetime | None = None,
    is_whole: bool = True,
) -> Explanation:
    """What a run of the user with these targets would do with the object now, and why.

    Without a user the organizer is taken to be the one who is migrated, and the new block is not known. An object that
    is not ``is_whole`` is a body without its meeting: its UID, and with it the end of its join link, means nothing.
    """
    now = now or timezone.now()
    subject = ""
    try:
        facts = read_facts(body)
        subject = showable(facts.subject, _LONGEST_SUBJECT)
        terms = _terms(facts, user, now, is_whole)
        own = terms.own_of(uid)
        told = [
            _meeting(facts, body),
            *findings(components_of(body, parse(body), now, own.place), own, terms.known),
        ]
        found = examined(replace(Listed.of(facts), uid=uid), body, terms)
    except UnreadableCalendar as error:
        unreadable = _decision(UNREADABLE, showable(str(error)))
        return Explanation(uid, subject, unreadable, [], is_new_block_known=False)
    if isinstance(found, Decided):
        decision = _of_decided(found, is_known=is_whole and user is not None)
        return _with_failure(Explanation(uid, subject, decision, told, is_new_block_known=False), user)
    if user is None:
        return Explanation(uid, subject, _would_be_updated(found), told, is_new_block_known=False)
    try:
        outcomes = Outcomes(Run(user=user, tenant=user.tenant, targets=targets.stored), user=user)
    except Failure:
        decision = _would_be_updated(found)
        return _with_failure(Explanation(uid, subject, decision, told, is_new_block_known=False), user)
    (outcome,) = outcomes.judge([Stored(replace(Listed.of(facts), uid=uid), body, "")], ahead=True, terms=terms)
    if outcome.write is None:
        decision = _decision(outcome.result.code, outcome.result.detail)
        return Explanation(uid, subject, decision, told, is_new_block_known=False)
    replaced = f"A run would replace {_properties(outcome.replaced)}"
    what = f"{replaced}, raise the revision and leave all else as it is. {outcome.result.detail}".strip()
    decision = Decision(MIGRATED, what, spans=outcome.replaced)
    return Explanation(uid, subject, decision, told, is_new_block_known=True)


def _terms(facts: Facts, user: ConferencingUser | None, now: datetime, is_whole: bool) -> Terms:
    if user is None:
        limit = Tenant._meta.get_field("attendee_limit").get_default()
        names = frozenset({name_in_links(facts.organizer)} - {""})
        return Terms({facts.organizer} - {""}, limit, now, lambda uid: Own(names=names))
    owners = Owners(user)
    own_of = owners.own_of if is_whole else lambda uid: owners.own_of_text()
    return Terms.of(user, now, own_of, known_numbers(user.tenant))


def _would_be_updated(found: Examined) -> Decision:
    """The answer where it is not known what the block should say: it is in order, and a run would look at it."""
    spans = [
        Span(component.recurrence_id, description.line.name.decode("ascii"), _text(description), "")
        for component in found.components
        for description in component.descriptions_with_block
    ]
    return Decision(MIGRATED, f"A run would bring the meeting block in {_properties(spans)} up to date.", spans=spans)


def _text(description: Description) -> str:
    found = description.sight.found
    cut = description.value[found.cut.start : found.cut.end] if found else b""
    return cut.decode("utf-8", "surrogateescape")


def _with_failure(explanation: Explanation, user: ConferencingUser | None) -> Explanation:
    """With the reason why a run of the user would fail before it looks at any meeting, where it would."""
    if user is None:
        return explanation
    try:
        InvitationSettings(user)
    except Failure as failure:
        decision = explanation.decision
        then = Point("Then", f"Once that is put right: {_small(decision.sentence)}")
        told = list(explanation.findings)
        told.insert(1, Finding("New block", [Point("Not known", failure.what), then]))
        what = f"A run fails before it looks at any meeting. {failure.what}"
        fails = Decision(failure.code, what, entry_of(failure.code).do)
        return replace(explanation, decision=fails, findings=told)
    return explanation


def _of_decided(decided: Decided, *, is_known: bool) -> Decision:
    """The answer; where the meeting or its organizer ``is_known`` not, it cannot be that of a block of our own."""
    if decided.code == "pasted-block" and not is_known and "this service" in decided.detail:
        return Decision(
            NOT_KNOWN,
            "This service wrote the block. Whether it belongs to this meeting and is up to date follows from the "
            "organizer's settings and the meeting's own UID, which are not known here.",
            "Look at the meeting itself, with the user it belongs to.",
        )
    return _decision(decided.code, decided.detail)


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
