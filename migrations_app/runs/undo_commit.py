"""Writing what an undo put back, with what keeps numbers and IDs that invitations show again."""

from __future__ import annotations

from collections.abc import Sequence

from migrations_app.models import MeetingResult, Run
from migrations_app.runs import queue
from migrations_app.runs.commit import Committer
from migrations_app.runs.outcomes import Outcome
from tenants_app import fingerprints
from tenants_app.changes.conference_ids import note_shown_again
from tenants_app.models import ConferencingUser, ServiceNumber


class UndoCommitter(Committer):
    """Of a run that puts meetings back. Afterwards the user is out of date (R36)."""

    def forget_intents(self) -> None:
        if self._mailbox.is_outside:
            self._intents.forget_own()

    def record_what_invitations_say(self) -> None:
        """Where nothing was put back, nothing is there that the next change may not overwrite."""
        if not self._run.succeeded_meetings:
            lift_hold(self._run)

    def _before_writing(self, outcomes: Sequence[Outcome]) -> None:
        """Keep the numbers and IDs that come back from being given away meanwhile (R35).

        The user first, then what belongs to them, as all changes lock. A number that was released since the meeting was
        judged does not come back: that meeting is left.
        """
        written = [outcome for outcome in outcomes if outcome.write]
        if not written:
            return
        queue.lock_users([self._user.pk])
        numbers = {number for outcome in written for number in outcome.shown_numbers}
        locked = ServiceNumber.objects.select_for_update(no_key=True).filter(pk__in=numbers).order_by("pk")
        there = set(locked.values_list("pk", flat=True))
        for outcome in written:
            if not there.issuperset(outcome.shown_numbers):
                _leave(outcome)
        if not any(outcome.write for outcome in written):
            return
        fingerprints.become_unknown(self._user)
        fingerprints.add_numbers(self._user, there)
        note_shown_again(self._user, {digits for outcome in written for digits in outcome.shown_ids if outcome.write})

    def _settled_by(self, outcomes: Sequence[Outcome]) -> set[str]:
        """What is left as it is may be what another run has announced, and not told yet."""
        return {outcome.result.uid for outcome in outcomes if outcome.is_change}


def lift_hold(run: Run) -> None:
    """Let changes start runs of the user again, because the undo has put nothing back; unless an earlier one has."""
    since = Run.objects.filter(user=run.user_id, pk__lt=run.pk).exclude(migration_type=run.migration_type)
    last = since.order_by("-pk").values_list("pk", flat=True).first() or 0
    undos = Run.objects.filter(user=run.user_id, migration_type=run.migration_type, pk__gt=last)
    if not MeetingResult.objects.filter(run__in=undos, outcome=MeetingResult.Outcome.SUCCEEDED).exists():
        ConferencingUser.objects.filter(pk=run.user_id).update(undo_holds=False)


def _leave(outcome: Outcome) -> None:
    result = outcome.result
    result.outcome, result.code = MeetingResult.Outcome.SKIPPED, "number-released"
    result.sequence = result.spans = outcome.write = None
    result.digest, result.join_url_after = "", result.join_url_before
    outcome.replaced = outcome.leads_into = outcome.seen = ()
    outcome.recipient_count = 0
