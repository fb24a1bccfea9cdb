"""Opening a closed gate by hand: once, with a reason, and not by whoever alone has answered its checks (R76)."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import CheckAnswer, GateOpening, Rollout, RolloutEvent, Wave
from migrations_app.monitoring import clock
from migrations_app.rollouts import events
from migrations_app.rollouts.gates import Gate, gate_of, retirement_checklist
from migrations_app.rollouts.locking import locked_wave
from tenants_app.audit import Actor, entry
from tenants_app.sentences import one_after_the_other, sentence

SHORTEST_REASON, LONGEST_REASON = 20, 500
"""Characters."""
PASSED_ALREADY = (*Wave.ENDED, Wave.State.OBSERVING, Wave.State.ROLLING_BACK)
"""States of waves that have nothing more to go through their gate."""


def why_not(rollout: Rollout, gate: Gate, who: str) -> str:
    """Why this person cannot open the gate; empty where they can."""
    if rollout.is_finished or (gate.wave and gate.wave.state in PASSED_ALREADY):
        return sentence("Nothing is to go through this gate any more.")
    if not gate.closing:
        return sentence("All checks have passed: the gate is open.")
    if gate.opening:
        return sentence(
            "The gate is open: %(who)s has opened it by hand, and nothing has gone through it yet.",
            who=gate.opening.by,
        )
    if _answered_by(gate) == {who}:
        return sentence(
            "You are the only one who has answered its manual checks: let somebody else answer one of them, or open "
            "the gate."
        )
    return ""


@transaction.atomic
def open_gate(rollout: Rollout, wave: Wave | None, reason: str, actor: Actor) -> GateOpening:
    """Let one batch of the wave through its closed gate; without a wave, let the checklist of retirement be as it is.

    It is good for what closes the gate now: what another check closes afterwards stays closed. Raises
    ``ValidationError`` with a sentence.
    """
    rollout = Rollout.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=rollout.pk)
    if wave is not None:
        wave = locked_wave(wave)
    gate = gate_of(wave) if wave else retirement_checklist(rollout)
    if why := why_not(rollout, gate, actor.name):
        raise ValidationError(why)
    reason = " ".join(reason.split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise ValidationError(
            {
                "reason": sentence(
                    "Give a reason of %(least)s to %(most)s characters: it is shown in the report for ever.",
                    least=SHORTEST_REASON,
                    most=LONGEST_REASON,
                )
            }
        )
    opening = GateOpening.objects.create(
        rollout=rollout,
        wave=wave,
        at=clock.now(),
        by=actor.name,
        reason=reason,
        closed_by=gate.why_closed,
        covers=[each.check.pk for each in gate.closing],
    )
    said = (
        sentence("%(who)s has opened the gate of %(wave)s by hand.", who=actor.name, wave=wave.name)
        if wave
        else sentence("%(who)s has opened the checklist of retirement by hand.", who=actor.name)
    )
    entry(
        rollout.tenant,
        actor,
        "open gate",
        f"{rollout.name}: {wave.name}" if wave else rollout.name,
        before={"closed by": [str(each.check.name) for each in gate.closing]},
        after={"reason": reason},
    ).save()
    events.note(
        rollout,
        RolloutEvent.Kind.GATE_OPENED,
        one_after_the_other(said, sentence("It was closed: %(why)s", why=gate.why_closed)),
        wave=wave,
        by=actor.name,
        reason=reason,
    )
    if wave is not None and wave.state == Wave.State.RUNNING:
        Wave.objects.filter(pk=wave.pk).update(next_look_at=clock.now())
    return opening


def _answered_by(gate: Gate) -> set[str]:
    """Everybody who has ever answered one of its checks."""
    checks = [each.check.pk for each in gate.standings if each.check.is_manual]
    answers = CheckAnswer.objects.filter(rollout_check__in=checks).order_by()
    return set(answers.values_list("by", flat=True).distinct())
