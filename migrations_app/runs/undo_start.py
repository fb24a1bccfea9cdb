"""Starting an undo: which runs can be undone, and why others cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import Run
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.queue import UndoRequest, lock_users, request_undo
from migrations_app.runs.undoing import Undoing, changed_meetings, put_back
from migrations_app.targets import UNDO
from migrations_app.triggers.rules import Reason, why_not_reachable
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.sentences import Sentence, sentence, sentence_plural
from tenants_app.signals import Consequence
from tenants_app.user_settings import UserSettings
from tenants_app.wording import sentences


def why_not_undone(run: Run, chosen: Collection[str] | None = None) -> str:
    """Why the run, or the chosen meetings (UIDs) of it, cannot be undone now, in one sentence; empty where it can."""
    if run.is_undo:
        return sentence(
            "This run is an undo itself: to undo it, start a run of the user, which brings the meetings up to date."
        )
    if run.is_of_tool:
        return sentence(
            "The Meeting Migration Tool did this, in files that MMS does not keep: use the files from before it."
        )
    open_runs = Run.objects.filter(user=run.user_id, state=Run.State.IN_PROGRESS)
    if open_runs.exists():
        return sentence("A run of the user is in progress: wait until it has ended, then undo.")
    if Run.objects.filter(user=run.user_id, state=Run.State.PENDING, migration_type=UNDO).exists():
        return sentence("An undo of the user is pending: wait until it has ended.")
    obstacle = why_not_reachable(UserSettings.of(run.user, ""))
    if obstacle:
        return sentence("MMS cannot put the meetings back, because %(why)s.", why=obstacle.sentence)
    changed = {result.uid for result in changed_meetings(run)}
    if not changed:
        return sentence("This run has changed no meeting, so there is nothing to undo.")
    if chosen is not None:
        if not chosen:
            return sentence("No meeting is chosen: choose at least one.")
        unknown = sorted(set(chosen) - changed)
        if unknown:
            return sentence(
                "The run has not changed the meeting %(uid)s, so it cannot be put back: look again.",
                uid=unknown[0][:200],
            )
        changed = set(chosen)
    if changed <= put_back(run):
        if len(changed) == 1:
            return sentence("This meeting was put back already, and nothing is undone twice.")
        return sentence("All of these meetings were put back already, and nothing is undone twice.")
    return ""


def undone_since(users: Collection[int], since: datetime) -> set[int]:
    """Those of the users (keys) whose undo holds and was asked for since then: who decided before did not know of it.

    Holds their rows, after the tenant's, so that it stays true until the caller's transaction ends.
    """
    found: set[int] = set()
    for some in batched(sorted(users)):
        lock_users(some)
        undos = Run.objects.filter(user__in=some, user__undo_holds=True, migration_type=UNDO, created__gte=since)
        found |= set(undos.values_list("user_id", flat=True))
    return found


def foreseen_undo(run: Run, chosen: Sequence[str] | None = None) -> Iterator[Outcome]:
    """What undoing the run, or these meetings of it, would make of each meeting. Raises ``Failure`` as it would."""
    return undoing_of(run, chosen).foreseen()


def undoing_of(run: Run, chosen: Sequence[str] | None = None) -> Undoing:
    """An undo of the run, or of these meetings of it, that is not started. Raises ``Failure`` as it would."""
    return Undoing(Run(tenant=run.tenant, user=run.user, undoes=run, chosen=chosen, targets={}, migration_type=UNDO))


@transaction.atomic
def start_undo(run: Run, actor: Actor, *, chosen: Sequence[str] | None = None, now_due: bool = False) -> Run:
    """Put the run's meetings, or the chosen ones (UIDs), back as they were and tell their attendees; the new run.

    Done while the service is off, too (R12). Raises ``ValidationError`` with one sentence where it cannot be undone.
    """
    lock_users([run.user_id])  # nobody requests or joins a run of theirs before this is committed
    known = Run.objects.select_related("tenant", "user__tenant", "user__bridge")
    run = known.select_for_update(of=("self",)).get(pk=run.pk)  # nor is it forgotten (runs/pruning.py)
    refusal = why_not_undone(run, chosen)
    if refusal:
        raise ValidationError(refusal)
    told = _told_of(run, actor, chosen)
    undo = request_undo(UndoRequest(run, Reason("R45", told), chosen), actor.name, now_due=now_due)
    after = {"run": str(run.correlation_id), **({} if chosen is None else {"meetings": list(chosen)[:20]})}
    entry(run.tenant, actor, "undo migration", run.user.upn, after=after, consequence=told).save()
    return undo


def _told_of(run: Run, actor: Actor, chosen: Sequence[str] | None) -> Sentence:
    if chosen is None:
        return sentence("Undo of the run %(run)s, started by %(actor)s.", run=str(run.correlation_id), actor=actor.name)
    return sentence_plural(
        "Undo of %(n)s meeting of the run %(run)s, started by %(actor)s.",
        "Undo of %(n)s meetings of the run %(run)s, started by %(actor)s.",
        len(chosen),
        run=str(run.correlation_id),
        actor=actor.name,
    )


def undo_again(ended: Run, actor: Actor) -> Run:
    """Start an undo once more that has failed, due at once. Raises ``ValidationError`` as :func:`start_undo` does."""
    if ended.undoes is None:
        raise ValidationError(
            sentence("The run that was to be undone is not in the history any more, so it cannot be undone.")
        )
    return start_undo(ended.undoes, actor, chosen=ended.chosen, now_due=True)


def again(undos: Iterable[Run], actor: Actor) -> list[tuple[Run, Consequence]]:
    """Start these failed undos once more, each as :func:`undo_again` does; with each what follows, or why nothing."""
    told = []
    for ended in undos:
        try:
            undo_again(ended, actor)
            told.append((ended, Consequence(ended.user.upn, True, sentence("Undo, because it was started again."))))
        except ValidationError as error:
            told.append((ended, Consequence(ended.user.upn, False, sentences(error))))
    return told
