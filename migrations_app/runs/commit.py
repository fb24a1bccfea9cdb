"""Writing what became of meetings: some at a time, each time everything about them or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial

from django.db import transaction
from django.utils import timezone

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.revision import highest_sequence
from migrations_app.calendars.schedule_status import not_told
from migrations_app.failures import LEFT_FOR_A_PERSON, Failure
from migrations_app.mailboxes.base import PartlyWritten, Stored, Write, WrittenAmiss
from migrations_app.models import MeetingResult, Run, Update, UpdateText
from migrations_app.monitoring import clock
from migrations_app.rewriting.as_stored import as_stored
from migrations_app.rewriting.spans import pack
from migrations_app.rewriting.unchanged import digest_of
from migrations_app.rewriting.written_numbers import digits_in, shown_numbers
from migrations_app.runs import queue
from migrations_app.runs.intents import Intents
from migrations_app.runs.left import note_undelivered
from migrations_app.runs.outcomes import BATCH, Outcome, Outcomes
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from migrations_app.runs.undoing import Undoing
from migrations_app.runs.untold import note_untold
from migrations_app.targets import UNDO, Targets
from tenants_app import fingerprints
from tenants_app.bulk import batched, insert
from tenants_app.changes.conference_ids import note_taken_out, release_private_conference_ids
from tenants_app.models import ConferencingUser
from tenants_app.sentences import at_most, sentence

MIXED = "mixed"
"""Stands for the fingerprint where a run's attempts had different settings: it equals the fingerprint of no user."""


class Committer:
    """Writes for one attempt at a run, whatever it does to meetings; what else is noted of it says each subclass.

    Every method may raise ``LeaseLost``; then nothing of it was written.
    """

    def __init__(self, outcomes: Outcomes | Undoing) -> None:
        self._run = outcomes.run
        self._user = outcomes.user
        self._mailbox = outcomes.mailbox
        self._remembered = outcomes.remembered
        self._has_settled = False

    def commit(self, outcomes: Sequence[Outcome], *, last_try: bool = True) -> set[str]:
        """Write mailbox, results, messages to send and the run's counters, in one transaction where that can be.

        A mailbox outside is written between two transactions; see :mod:`migrations_app.runs.intents`. Where that
        raises ``Failure``, the intents tell the next attempt what it has to settle.

        Returns the UIDs of meetings that somebody changed since they were read: of these nothing was written, so that
        they can be looked at once more. On the ``last_try`` they fail instead, and none is returned.
        """
        if not self._mailbox.is_outside:
            with transaction.atomic():
                self._before_writing(outcomes)
                writes = _writes(outcomes)
                return self._record(outcomes, self._mailbox.write(writes) if writes else {}, last_try=last_try)
        self._has_settled |= self._intents.settle(outcomes)
        if _writes(outcomes):
            with transaction.atomic():
                self._before_writing(outcomes)
                self._begin_to_write()
                self._intents.announce(outcomes, in_parts=self._mailbox.writes_in_parts)
                queue.hold(self._run)
        writes = _writes(outcomes)
        answers: Mapping[str, Failure | Stored | None] = {}
        failure = None
        try:
            if writes:
                answers = self._mailbox.write(writes, partial(queue.keep, self._run))
        except PartlyWritten as partly:
            # The run may never be taken up again, and what was written is to be told all the same.
            answers, failure = partly.answers, partly.failure
            outcomes = [outcome for outcome in outcomes if outcome.result.uid in answers]
        with transaction.atomic():
            left = self._record(outcomes, answers, last_try=last_try)
            # What was given up may be written in part, or whole: the next run settles that.
            given_up = {each.result.uid for each in outcomes if each.result.code == "meeting-kept-changing"}
            self._intents.forget(self._settled_by(outcomes) - left - given_up)
        if failure:
            raise failure
        return left

    def _record(
        self, outcomes: Sequence[Outcome], answers: Mapping[str, Failure | Stored | None], *, last_try: bool
    ) -> set[str]:
        amiss = {uid: answer for uid, answer in answers.items() if isinstance(answer, WrittenAmiss)}
        failed = {uid: answer for uid, answer in answers.items() if isinstance(answer, Failure)}
        refused = {uid: answer for uid, answer in failed.items() if uid not in amiss}
        _refuse(outcomes, refused)
        written = answers.keys() - refused.keys()
        if written:
            self._begin_to_write()
        unwritten = {outcome.write.uid for outcome in outcomes if outcome.write} - written
        if unwritten and last_try:
            _fail(outcomes, unwritten)
            unwritten = set()
        for outcome in outcomes:
            if outcome.write and outcome.write.uid in written:
                answer, body = answers[outcome.write.uid], outcome.write.body
                stored = answer.stored if isinstance(answer, WrittenAmiss) else answer
                before, outcome.body = outcome.before or outcome.body, b""  # what was judged stands there no more
                if isinstance(stored, Stored):  # the update is about the revision that the server made of it
                    outcome.body = body = stored.body
                    _take_stored(outcome, before, strictly=stored.is_moved_on)
                if isinstance(answer, WrittenAmiss):
                    result = outcome.result
                    result.outcome, result.code = MeetingResult.Outcome.FAILED, answer.code
                    result.detail = answer.detail
                self._note_text(body)
        final = [outcome for outcome in outcomes if outcome.result.uid not in unwritten]
        insert([outcome.result for outcome in final])
        told = self._queue_updates(final)
        self._remembered.remember(seen for outcome in final for seen in outcome.seen)
        if self._was_undone:
            self._remembered.renew(
                (each.result.uid, link) for each in final if each.is_change for link in each.leads_into
            )
        if any(outcome.has_own_blocks for outcome in final):
            fingerprints.note_own_blocks(self._user)
        self._count(final, told)
        self._note_more(final)
        return unwritten

    def forget_intents(self) -> None:
        """The run has ended well, in the caller's transaction: nothing is left to be settled."""
        if self._mailbox.is_outside:
            self._intents.forget_all()

    @property
    def _was_undone(self) -> bool:
        """Whether meetings of the user were ever put back, so that the newest of their links may not be theirs now."""
        return self._run.is_undo or UNDO in self._other_runs.values()

    @cached_property
    def _intents(self) -> Intents:
        return Intents(self._run, self._user, self._asked_for)

    def _queue_updates(self, outcomes: Sequence[Outcome]) -> int:
        """Queue a message for each changed meeting that has somebody to tell. Returns how many these are.

        Where the mailbox's server tells them, that is noted instead: the change was handed over to it (R24, R35).
        """
        told = {outcome.result.uid: outcome for outcome in outcomes if outcome.is_written and outcome.recipient_count}
        if self._earlier_runs:
            self._supersede(list(told))
        keys = dict(self._run.results.filter(uid__in=list(told)).values_list("uid", "pk"))
        now = clock.now()
        is_told_by_server = self._mailbox.tells_attendees
        by_server = {"state": Update.State.BY_SERVER, "sent_at": now}
        in_doubt = {"state": Update.State.FAILED, "error_code": Update.CUT_OFF}
        refused = {uid: _refused_by_server(each.body) for uid, each in told.items() if is_told_by_server and each.body}
        insert(
            [
                Update(
                    result_id=keys[uid],
                    tenant_id=self._user.tenant_id,
                    recipient_count=each.recipient_count,
                    queued_at=now,
                    due_at=now,
                    **(by_server if is_told_by_server else in_doubt if each.is_in_doubt else {}),
                    **refused.get(uid, {}),
                )
                for uid, each in told.items()
            ]
        )
        for uid, each in told.items():
            if refused.get(uid) or (each.is_in_doubt and not is_told_by_server):
                message = Update.objects.select_related("result__run__user").get(pk=keys[uid])
                note_undelivered(message, Failure(message.error_code, message.error_detail))
        if is_told_by_server:
            return 0
        if told:
            note_untold(self._user.tenant, self._kept_numbers, told, keys, self._earlier_runs)
        return sum(not each.is_in_doubt for each in told.values())

    def _supersede(self, uids: list[str]) -> None:
        """Withdraw the earlier updates of these meetings that were not sent yet: the newer one replaces them."""
        earlier = MeetingResult.objects.filter(run__in=self._earlier_runs, uid__in=uids)
        pks = list(earlier.filter(update__state=Update.State.QUEUED).values_list("pk", flat=True))
        if pks:
            Update.objects.filter(pk__in=pks, state=Update.State.QUEUED, lease_token=None).update(
                state=Update.State.SUPERSEDED
            )
            UpdateText.objects.filter(pk__in=pks, update__state=Update.State.SUPERSEDED).delete()

    @cached_property
    def _other_runs(self) -> dict[int, str]:
        """The user's other runs (keys), each with its migration type."""
        others = Run.objects.filter(user=self._user).exclude(pk=self._run.pk).order_by()
        return dict(others.values_list("pk", "migration_type"))

    @property
    def _earlier_runs(self) -> list[int]:
        return list(self._other_runs)

    def _count(self, outcomes: Sequence[Outcome], told: int) -> None:
        """Bring the run's counters up to date, and renew its lease."""
        run, kinds = self._run, [outcome.result.outcome for outcome in outcomes]
        left = sum(outcome.result.code in LEFT_FOR_A_PERSON for outcome in outcomes)
        self._note_settings(outcomes)
        queue.hold(
            run,
            settings_fingerprint=run.settings_fingerprint,
            total_meetings=run.total_meetings,
            succeeded_meetings=run.succeeded_meetings + kinds.count(MeetingResult.Outcome.SUCCEEDED),
            skipped_meetings=run.skipped_meetings + kinds.count(MeetingResult.Outcome.SKIPPED),
            failed_meetings=run.failed_meetings + kinds.count(MeetingResult.Outcome.FAILED),
            left_meetings=run.left_meetings + left,
            invites_update=run.invites_update + told,
        )

    # What each kind of run notes besides

    def _before_writing(self, outcomes: Sequence[Outcome]) -> None:
        """In the transaction that writes, or announces, before it does."""

    def _begin_to_write(self) -> None:
        """In the transaction with the first write."""

    def _note_text(self, body: bytes) -> None:
        """A text that was written."""

    def _note_more(self, outcomes: Sequence[Outcome]) -> None:
        """In the transaction of the results."""

    def _note_settings(self, outcomes: Sequence[Outcome]) -> None:
        """Before the run's counters are written."""

    def _settled_by(self, outcomes: Sequence[Outcome]) -> set[str]:
        """UIDs of the meetings whose announced writes these results settle."""
        return {outcome.result.uid for outcome in outcomes}

    @property
    def _asked_for(self) -> str:
        """What the run makes invitations say; the same again where a later run makes them say the same."""
        return f"undo of {self._run.undoes_id}"

    @property
    def _kept_numbers(self) -> Collection[int]:
        """Keys of the numbers that every changed meeting shows from now on."""
        return ()

    def search_what_was_left(self) -> None:
        """All meetings were dealt with: look once more at those that were left."""

    def record_what_invitations_say(self) -> None:
        """The run has ended well, in the caller's transaction."""


class MigrationCommitter(Committer):
    """Of a run that makes invitations say what the settings ask for."""

    def __init__(self, outcomes: Outcomes) -> None:
        super().__init__(outcomes)
        self._settings = outcomes.settings
        self._has_begun_to_write = False
        self._numbers_left: set[str] = set()

    def search_what_was_left(self) -> None:
        """Look in the meetings that were not changed for old numbers that they show; reads them once more."""
        left = self._run.results.exclude(code__in=NOT_THEIRS_TO_COME)
        # Of those that were changed in this attempt it is known already.
        if self._run.attempts == 1 and not self._has_settled:
            left = left.exclude(outcome=MeetingResult.Outcome.SUCCEEDED)
        now = timezone.now()
        for uids in batched(left.values_list("uid", flat=True), BATCH) if self._old_numbers else ():
            queue.keep(self._run)
            for stored in self._mailbox.read(uids).values():
                wanted = self._old_numbers.keys() - self._numbers_left
                self._numbers_left |= shown_numbers(stored.body, wanted, now)

    def record_what_invitations_say(self) -> None:
        """The run has ended well: all invitations say what the settings asked for, but for those left alone (R36).

        Where an earlier attempt had other settings, some invitations follow those: then the user stays out of date. So
        they do where the run was for the meetings of some services only (R40).
        """
        if not Targets.of(self._run.targets).selects_all or not self._is_their_mailbox_still():
            return
        if self._settings_of_all_attempts == self._settings.fingerprint:
            left = {self._old_numbers[number] for number in self._numbers_left}
            # What came in since was not looked for.
            shown = fingerprints.invited_numbers(self._user)
            left |= shown - {*self._old_numbers.values()}
            numbers = self._settings.number_keys | left
            fingerprints.record(self._user, self._settings.fingerprint, numbers, shown=shown)
            note_taken_out(self._user, self._run.finished_at or clock.now())

    def _is_their_mailbox_still(self) -> bool:
        """Whether the mailbox that was worked on is the one that the user has; in the caller's transaction, which holds
        the user. What another mailbox says is not known, whenever the user was given it (R36)."""
        users = ConferencingUser.objects.filter(pk=self._user.pk)
        if not any(users.values_list("mailbox", "tenant__mailbox").get()):
            return _place(self._user) is None
        user = users.select_related("tenant__mailbox", "mailbox").get()
        return _place(user) == _place(self._user)

    @property
    def _asked_for(self) -> str:
        return self._settings.fingerprint

    @property
    def _kept_numbers(self) -> Collection[int]:
        return self._settings.number_keys

    @cached_property
    def _old_numbers(self) -> dict[str, int]:
        """The service numbers, with their keys, that invitations may show besides those that they should (R35)."""
        others = self._user.invited_numbers.exclude(number__in=self._settings.number_keys)
        return dict(others.values_list("number__number", "number_id"))

    def _begin_to_write(self) -> None:
        """From the first write on, what the invitations say is not known until the run has ended well."""
        if not self._has_begun_to_write and self._user.invitations_fingerprint != self._settings.fingerprint:
            fingerprints.become_unknown(self._user)
            fingerprints.add_numbers(self._user, self._settings.number_keys)
        self._has_begun_to_write = True

    def _note_text(self, body: bytes) -> None:
        old = digits_in(body, self._old_numbers.keys() - self._numbers_left)
        self._numbers_left |= shown_numbers(body, old) if old else old

    def _note_more(self, outcomes: Sequence[Outcome]) -> None:
        if self._settings.gives_private_ids:
            # An ID that was given out for a meeting that does not show it after all is free again.
            numbered = self._settings.newly_numbered
            useless = [each.result.uid for each in outcomes if not each.is_written and each.result.uid in numbered]
            release_private_conference_ids(self._user, useless)

    def _note_settings(self, outcomes: Sequence[Outcome]) -> None:
        if any(outcome.is_change or outcome.result.code == "already-current" for outcome in outcomes):
            self._run.settings_fingerprint = self._settings_of_all_attempts

    @property
    def _settings_of_all_attempts(self) -> str:
        """The fingerprint of the settings that all attempts of the run worked with, or MIXED."""
        known = self._run.settings_fingerprint
        return self._settings.fingerprint if known in {"", self._settings.fingerprint} else MIXED


def _writes(outcomes: Sequence[Outcome]) -> list[Write]:
    return [outcome.write for outcome in outcomes if outcome.write]


def _take_stored(outcome: Outcome, before: bytes, *, strictly: bool) -> None:
    """Say of the meeting what its server has stored, whose way of writing texts down is its own. ``strictly``: what
    else has changed in the text may be somebody's edit, which an undo must not take back."""
    body, result = outcome.body, outcome.result
    result.sequence = highest_sequence(body, all_events(body))
    result.digest = digest_of(body)
    outcome.replaced = as_stored(before, outcome.replaced, body, strictly=strictly)
    result.spans = pack(outcome.replaced)


def _refused_by_server(body: bytes) -> dict[str, str]:
    """What an update says of the attendees whom the mailbox's server could not tell."""
    failed = not_told(body)
    if not failed:
        return {}
    (first, code), *others = failed.items()
    detail = (
        sentence("%(attendee)s and %(more)s more, status %(code)s", attendee=first, more=str(len(others)), code=code)
        if others
        else sentence("%(attendee)s, status %(code)s", attendee=first, code=code)
    )
    return {"error_code": "attendees-not-told-by-server", "error_detail": at_most(500, detail)}


def _refuse(outcomes: Sequence[Outcome], refused: Mapping[str, Failure]) -> None:
    """Let the meetings fail that the mailbox's server did not take."""
    for outcome in outcomes:
        failure = refused.get(outcome.result.uid)
        if failure:
            _fail_with(outcome, failure.code, failure.detail)


def _fail(outcomes: Sequence[Outcome], uids: set[str]) -> None:
    """Let these meetings fail, because each was changed again before it could be written."""
    for outcome in outcomes:
        if outcome.result.uid in uids:
            _fail_with(outcome, "meeting-kept-changing")


def _fail_with(outcome: Outcome, code: str, detail: str = "") -> None:
    failed = outcome.result
    failed.outcome, failed.code, failed.detail = MeetingResult.Outcome.FAILED, code, detail
    failed.sequence = failed.spans = outcome.write = None
    failed.digest = ""


def _place(user: ConferencingUser) -> tuple[int, str] | None:
    """Where the user's mailbox is; None in MMS itself."""
    connection = user.mailbox_connection
    return (connection.pk, connection.server) if connection else None
