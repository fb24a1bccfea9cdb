"""Answers of people to manual checks: appended, never changed (R72)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import CheckAnswer, RolloutCheck, Wave
from migrations_app.monitoring import clock
from migrations_app.rollouts.gates import last_answers
from migrations_app.rollouts.recording import settle_gate
from tenants_app.audit import Actor, entry
from tenants_app.sentences import sentence

LONGEST_NOTE = 2000


def why_not(check: RolloutCheck) -> str:
    """Why the check cannot be answered any more, or never could; empty where it can.

    ``check.rollout`` with its deployments, and ``check.wave``, should be loaded already.
    """
    if not check.is_manual:
        return sentence("“%(check)s” is measured by MMS: check it instead of answering.", check=check.name)
    return why_over(check)


def why_over(check: RolloutCheck) -> str:
    """Why nobody asks the check any more; empty where it is asked."""
    if check.removed_at:
        return sentence("“%(check)s” was removed by %(who)s.", check=check.name, who=check.removed_by)
    if check.rollout.is_finished:
        return sentence("The rollout has ended: its checks are not asked any more.")
    for deployment in (check.rollout.legacy, check.rollout.new):
        if deployment.retired_at:
            return sentence(
                "%(deployment)s has been retired on %(when)s: its checks have stopped.",
                deployment=deployment.name,
                when=deployment.retired_at,
            )
    if check.wave and check.wave.state in Wave.ENDED:
        return sentence("The wave %(wave)s has ended: its checks are not asked any more.", wave=check.wave.name)
    return ""


def expires_at(check: RolloutCheck, now: datetime) -> datetime | None:
    """When the next of the answers that count will count no more, which may close its gate: somebody has to see that.
    None where none will."""
    if not check.valid_for:
        return None
    ends = [each.at + timedelta(seconds=check.valid_for + 1) for each in last_answers([check])[check.pk]]
    return min((end for end in ends if end > now), default=None)


@transaction.atomic
def answer(check: RolloutCheck, said: CheckAnswer.Answer, note: str, actor: Actor) -> CheckAnswer:
    """Append what a person answers. Raises ``ValidationError`` where the check takes none, or a note is missing."""
    rows = RolloutCheck.objects.select_related("rollout__tenant", "rollout__legacy", "rollout__new", "wave")
    locked = rows.select_for_update(of=("self",)).get(pk=check.pk)
    if why := why_not(locked):
        raise ValidationError(why)
    note = note.strip()
    if said != CheckAnswer.Answer.YES and not note:
        raise ValidationError({"note": sentence("Say in a note why: it is asked for with “no” and “not applicable”.")})
    given = CheckAnswer(rollout_check=locked, at=clock.now(), by=actor.name, answer=said, note=note)
    given.full_clean(exclude=["rollout_check"], validate_constraints=False)
    given.save()
    if locked.valid_for:
        locked.due_at = expires_at(locked, given.at)
        locked.save(update_fields=["due_at"])
    entry(
        locked.rollout.tenant,
        actor,
        "answer check",
        f"{locked.rollout.name}: {locked.name}",
        after={"answer": given.answer, "note": given.note},
    ).save()
    if locked.wave_id:
        settle_gate(locked.wave_id)
    return given
