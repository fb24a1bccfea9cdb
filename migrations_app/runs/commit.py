"""Writing what became of meetings: some at a time, each time everything about them or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from django.db import transaction

from migrations_app.models import MeetingResult, Run, Update
from migrations_app.monitoring import clock
from migrations_app.rewriting.written_numbers import shown_numbers
from migrations_app.runs import queue
from migrations_app.runs.outcomes import BATCH, LEFT_AS_THEY_ARE, Outcome, Outcomes
from tenants_app import fingerprints
from tenants_app.bulk import batched, insert
from tenants_app.changes.conference_ids import release_private_conference_ids

MIXED = "mixed"
"""Stands for the fingerprint where a run's attempts had different settings: it equals the fingerprint of no user."""


class Committer:
    """Writes for one attempt at a run. Every method may raise ``LeaseLost``; then nothing of it was written."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._run = outcomes.run
        self._user = outcomes.user
        self._settings = outcomes.settings
        self._mailbox = outcomes.mailbox
        self._has_begun_to_write = False

    @transaction.atomic
    def commit(self, outcomes: Sequence[Outcome], *, last_try: bool = True) -> set[str]:
        """Write mailbox, results, messages to send and the run's counters in one transaction.

        Returns the UIDs of meetings that somebody changed since they were read: of these nothing was written, so that
        they can be looked at once more. On the ``last_try`` they fail instead, and none is returned.
        """
        writes = [outcome.write for outcome in outcomes if outcome.write]
        written = self._mailbox.write(writes) if writes else set()
        if written:
            self._begin_to_write()
        unwritten = {write.uid for write in writes} - written
        if unwritten and last_try:
            _fail(outcomes, unwritten)
            unwritten = set()
        final = [outcome for outcome in outcomes if outcome.result.uid not in unwritten]
        insert([outcome.result for outcome in final])
        told = self._queue_updates(final)
        self._count(final, told)
        if not self._settings.has_public_id:
            # An ID that was given out for a meeting that does not show it after all is free again.
            numbered = self._settings.newly_numbered
            useless = [each.result.uid for each in final if not each.write and each.result.uid in numbered]
            release_private_conference_ids(self._user, useless)
        return unwritten

    def record_what_invitations_say(self) -> None:
        """The run has ended well: all invitations say what the settings asked for, but for those left alone (R36).

        Where an earlier attempt had other settings, some invitations follow those: then the user stays out of date.
        """
        if self._settings_of_all_attempts == self._settings.fingerprint:
            numbers = self._settings.number_keys | self._numbers_left()
            fingerprints.record(self._user, self._settings.fingerprint, numbers)

    def _numbers_left(self) -> set[int]:
        """The old service numbers that the meetings which were left alone still show."""
        others = self._user.invited_numbers.select_related("number").exclude(number__in=self._settings.number_keys)
        old = {row.number.number: row.number_id for row in others}
        left = self._run.results.filter(code__in=LEFT_AS_THEY_ARE).values_list("uid", flat=True)
        found: set[str] = set()
        for uids in batched(left, BATCH) if old else ():
            for stored in self._mailbox.read(uids).values():
                found |= shown_numbers(stored.body, old.keys() - found)
        return {old[number] for number in found}

    def _begin_to_write(self) -> None:
        """From the first write on, what the invitations say is not known until the run has ended well."""
        if not self._has_begun_to_write and self._user.invitations_fingerprint != self._settings.fingerprint:
            fingerprints.become_unknown(self._user)
            fingerprints.add_numbers(self._user, self._settings.number_keys)
        self._has_begun_to_write = True

    def _queue_updates(self, outcomes: Sequence[Outcome]) -> int:
        """Queue a message for each changed meeting that has somebody to tell. Returns how many these are."""
        told = {outcome.result.uid: outcome for outcome in outcomes if outcome.write and outcome.recipient_count}
        if self._earlier_runs:
            self._supersede(list(told))
        keys = dict(self._run.results.filter(uid__in=list(told)).values_list("uid", "pk"))
        now = clock.now()
        insert(
            [
                Update(result_id=keys[uid], recipient_count=each.recipient_count, queued_at=now, due_at=now)
                for uid, each in told.items()
            ]
        )
        return len(told)

    def _supersede(self, uids: list[str]) -> None:
        """Withdraw the earlier updates of these meetings that were not sent yet: the newer one replaces them."""
        earlier = MeetingResult.objects.filter(run__in=self._earlier_runs, uid__in=uids)
        pks = list(earlier.filter(update__state=Update.State.QUEUED).values_list("pk", flat=True))
        if pks:
            Update.objects.filter(pk__in=pks, state=Update.State.QUEUED, lease_token=None).update(
                state=Update.State.SUPERSEDED
            )

    @cached_property
    def _earlier_runs(self) -> list[int]:
        return list(Run.objects.filter(user=self._user).exclude(pk=self._run.pk).values_list("pk", flat=True))

    def _count(self, outcomes: Sequence[Outcome], told: int) -> None:
        """Bring the run's counters up to date, and renew its lease."""
        run, kinds = self._run, [outcome.result.outcome for outcome in outcomes]
        if any(outcome.write or outcome.result.code == "already-current" for outcome in outcomes):
            run.settings_fingerprint = self._settings_of_all_attempts
        queue.hold(
            run,
            settings_fingerprint=run.settings_fingerprint,
            total_meetings=run.total_meetings,
            succeeded_meetings=run.succeeded_meetings + kinds.count(MeetingResult.Outcome.SUCCEEDED),
            skipped_meetings=run.skipped_meetings + kinds.count(MeetingResult.Outcome.SKIPPED),
            failed_meetings=run.failed_meetings + kinds.count(MeetingResult.Outcome.FAILED),
            invites_update=run.invites_update + told,
        )

    @property
    def _settings_of_all_attempts(self) -> str:
        """The fingerprint of the settings that all attempts of the run worked with, or MIXED."""
        known = self._run.settings_fingerprint
        return self._settings.fingerprint if known in {"", self._settings.fingerprint} else MIXED


def _fail(outcomes: Sequence[Outcome], uids: set[str]) -> None:
    """Let these meetings fail, because each was changed again before it could be written."""
    for outcome in outcomes:
        if outcome.result.uid in uids:
            failed = outcome.result
            failed.outcome, failed.code = MeetingResult.Outcome.FAILED, "meeting-kept-changing"
            failed.sequence = failed.spans = outcome.write = None
