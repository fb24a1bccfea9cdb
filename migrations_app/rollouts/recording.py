"""What was found or answered becomes known: results as rows, and gates that open and close by them (R69, R70, R75)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from migrations_app.models import CheckResult, Outcome, RolloutCheck, RolloutEvent, Wave
from migrations_app.monitoring import clock
from migrations_app.rollouts import events
from migrations_app.rollouts.gates import gate_of
from tenants_app.sentences import sentence

MAY_CLOSE = (*Wave.NOT_STARTED, Wave.State.RUNNING, Wave.State.PAUSED, Wave.State.STOPPED)
"""States in which somebody has to know that a gate has closed: what follows is yet to go through it."""
LOOKED_AFTER = (Wave.State.RUNNING, Wave.State.OBSERVING, Wave.State.ROLLING_BACK)
"""States in which what a check finds may change what becomes of the wave."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found."""

    outcome: Outcome
    sentence: str
    seconds: float = 0.0
    output: str = ""


@transaction.atomic
def record(check: RolloutCheck, found: Found, *, by: str = "", token: UUID | None = None) -> CheckResult | None:
    """Keep what a look found. With ``token``, only where the check is still leased by it: else somebody else looks, and
    None is returned.
    """
    locked = RolloutCheck.objects.select_for_update(of=("self",)).filter(pk=check.pk).first()
    if locked is None or (token is not None and locked.lease_token != token):
        return None
    before = locked.last_result.outcome if locked.last_result else None
    result = CheckResult.objects.create(
        rollout_check=locked,
        at=clock.now(),
        outcome=found.outcome,
        seconds=round(found.seconds, 3),
        sentence=found.sentence,
        by=by,
        output=found.output,
    )
    locked.last_result = result
    locked.failed_in_a_row = locked.failed_in_a_row + 1 if found.outcome == Outcome.FAILED else 0
    if token is not None:
        locked.lease_token = locked.lease_until = None
        locked.asked_by = ""
    if locked.due_at is not None:
        locked.due_at = result.at + timedelta(seconds=locked.interval)
    locked.save(update_fields=["last_result", "failed_in_a_row", "lease_token", "lease_until", "asked_by", "due_at"])
    if locked.wave_id and not locked.removed_at:
        settle_gate(locked.wave_id, is_news=before != found.outcome or locked.failed_in_a_row > 1)
    return result


def settle_gate(wave_pk: int, *, is_news: bool = True, by_check: bool = True) -> None:
    """Note that a gate has closed which was open before, once for each closing. In the caller's transaction.

    With ``is_news`` the engine looks after the wave at once. What an admin changed of the checks closes silently
    (``by_check`` False): whoever did it knows.
    """
    wave = Wave.objects.select_related("rollout").get(pk=wave_pk)
    if is_news and wave.state in LOOKED_AFTER:
        Wave.objects.filter(pk=wave_pk, state__in=LOOKED_AFTER).update(next_look_at=clock.now())
    if wave.state not in MAY_CLOSE:
        return
    gate = gate_of(wave)
    if not gate.closing:
        Wave.objects.filter(pk=wave_pk, gate_passed_at=None).update(gate_passed_at=clock.now())
    elif Wave.objects.filter(pk=wave_pk).exclude(gate_passed_at=None).update(gate_passed_at=None) and by_check:
        events.note(
            wave.rollout,
            RolloutEvent.Kind.GATE_CLOSED,
            sentence("The gate of %(wave)s has closed: %(why)s", wave=wave.name, why=gate.why_closed),
            wave=wave,
        )
