"""Writes into mailboxes outside, which no transaction of ours covers: announced before, settled after.

1. What is to be written is committed as an intent, with the result as it will be recorded.
2. The mailbox writes, on condition that the meeting is still what was read.
3. Result, message and the end of the intent are committed together.

Where a worker dies between 1 and 3, or the server's answer is lost, the intent is found by whoever works for the user
next. The meeting is read and decided as any other. If it is current now, the write had happened, by this worker or by
one that lost its lease: it is recorded, and attendees are told, as if nothing had been. If not, it had not, and is done
now. So nothing is written a second time on suspicion, and nobody stays untold.

Two things may have come in between. The settings were changed back, and somebody else has changed the meeting: then it
is current because the old text stands, and nothing of ours had happened. Or it bears a newer revision than was written:
a server counts revisions on by itself, and then attendees are to be told of that one; or somebody has changed the
meeting after the write, and has told them. What the meeting says tells these apart. Where it does not, the update is in
doubt, and a person decides.

A mailbox may write a series part by part, and a worker die in between. Then the intent has the meeting as it was before
the first of them, which tells by itself what of the write stands. The rest is decided as any change and written now,
and the one result that is recorded has what was replaced by both.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from migrations_app.calendars.content import content_of
from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.revision import highest_sequence
from migrations_app.failures import happened
from migrations_app.models import IntendedWrite, MeetingResult, Run
from migrations_app.rewriting.as_stored import Place, as_stored, only_there, places_changed
from migrations_app.rewriting.links import comparable
from migrations_app.rewriting.spans import Span, pack, unpack
from migrations_app.rewriting.standing import Standing, standing
from migrations_app.rewriting.unchanged import digest_of
from migrations_app.runs.outcomes import Outcome
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser
from tenants_app.sentences import at_most, sentence

_KEPT = (
    "subject",
    "attendee_count",
    "detail",
    "meeting_service",
    "join_url_before",
    "join_url_after",
    "sequence",
    "digest",
)
"""What the result of a changed meeting says that a later look at the meeting cannot tell."""


_HAS_HAPPENED = ("already-current", "already-put-back")
"""What is found of a meeting that says already what was to be written."""


class Intents:
    """The intents of one user's run, those of earlier runs and attempts included."""

    def __init__(self, run: Run, user: ConferencingUser, asked_for: str) -> None:
        """``asked_for`` stands for what the run makes invitations say, such as the fingerprint of the settings."""
        self._run, self._user = run, user
        self._asked_for = [asked_for, run.targets]
        self._by_uid = {each.uid: each for each in IntendedWrite.objects.filter(user=user)}

    def announce(self, outcomes: Sequence[Outcome], *, in_parts: bool) -> None:
        """Commit what is about to be written, in the caller's transaction; of a meeting that has one, the new one.

        ``in_parts``: the parts of a series are written one by one.
        """
        rows = [self._row(outcome, in_parts=in_parts) for outcome in outcomes if outcome.write]
        for some in batched(rows, 50):
            IntendedWrite.objects.bulk_create(
                some,
                update_conflicts=True,
                unique_fields=["user", "uid"],
                update_fields=["run", "etag", "result", "spans", "before", "created"],
            )
        self._by_uid |= {row.uid: row for row in rows}

    def settle(self, outcomes: Sequence[Outcome]) -> bool:
        """Turn those meetings into changed ones that are current because an intended write had happened after all.

        Returns whether there were any.
        """
        found = False
        for outcome in outcomes:
            intent = self._by_uid.get(outcome.result.uid)
            if intent is not None and intent.before is not None:
                found = self._settle_parts(outcome, intent) or found
                continue
            # One with the ETag of before was not written; it may be current because the settings were changed back.
            is_changed = intent is not None and outcome.etag != intent.etag
            if intent is not None and is_changed and outcome.result.code in _HAS_HAPPENED:
                found = self._take_over(outcome, intent) or found
        return found

    def _take_over(self, outcome: Outcome, intent: IntendedWrite) -> bool:
        """Make of the outcome what the intent says; whether the intended write had happened."""
        kept: Mapping[str, Any] = intent.result
        spans = unpack(bytes(intent.spans)) if intent.spans else ()
        written = kept["sequence"] or 0
        there = highest_sequence(outcome.body, all_events(outcome.body))
        is_as_written = kept.get("content") == content_of(outcome.body)
        if not is_as_written:
            stands = standing(outcome.body, spans)
            if stands is Standing.BEFORE:
                return False
            # Under the same settings the meeting was not current before, and nobody else makes it so.
            is_ours = stands is Standing.AFTER or kept.get("asked_for") == self._asked_for
            outcome.is_in_doubt = not is_ours or there > written
        _become(outcome, intent, spans)
        outcome.result.sequence = there
        return True

    def _settle_parts(self, outcome: Outcome, intent: IntendedWrite) -> bool:
        """The same where the parts of a meeting are written one by one: what of them stands is part of the outcome."""
        if not outcome.body:
            return False  # settled without a look at its text
        before, spans = unpacked(bytes(intent.before or b"")), unpack(bytes(intent.spans or b""))
        is_same = intent.result.get("asked_for") == self._asked_for
        try:
            changed = places_changed(before, spans, outcome.body)
            ours = changed & only_there(before, spans, outcome.body)
        except UnreadableCalendar:
            return False
        if is_same:  # what it asks for was not there before, and nobody else makes it so
            ours |= {each for each in changed if each[0] not in {span.recurrence_id for span in outcome.replaced}}
        written = [span for span in spans if (span.recurrence_id, span.property) in ours]
        if not written:
            return False
        if outcome.write is not None:
            outcome.before = before
            outcome.replaced = (*written, *outcome.replaced)
            outcome.result.spans = pack(outcome.replaced)
            for name in ("meeting_service", "join_url_before"):
                setattr(outcome.result, name, intent.result.get(name, ""))
            return True
        why = happened(outcome.result.code, outcome.result.detail) if outcome.result.code else ""
        is_whole = len(changed) == len(_places(spans)) and is_same
        has_happened = outcome.result.code in _HAS_HAPPENED or (is_whole and outcome.result.code == "changed-since")
        link = _changed_link(outcome, intent.result.get("join_url_after", ""))
        _become(outcome, intent, as_stored(before, written, outcome.body, strictly=True))
        outcome.result.sequence = highest_sequence(outcome.body, all_events(outcome.body))
        outcome.result.digest = digest_of(outcome.body)
        outcome.result.spans = pack(outcome.replaced)
        if link or not has_happened:
            code, detail = ("join-link-changed", link) if link else ("written-in-part", why)
            outcome.result.outcome, outcome.result.code = MeetingResult.Outcome.FAILED, code
            outcome.result.detail = at_most(500, detail)
        return True

    def forget(self, uids: Collection[str]) -> None:
        """These meetings have their results, in the caller's transaction."""
        gone = [uid for uid in uids if self._by_uid.pop(uid, None)]
        if gone:
            IntendedWrite.objects.filter(user=self._user, uid__in=gone).delete()

    def forget_all(self) -> None:
        """The run has ended well: what has no result by now was deleted, or is over."""
        if self._by_uid:
            IntendedWrite.objects.filter(user=self._user).delete()

    def forget_own(self) -> None:
        """An undo has ended well. It has not looked at all meetings: what another run announced is still open."""
        if self._by_uid:
            IntendedWrite.objects.filter(run=self._run).delete()

    def _row(self, outcome: Outcome, *, in_parts: bool) -> IntendedWrite:
        assert outcome.write is not None  # noqa: S101 - for mypy
        result = outcome.result
        kept: dict[str, Any] = {name: getattr(result, name) for name in _KEPT}
        kept["starts_at"] = result.starts_at.isoformat() if result.starts_at else ""
        kept["ends_at"] = outcome.ends_at.isoformat()
        kept["recipient_count"] = outcome.recipient_count
        kept["content"], kept["asked_for"] = content_of(outcome.write.body), self._asked_for
        return IntendedWrite(
            run=self._run,
            user=self._user,
            uid=result.uid,
            etag=outcome.write.etag,
            result=kept,
            spans=result.spans,
            before=packed(outcome.before or outcome.body) if in_parts else None,
        )


def _become(outcome: Outcome, intent: IntendedWrite, spans: Sequence[Span]) -> None:
    """Make of the outcome a changed meeting, as the intent says."""
    kept: Mapping[str, Any] = intent.result
    result = outcome.result
    for name in _KEPT:
        setattr(result, name, kept.get(name, ""))  # one of an earlier release has no digest
    result.starts_at = datetime.fromisoformat(kept["starts_at"]) if kept["starts_at"] else None
    result.outcome, result.code = MeetingResult.Outcome.SUCCEEDED, ""
    result.spans = intent.spans
    outcome.recipient_count, outcome.ends_at = kept["recipient_count"], datetime.fromisoformat(kept["ends_at"])
    outcome.replaced = spans


def packed(body: bytes) -> bytes:
    """A text as an intent keeps it."""
    return zlib.compress(body, 6)


def unpacked(kept: bytes) -> bytes:
    """The text that an intent keeps."""
    return zlib.decompress(kept)


def _changed_link(outcome: Outcome, wanted: str) -> str:
    """How the join link is not the one that was written, in a clause; empty where it is."""
    if outcome.obstacle is not None and outcome.obstacle.code == "needs-review":
        return outcome.obstacle.detail
    there = outcome.result.join_url_before  # of the text as it stands now
    if there and wanted and comparable(there) != comparable(wanted):
        return sentence("%(wanted)s was written, and the invitation shows %(there)s", wanted=wanted, there=there)
    return ""


def _places(spans: Sequence[Span]) -> set[Place]:
    return {(span.recurrence_id, span.property) for span in spans}
