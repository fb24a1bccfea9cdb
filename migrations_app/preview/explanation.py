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
from migrations_app.failures import NOTHING, SKIPPED, Failure, entry_of, happened
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.dial_in import known_dial_in, known_numbers
from migrations_app.invitations.link_owners import Owners, name_in_links
from migrations_app.mailboxes.base import Listed, Stored
from migrations_app.models import Run
from migrations_app.rewriting.components import Description, components_of
from migrations_app.rewriting.examine import Examined
from migrations_app.rewriting.findings import IS_IT_ITS_OWN, Finding, Point, findings, showable
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.spans import Span
from migrations_app.runs.outcomes import Decided, Outcomes, Terms, examined
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import Sentence, one_after_the_other, sentence, with_detail
from tenants_app.wording import all_of

MIGRATED = "migrated"
NOT_KNOWN = "not-known"
UNREADABLE = "unreadable-calendar-object"
_LONGEST_SUBJECT = 200
_MEETING, _NEW_BLOCK = sentence("Meeting"), sentence("New block")
_PLAIN = (_MEETING, _NEW_BLOCK, IS_IT_ITS_OWN)
_SAID = {
    "Meeting service": sentence("Online meeting"),
    "Telephone": sentence("Dial-in number"),
    "Conference ID": sentence("Conference ID"),
}
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
    what: Sentence
    do: Sentence = NOTHING
    spans: Sequence[Span] = ()

    @property
    def sentence(self) -> Sentence:
        return one_after_the_other(self.what, self.do)

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
            told.insert(1, Finding(sentence("What its invitation says"), list(said)))
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
    obstacle: Failure | None = None,
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
        unreadable = _decision(UNREADABLE, showable(error.sentence))
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
    stored = Stored(replace(Listed.of(facts), uid=uid), body, "", obstacle)
    (outcome,) = outcomes.judge([stored], ahead=True, terms=terms)
    if outcome.write is None:
        decision = _decision(outcome.result.code, outcome.result.detail)
        return Explanation(uid, subject, decision, told, is_new_block_known=False)
    what = sentence(
        "A run would replace %(properties)s, raise the revision and leave all else as it is.",
        properties=_properties(outcome.replaced),
    )
    decision = Decision(MIGRATED, one_after_the_other(what, outcome.result.detail), spans=outcome.replaced)
    return Explanation(uid, subject, decision, told, is_new_block_known=True)


def _terms(facts: Facts, user: ConferencingUser | None, now: datetime, is_whole: bool) -> Terms:
    if user is None:
        limit = Tenant._meta.get_field("attendee_limit").get_default()
        names = frozenset({name_in_links(facts.organizer)} - {""})
        return Terms({facts.organizer} - {""}, limit, now, lambda uid: Own(names=names))
    owners = Owners(user)
    own_of = owners.own_of if is_whole else lambda uid: owners.own_of_text()
    known = known_numbers(user.tenant)
    return Terms.of(user, now, own_of, known, known_dial_in(user, known))


def _would_be_updated(found: Examined) -> Decision:
    """The answer where it is not known what the block should say: it is in order, and a run would look at it."""
    spans = [
        Span(component.recurrence_id, description.line.name.decode("ascii"), _text(description), "")
        for component in found.components
        for description in component.descriptions_with_block
    ]
    what = sentence("A run would bring the meeting block in %(properties)s up to date.", properties=_properties(spans))
    return Decision(MIGRATED, what, spans=spans)


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
        then = Point(sentence("Then"), with_detail(sentence("Once that is put right."), decision.sentence))
        told = list(explanation.findings)
        told.insert(1, Finding(_NEW_BLOCK, [Point(sentence("Not known"), failure.what), then]))
        what = sentence("A run fails before it looks at any meeting.")
        fails = Decision(failure.code, one_after_the_other(what, failure.what), entry_of(failure.code).do)
        return replace(explanation, decision=fails, findings=told)
    return explanation


def _of_decided(decided: Decided, *, is_known: bool) -> Decision:
    """The answer; where the meeting or its organizer ``is_known`` not, it cannot be that of a block of our own."""
    if decided.code == "pasted-block" and not is_known and "this service" in decided.detail:
        return Decision(
            NOT_KNOWN,
            sentence(
                "This service wrote the block. Whether it belongs to this meeting and is up to date follows from the "
                "organizer's settings and the meeting's own UID, which are not known here."
            ),
            sentence("Look at the meeting itself, with the user it belongs to."),
        )
    return _decision(decided.code, decided.detail)


def _decision(code: str, detail: str = "") -> Decision:
    return Decision(code, happened(code, detail), entry_of(code).do)


def _meeting(facts: Facts, body: bytes) -> Finding:
    starts = f"{facts.starts_at:%Y-%m-%d %H:%M}"
    if facts.ends_at is None:
        when = sentence("starts %(starts)s UTC; a series without end", starts=starts)
    else:
        when = sentence(
            "starts %(starts)s UTC; the last occurrence ends %(ends)s UTC",
            starts=starts,
            ends=f"{facts.ends_at:%Y-%m-%d %H:%M}",
        )
    return Finding(
        _MEETING,
        [
            Point(sentence("Subject"), showable(facts.subject, _LONGEST_SUBJECT) or sentence("(none)")),
            Point(
                sentence("Organizer"),
                showable(facts.organizer) or sentence("not known: %(why)s", why=why_without_organizer(body)),
            ),
            Point(sentence("When"), when),
            Point(sentence("People"), sentence("%(count)s, the organizer included", count=facts.attendee_count)),
            *([Point(sentence("Status"), sentence("cancelled"))] if facts.cancelled else []),
        ],
    )


def _properties(spans: Sequence[Span]) -> Sentence:
    """The names of the properties that would be replaced, each once, as part of a sentence."""
    return all_of(list(dict.fromkeys(span.property for span in spans)))
