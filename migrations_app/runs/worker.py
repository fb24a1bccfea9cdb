"""Working one run: look at the user's meetings, commit what becomes of them, and record how it ended."""

from __future__ import annotations

import logging
from functools import partial
from time import monotonic

from django.db import transaction
from django.db.models import Count

from migrations_app.failures import FAILED, LEFT_FOR_A_PERSON, Failure
from migrations_app.mailboxes.base import Listed
from migrations_app.models import MeetingResult, Run
from migrations_app.models.runs import reference_to
from migrations_app.monitoring import samples
from migrations_app.runs import dial_in_said, queue
from migrations_app.runs.commit import Committer, MigrationCommitter
from migrations_app.runs.outcomes import BATCH, Outcomes, in_batches
from migrations_app.runs.undo_commit import UndoCommitter
from migrations_app.runs.undoing import Undoing
from tenants_app.bulk import batched
from tenants_app.sentences import sentence_plural

log = logging.getLogger(__name__)

MEASURED_EVERY = 15
"""Seconds of one run, after which its worker looks whether the minute that is over was measured (``samples``)."""


def work_run(run: Run) -> None:
    """Work a claimed run to its end and record how it ended. Never raises for what happens inside the run."""
    try:
        _work(run)
    except queue.LeaseLost as lost:
        log.warning("%s was taken over by another worker", lost)


def _work(run: Run) -> None:
    attempt = None
    try:
        attempt = _Attempt(run)
        attempt.work()
    except queue.LeaseLost:
        raise
    except Failure as failure:
        log.warning("run %s failed: %s %s", run.correlation_id, failure.code, failure.detail)
        queue.fail(run, failure, again_at=attempt.outcomes.mailbox.note_failure(failure) if attempt else None)
    except Exception:
        log.exception("run %s failed unexpectedly", run.correlation_id)
        queue.fail(run, Failure("internal-error", reference_to(run)))
    else:
        attempt.succeed()


class _Attempt:
    """One attempt at one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.measured_at = monotonic()
        self.outcomes: Outcomes | Undoing
        self.committer: Committer
        if run.is_undo:
            self.outcomes = undoing = Undoing(run, before_each=self._before_each)
            self.committer = UndoCommitter(undoing)
        else:
            self.outcomes = migrating = Outcomes(run, before_each=self._before_each)
            self.committer = MigrationCommitter(migrating)

    def work(self) -> None:
        """Deal with every meeting. Raises ``Failure`` where one of them, or the mailbox, failed."""
        # One that only waited for its mail server has no attempt to its name, and may have results all the same.
        done = self._resume() if self.run.attempts > 1 or self.run.last_error_code else set()
        self.outcomes.mailbox.refresh(partial(queue.keep, self.run))
        todo, settled = self.outcomes.select(done)
        self.run.total_meetings = len(done) + len(todo) + len(settled)
        for some in batched(settled, 5 * BATCH):
            self.committer.commit(some)
        for meetings in in_batches(todo):
            left = meetings
            for tries in reversed(range(self.outcomes.mailbox.tries)):
                left = self._migrate(left, last_try=tries == 0) if left else left
        self._judge()
        queue.keep(self.run, self.outcomes.octets)  # the meetings that were left as they are are all read once more
        self.committer.search_what_was_left()

    def _before_each(self, octets: int) -> None:
        """Keep the run; and in a long one measure how all stand, which nobody else may be awake to do."""
        queue.keep(self.run, octets)
        if monotonic() > self.measured_at + MEASURED_EVERY:
            self.measured_at = monotonic()
            samples.take()

    def succeed(self) -> None:
        """End the run well, and note what the invitations say now."""
        with transaction.atomic():
            queue.lock_users([self.run.user_id])  # before their runs, as changes do
            queue.succeed(self.run)
            self.committer.record_what_invitations_say()
            self.committer.forget_intents()
        if isinstance(self.outcomes, Outcomes):
            dial_in_said.note_run(self.outcomes)

    def _resume(self) -> set[str]:
        """Start from what an earlier attempt committed; only what failed then is done again (R28)."""
        with transaction.atomic():
            # What was written all the same is not written again; its record is what an undo goes by.
            self.run.results.filter(outcome=MeetingResult.Outcome.FAILED, spans=None).delete()
            counts = dict(self.run.results.values_list("outcome").annotate(Count("pk")).order_by())
            queue.hold(
                self.run,
                succeeded_meetings=counts.get(MeetingResult.Outcome.SUCCEEDED, 0),
                skipped_meetings=counts.get(MeetingResult.Outcome.SKIPPED, 0),
                failed_meetings=counts.get(MeetingResult.Outcome.FAILED, 0),
                left_meetings=self.run.results.filter(code__in=LEFT_FOR_A_PERSON).count(),
            )
        return set(self.run.results.values_list("uid", flat=True))

    def _migrate(self, meetings: list[Listed], *, last_try: bool) -> list[Listed]:
        """Rewrite the meetings and commit. Returns those that somebody changed in between, to be tried again."""
        uids = [meeting.uid for meeting in meetings]
        outcomes = self.outcomes.of(uids)
        queue.keep(self.run, sum(len(outcome.write.body) for outcome in outcomes if outcome.write))
        changed = self.committer.commit(outcomes, last_try=last_try)
        return [meeting for meeting in meetings if meeting.uid in changed]

    def _judge(self) -> None:
        """Raise ``Failure`` where a meeting failed, with a code that waiting may cure if there is one."""
        if self.outcomes.unavailable:
            raise self.outcomes.unavailable
        if not self.run.failed_meetings:
            return
        failed = list(
            self.run.results.filter(outcome=MeetingResult.Outcome.FAILED).values_list("code", flat=True).order_by("pk")
        )
        curable = [code for code in failed if FAILED[code].cures_by_waiting]
        raise Failure(
            (curable or failed)[0],
            sentence_plural(
                "%(n)s meeting of %(total)s",
                "%(n)s meetings of %(total)s",
                len(failed),
                total=str(self.run.total_meetings),
            ),
        )
