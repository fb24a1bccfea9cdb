"""Working one run: find the user's meetings, rewrite each, commit what became of it, leave the updates to send."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import FAILED, Failure
from migrations_app.invitations.content import InvitationSettings
from migrations_app.invitations.link_owners import Colleagues
from migrations_app.mailboxes.base import Listed, Mailbox, Stored, Write
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import MeetingResult, Run, Update
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import rewrite
from migrations_app.rewriting.shown_numbers import shown_numbers
from migrations_app.rewriting.spans import pack
from migrations_app.runs import queue
from migrations_app.runs.selection import why_skipped
from tenants_app import fingerprints
from tenants_app.bulk import batched, insert
from tenants_app.changes.conference_ids import release_private_conference_ids
from tenants_app.models import ConferencingUser

log = logging.getLogger(__name__)

BATCH = 100
"""Meetings that are read, rewritten and committed together."""


@dataclass(slots=True)
class _Outcome:
    """What became of one meeting: its result row, and for a changed one the text to write and who to tell."""

    result: MeetingResult
    write: Write | None = None
    recipient_count: int = 0


LEFT_AS_THEY_ARE = ("needs-review", "pasted-block", "too-many-attendees")
"""Why meetings are skipped that may show an old number all the same."""

MIXED = "mixed"
"""As the fingerprint of a run whose attempts had different settings: that of no settings at all."""


def work_run(run: Run) -> None:
    """Work a claimed run to its end and record how it ended. Never raises for what happens inside the run."""
    try:
        migration = _Migration(run)
        migration.work()
    except queue.LeaseLost as lost:
        log.warning("%s was taken over by another worker", lost)
    except Failure as failure:
        log.warning("run %s failed: %s %s", run.correlation_id, failure.code, failure.detail)
        _end(run, failure)
    except Exception:
        log.exception("run %s failed unexpectedly", run.correlation_id)
        _end(run, Failure("internal-error", f"reference {run.correlation_id}"))
    else:
        _end(run, None, migration)


def preview(user: ConferencingUser, uids: Sequence[str] | None = None) -> Iterator[tuple[MeetingResult, int]]:
    """What a run of the user would do with each meeting, and how many people it would mail; writes nothing.

    With ``uids`` these meetings only, in that order, without those that are not in the mailbox. The settings are read
    now, whatever becomes of the transaction afterwards; the meetings as the answer is read.

    Raises ``Failure`` where such a run would fail as a whole.
    """
    migration = _Migration(Run(user=user, tenant=user.tenant))
    outcomes = migration.look() if uids is None else migration.look_at(uids)
    return ((outcome.result, outcome.recipient_count) for outcome in outcomes)


def _end(run: Run, failure: Failure | None, migration: _Migration | None = None) -> None:
    try:
        if failure is not None:
            queue.fail(run, failure)
        elif migration is not None:
            with transaction.atomic():
                migration.record_what_invitations_say()
                queue.succeed(run)
    except queue.LeaseLost as lost:
        log.warning("%s was taken over by another worker", lost)


class _Migration:
    """One attempt at one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.user = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number").get(
            pk=run.user_id
        )
        self.settings = InvitationSettings(self.user)
        self.mailbox: Mailbox = EmbeddedMailbox(self.user)
        self._colleagues = Colleagues(self.user)
        self._has_begun_to_write = False

    def work(self) -> None:
        done = self._resume() if self.run.attempts > 1 else set()
        todo, settled = self._select(done)
        self.run.total_meetings = len(done) + len(todo) + len(settled)
        for outcomes in batched(settled, 5 * BATCH):
            self._commit(outcomes)
        for meetings in batched(todo, BATCH):
            changing = self._migrate(meetings, last_try=False)
            if changing:
                self._migrate(changing, last_try=True)
        self._judge()

    def record_what_invitations_say(self) -> None:
        """All of them say what the settings asked for when the run began, but for those that had to be left (R36).

        An attempt with other settings before this one leaves a mixture: then the user stays out of date.
        """
        if self._settings_of_all_attempts == self.settings.fingerprint:
            numbers = self.settings.number_keys | self._numbers_left()
            fingerprints.record(self.user, self.settings.fingerprint, numbers)

    def _numbers_left(self) -> set[int]:
        """Service numbers that were in the user's invitations before, and still are in meetings left as they are."""
        old = {
            row.number.number: row.number_id
            for row in self.user.invited_numbers.select_related("number").exclude(number__in=self.settings.number_keys)
        }
        found: set[str] = set()
        left = list(self.run.results.filter(code__in=LEFT_AS_THEY_ARE).values_list("uid", flat=True)) if old else []
        for some in batched(left, BATCH):
            for stored in self.mailbox.read(some).values():
                found |= shown_numbers(stored.body, old.keys() - found)
        return {old[number] for number in found}

    def look(self) -> Iterator[_Outcome]:
        """What :meth:`work` would do now, without doing any of it."""
        todo, settled = self._select(set())
        yield from settled
        yield from self.look_at([meeting.uid for meeting in todo])

    def look_at(self, uids: Sequence[str]) -> Iterator[_Outcome]:
        """What would become of these meetings now."""
        for batch in batched(uids, BATCH):
            yield from self._attempt(batch, self.settings.blocks_to_show(batch))

    def _resume(self) -> set[str]:
        """Start from what an earlier attempt committed; only what failed then is done again (R28)."""
        with transaction.atomic():
            self.run.results.filter(outcome=MeetingResult.Outcome.FAILED).delete()
            counts = dict(self.run.results.values_list("outcome").annotate(Count("pk")).order_by())
            queue.hold(
                self.run,
                succeeded_meetings=counts.get(MeetingResult.Outcome.SUCCEEDED, 0),
                skipped_meetings=counts.get(MeetingResult.Outcome.SKIPPED, 0),
                failed_meetings=0,
            )
        return set(self.run.results.values_list("uid", flat=True))

    def _select(self, done: Container[str]) -> tuple[list[Listed], list[_Outcome]]:
        """The meetings to work on, and what is settled about the others (R20); ``done`` are UIDs to leave out."""
        now = timezone.now()
        organizers = self.user.addresses
        todo: list[Listed] = []
        settled: list[_Outcome] = []
        candidates = self.mailbox.list_candidates(organizers, now)
        for meeting in chain(candidates, self.mailbox.list_others(organizers, now)):
            if meeting.uid in done:
                continue
            outcome = self._settle(meeting)
            if outcome:
                settled.append(outcome)
            else:
                todo.append(meeting)
        return todo, settled

    def _settle(self, meeting: Listed) -> _Outcome | None:
        """What is to be said of a meeting by its facts alone; None where its text must be looked at."""
        if meeting.unreadable:
            # Whose it is and when it ends cannot be known, so it is not touched.
            return self._outcome(
                meeting, MeetingResult.Outcome.FAILED, "unreadable-calendar-object", meeting.unreadable
            )
        reason = why_skipped(meeting, self.user.addresses, limit=self.user.tenant.attendee_limit, now=timezone.now())
        return self._outcome(meeting, MeetingResult.Outcome.SKIPPED, *reason) if reason else None

    def _migrate(self, meetings: list[Listed], last_try: bool) -> list[Listed]:
        """Rewrite the meetings and commit; those that somebody changed in between, to be looked at once more."""
        uids = [meeting.uid for meeting in meetings]
        changed = self._commit(self._attempt(uids, self.settings.blocks(uids)), last_try=last_try)
        return [meeting for meeting in meetings if meeting.uid in changed]

    def _attempt(self, uids: Sequence[str], blocks: Mapping[str, MeetingBlock]) -> list[_Outcome]:
        """What becomes of each meeting as it stands in the mailbox now; it may have changed since it was listed."""
        stored = self.mailbox.read(uids)
        return [
            self._settle(found.listed) or self._rewrite(found, blocks[uid])
            for uid in uids
            if (found := stored.get(uid))  # what was deleted since then needs nothing
        ]

    def _rewrite(self, stored: Stored, block: MeetingBlock) -> _Outcome:
        meeting = stored.listed
        try:
            rewritten = rewrite(
                stored.body,
                block,
                now=timezone.now(),
                belongs_to_someone_else=self._colleagues.have,
            )
        except Declined as declined:
            # Of the two that leave questions open, the detail says what exactly was found.
            detail = declined.detail if declined.reason in {"needs-review", "pasted-block"} else ""
            return self._outcome(meeting, MeetingResult.Outcome.SKIPPED, declined.reason, detail)
        except UnreadableCalendar as error:
            return self._outcome(meeting, MeetingResult.Outcome.FAILED, "unreadable-calendar-object", str(error))
        except Exception:
            log.exception("run %s: meeting %r failed unexpectedly", self.run.correlation_id, meeting.uid)
            reference = f"reference {self.run.correlation_id}"
            return self._outcome(meeting, MeetingResult.Outcome.FAILED, "internal-error", reference)
        outcome = self._outcome(meeting, MeetingResult.Outcome.SUCCEEDED)
        outcome.result.sequence = rewritten.sequence
        outcome.result.spans = pack(rewritten.spans)
        outcome.write = Write(meeting.uid, stored.etag, rewritten.body)
        outcome.recipient_count = meeting.recipient_count
        return outcome

    def _outcome(self, meeting: Listed, outcome: str, code: str = "", detail: str = "") -> _Outcome:
        return _Outcome(
            MeetingResult(
                run=self.run,
                uid=meeting.uid,
                subject=meeting.subject,
                starts_at=meeting.starts_at,
                attendee_count=meeting.attendee_count,
                outcome=outcome,
                code=code,
                detail=detail[:500],
            )
        )

    @transaction.atomic
    def _commit(self, outcomes: list[_Outcome], last_try: bool = True) -> set[str]:
        """Mailbox writes, results, outbox rows and the run's counters, all or nothing; who was not written."""
        writes = [outcome.write for outcome in outcomes if outcome.write]
        written = self.mailbox.write(writes) if writes else set()
        if written and not self._has_begun_to_write:
            self._begin_to_write()
            self._has_begun_to_write = True
        unwritten = {write.uid for write in writes} - written
        if unwritten and last_try:
            for outcome in outcomes:
                if outcome.result.uid in unwritten:
                    failed = outcome.result
                    failed.outcome, failed.code = MeetingResult.Outcome.FAILED, "meeting-kept-changing"
                    failed.sequence = failed.spans = outcome.write = None
            unwritten = set()
        final = [outcome for outcome in outcomes if outcome.result.uid not in unwritten]
        insert([outcome.result for outcome in final])
        told = [outcome for outcome in final if outcome.write and outcome.recipient_count]
        if self._earlier_runs:
            self._supersede([outcome.result.uid for outcome in told])
        keys = dict(self.run.results.filter(uid__in=[outcome.result.uid for outcome in told]).values_list("uid", "pk"))
        insert([Update(result_id=keys[o.result.uid], recipient_count=o.recipient_count) for o in told])
        run, kinds = self.run, [outcome.result.outcome for outcome in final]
        if any(outcome.write or outcome.result.code == "already-current" for outcome in final):
            run.settings_fingerprint = self._settings_of_all_attempts
        queue.hold(
            run,
            settings_fingerprint=run.settings_fingerprint,
            total_meetings=run.total_meetings,
            succeeded_meetings=run.succeeded_meetings + kinds.count(MeetingResult.Outcome.SUCCEEDED),
            skipped_meetings=run.skipped_meetings + kinds.count(MeetingResult.Outcome.SKIPPED),
            failed_meetings=run.failed_meetings + kinds.count(MeetingResult.Outcome.FAILED),
            invites_update=run.invites_update + len(told),
        )
        if not self.settings.has_public_id:
            # An ID that was given out for a meeting which does not show it now is free again.
            useless = [o.result.uid for o in final if not o.write and o.result.uid in self.settings.newly_numbered]
            release_private_conference_ids(self.user, useless)
        return unwritten

    def _begin_to_write(self) -> None:
        if self.user.invitations_fingerprint != self.settings.fingerprint:
            fingerprints.become_unknown(self.user)
            fingerprints.add_numbers(self.user, self.settings.number_keys)

    @property
    def _settings_of_all_attempts(self) -> str:
        """The fingerprint of the settings that this attempt and those before it found and left meetings with."""
        known = self.run.settings_fingerprint
        return self.settings.fingerprint if known in {"", self.settings.fingerprint} else MIXED

    def _supersede(self, uids: list[str]) -> None:
        """An update that still waits while the meeting changes again is not sent: the newer one says it all."""
        earlier = MeetingResult.objects.filter(run__in=self._earlier_runs, uid__in=uids)
        pks = list(earlier.filter(update__state=Update.State.QUEUED).values_list("pk", flat=True))
        if pks:
            Update.objects.filter(pk__in=pks, state=Update.State.QUEUED, lease_token=None).update(
                state=Update.State.SUPERSEDED
            )

    @cached_property
    def _earlier_runs(self) -> list[int]:
        return list(Run.objects.filter(user=self.user).exclude(pk=self.run.pk).values_list("pk", flat=True))

    def _judge(self) -> None:
        """Fail the run where a meeting failed; one that waiting may cure decides over those that it cannot."""
        if not self.run.failed_meetings:
            return
        failed = list(
            self.run.results.filter(outcome=MeetingResult.Outcome.FAILED).values_list("code", flat=True).order_by("pk")
        )
        curable = [code for code in failed if FAILED[code].cures_by_waiting]
        plural = "meeting" if len(failed) == 1 else "meetings"
        raise Failure((curable or failed)[0], f"{len(failed)} {plural} of {self.run.total_meetings}")
