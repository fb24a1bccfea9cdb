"""Checks of a rollout as tests need them: few, and with what was found or answered."""

from __future__ import annotations

from typing import Any

from migrations_app.models import CheckAnswer, Outcome, Rollout, RolloutCheck, Wave
from migrations_app.rollouts.answers import answer
from migrations_app.rollouts.recording import Found, record
from tenants_app.audit import Actor, Channel

ALICE, BOB = Actor("alice", Channel.SCREEN), Actor("bob", Channel.SCREEN)
YES, NO, NOT_APPLICABLE = CheckAnswer.Answer
PASSED, FAILED, INCONCLUSIVE = Outcome


def without_checks(rollout: Rollout) -> Rollout:
    """The rollout without the list that it starts with."""
    RolloutCheck.objects.filter(rollout=rollout).delete()
    return rollout


def a_check(wave: Wave, kind: str = "tcp", **values: Any) -> RolloutCheck:
    """A check of the wave that nobody has looked at."""
    usual = {"name": f"Check {kind}", "scope": "new", "parameters": {"host": "meet.contoso.com", "port": 443}}
    if kind == "manual":
        usual["parameters"] = {}
    return RolloutCheck.objects.create(rollout=wave.rollout, wave=wave, kind=kind, **{**usual, **values})


def finds(check: RolloutCheck, outcome: Outcome, sentence: str = "Measured.") -> None:
    """A look of the check has found this."""
    record(check, Found(outcome, sentence))


def says(check: RolloutCheck, said: CheckAnswer.Answer = YES, by: Actor = ALICE, note: str = "") -> CheckAnswer:
    """Somebody answers the check."""
    return answer(check, said, note or ("Because." if said != YES else ""), by)
