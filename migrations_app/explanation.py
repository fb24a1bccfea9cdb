"""Why MMS decides what it decides about one calendar object, for the command and the screens. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from migrations_app.colleagues import Colleagues
from migrations_app.failures import Failure, describe
from migrations_app.invitation_settings import InvitationSettings
from migrations_app.mailboxes.base import Listed
from migrations_app.models import NO_END
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.errors import Declined, UnreadableCalendar
from migrations_app.rewriting.explain import Finding, Point, findings
from migrations_app.rewriting.facts import Facts, read_facts
from migrations_app.rewriting.rewrite import rewrite
from migrations_app.rewriting.spans import Span
from migrations_app.selection import why_skipped
from tenants_app.models import ConferencingUser, Tenant

MIGRATED = "migrated"
UNREADABLE = "unreadable-calendar-object"
_STAND_IN = MeetingBlock("https://meet.example.org/someone/00000000")
"""A block to look with where nobody's settings say what the new one is."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was seen in one object and what follows from it.

    ``decision`` is ``migrated``, a reason of R20 or ``unreadable-calendar-object``, ``sentence`` the same in words;
    ``spans`` are what a run would replace.
    """

    uid: str
    subject: str
    decision: str
    sentence: str
    findings: list[Finding]
    spans: tuple[Span, ...] = ()

    @property
    def is_migrated(self) -> bool:
        return self.decision == MIGRATED


def explain(uid: str, body: bytes, user: ConferencingUser | None, *, now: datetime | None = None) -> Explanation:
    """What a run of the user would do with the object now, and why.

    Without a user the organizer is taken to be the one who is migrated, and the new block is not known.
    """
    now = now or timezone.now()
    try:
        facts = read_facts(body)
    except UnreadableCalendar as error:
        return _unreadable(uid, "", error, [])
    seen = [_meeting(facts)]
    block, trouble = _block_of(user, uid)
    if trouble:
        seen.append(Finding("New block", [Point("Not known", trouble)]))
    someone_else = Colleagues(user).have if user else None
    try:
        seen += findings(body, block.join_url, now=now, belongs_to_someone_else=someone_else)
        reason = _why_skipped(facts, user, now)
        if reason:
            return Explanation(uid, facts.subject, reason[0], describe(*reason), seen)
        made = rewrite(body, block, now=now, belongs_to_someone_else=someone_else)
    except Declined as declined:
        detail = declined.detail if declined.reason in {"needs-review", "pasted-block"} else ""
        return Explanation(uid, facts.subject, declined.reason, describe(declined.reason, detail), seen)
    except UnreadableCalendar as error:
        return _unreadable(uid, facts.subject, error, seen)
    places = list(dict.fromkeys(span.property for span in made.spans))
    sentence = f"A run would replace {_listed(places)} and leave everything else as it is."
    return Explanation(uid, facts.subject, MIGRATED, sentence, seen, made.spans)


def _unreadable(uid: str, subject: str, error: UnreadableCalendar, seen: list[Finding]) -> Explanation:
    return Explanation(uid, subject, UNREADABLE, describe(UNREADABLE, str(error)), seen)


def _meeting(facts: Facts) -> Finding:
    if facts.ends_at is None:
        until = "a series without end"
    else:
        until = f"the last occurrence ends {facts.ends_at:%Y-%m-%d %H:%M} UTC"
    return Finding(
        "Meeting",
        [
            Point("Subject", facts.subject or "(none)"),
            Point("Organizer", facts.organizer or "nobody with a mail address"),
            Point("When", f"starts {facts.starts_at:%Y-%m-%d %H:%M} UTC; {until}"),
            Point("People", f"{facts.attendee_count}, the organizer included"),
            *([Point("Status", "cancelled")] if facts.cancelled else []),
        ],
    )


def _block_of(user: ConferencingUser | None, uid: str) -> tuple[MeetingBlock, str]:
    """The block that the meeting would get; a stand-in and a sentence where that cannot be known."""
    if user is None:
        return _STAND_IN, (
            "No user was named, so nobody's settings were read: what follows is about the old block only."
        )
    try:
        return InvitationSettings(user).blocks_to_show([uid])[uid], ""
    except Failure as failure:
        return _STAND_IN, f"A run would fail before it looks at any meeting. {describe(failure.code, failure.detail)}"


def _why_skipped(facts: Facts, user: ConferencingUser | None, now: datetime) -> tuple[str, str] | None:
    addresses: Collection[str] = user.addresses if user else [facts.organizer]
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


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
