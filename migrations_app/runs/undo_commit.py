"""Writing what an undo put back, with what keeps numbers and IDs that invitations show again."""

from __future__ import annotations

from collections.abc import Sequence

from migrations_app.models import MeetingResult, Run
from migrations_app.monitoring import clock
from migrations_app.runs import queue
from migrations_app.runs.commit import Committer
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.queue import RunRequest
from migrations_app.runs.undoing import Undoing
from migrations_app.targets import Targets
from migrations_app.triggers.rules import Reason
from tenants_app import fingerprints
from tenants_app.changes.conference_ids import note_shown_again
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.sentences import sentence


class UndoCommitter(Committer):
    """Of a run that puts meetings back. Afterwards the user is out of date (R36)."""

    def __init__(self, outcomes: Undoing) -> None:
        super().__init__(outcomes)
        self._undoing = outcomes

    def forget_intents(self) -> None:
        if self._mailbox.is_outside:
            self._intents.forget_own()

    def record_what_invitations_say(self) -> None:
        """Where nothing was put back, nothing is there that the next change may not overwrite, and the run whose place
        the undo took is still wanted."""
        if not self._run.succeeded_meetings:
            lift_hold(self._run)
            request_again(self._run)

    def _before_writing(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the numbers and IDs that come back from being given away meanwhile (R35).

        The tenant first, then the user, then what belongs to them, as all changes lock. A number that was released
        since the meeting was judged does not come back, nor an ID that somebody else was given: that meeting is left.
        """
        written = [outcome for outcome in outcomes if outcome.write]
        if not written:
            return
        wait_for_others(self._user.tenant)
        queue.lock_users([self._user.pk])
        numbers = {number for outcome in written for number in outcome.shown_numbers}
        locked = ServiceNumber.objects.select_for_update(no_key=True).filter(pk__in=numbers).order_by("pk")
        there = set(locked.values_list("pk", flat=True))
        taken = self._undoing.taken_by_now(written)
        for outcome in written:
            uid = outcome.result.uid
            if not there.issuperset(outcome.shown_numbers):
                _leave(outcome, "number-released")
            elif uid in taken:
                _leave(outcome, "conference-id-taken", taken[uid])
        if not any(outcome.write for outcome in written):
            return
        fingerprints.become_unknown(self._user)
        fingerprints.add_numbers(self._user, there)
        note_shown_again(self._user, {digits for outcome in written for digits in outcome.shown_ids if outcome.write})

    def _settled_by(self, outcomes: Sequence[Outcome]) -> set[str]:
        """What is left as it is may be what another run has announced, and not told yet."""
        return {outcome.result.uid for outcome in outcomes if outcome.is_written}


def lift_hold(run: Run) -> None:
    """Let changes start runs of the user again, because the undo has put nothing back; unless an earlier one has, and
    no run was begun for the user's mailbox since."""
    earlier = Run.objects.filter(user=run.user_id, pk__lt=run.pk).exclude(migration_type=run.migration_type)
    since = earlier.exclude(last_error_code="undone-instead", attempts=0).order_by("-pk")
    last = next((each.pk for each in since.only("pk", "reasons").iterator(chunk_size=10) if not each.is_of_tool), 0)
    undos = Run.objects.filter(user=run.user_id, migration_type=run.migration_type, pk__gt=last)
    if not MeetingResult.objects.filter(run__in=undos, outcome=MeetingResult.Outcome.SUCCEEDED).exists():
        ConferencingUser.objects.filter(pk=run.user_id).update(undo_holds=False)


def request_again(run: Run) -> None:
    """Request the run anew that was withdrawn for the undo, or for one before it that did not end well either, where
    nothing holds: otherwise what it was asked for, such as another bridge, would reach no invitation."""
    user = ConferencingUser.objects.select_related("tenant", "bridge").get(pk=run.user_id)
    earlier = Run.objects.filter(user=run.user_id, pk__lt=run.pk).order_by("-pk")
    last = earlier.exclude(migration_type=run.migration_type).first()
    if user.undo_holds or last is None or last.last_error_code != "undone-instead":
        return
    reasons = [Reason(**reason) for reason in last.reasons]
    why = Reason(
        "R45", sentence("The undo %(run)s that took its place has put nothing back.", run=str(run.correlation_id))
    )
    asked = RunRequest(user, [*reasons, why], Targets.of(last.targets))
    queue.request_runs(user.tenant, [asked], last.requested_by, now_due=last.due_at <= clock.now())


def _leave(outcome: Outcome, code: str, detail: str = "") -> None:
    result = outcome.result
    result.outcome, result.code, result.detail = MeetingResult.Outcome.SKIPPED, code, detail
    result.sequence = result.spans = outcome.write = None
    result.digest, result.join_url_after = "", result.join_url_before
    outcome.replaced = outcome.leads_into = outcome.seen = ()
    outcome.recipient_count, outcome.mailed_parts = 0, ()
