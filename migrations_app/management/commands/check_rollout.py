from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.monitoring_command import Answer, MonitoringCommand, Status
from migrations_app.models import CheckResult, Outcome, Rollout, RolloutCheck, Wave
from migrations_app.rollouts.gates import Gate, Standing, gate_of, retirement_checklist, standing_of
from migrations_app.rollouts.looking import look_now
from migrations_app.rollouts.naming import find_check, find_rollout, find_wave
from migrations_app.rollouts.opening import PASSED_ALREADY
from tenants_app.wording import sentences

_STATUS = {Outcome.PASSED: Status.OK, Outcome.FAILED: Status.CRITICAL, Outcome.INCONCLUSIVE: Status.UNKNOWN}


class Command(MonitoringCommand):
    help = (
        "Look at the checks of a rollout now, and say whether the gate is open: one line with performance data; exit "
        "status 0 open, 2 closed, 3 inconclusive. Without --wave it is the gate of the first wave that is still to go "
        "through one, and after the last the checklist of retirement."
    )
    example = '"To the new service" --wave Pilot'
    acts_on_a_tenant = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("rollout", metavar="ROLLOUT", help="its name")
        parser.add_argument("--wave", metavar="WAVE", help="its name or number")
        parser.add_argument(
            "--check", metavar="CHECK", help="this one only: its number, which its page shows, or its name"
        )

    def answer(self, options: dict[str, Any]) -> Answer:
        tenant = self.tenant(options)
        try:
            rollout = find_rollout(tenant, options["rollout"])
            wave = find_wave(tenant, f"{rollout.name}/{options['wave']}") if options["wave"] else None
            if options["check"]:
                return self._of_check(rollout, find_check(tenant, options["check"], wave))
            return self._of_gate(rollout, wave or _next(rollout))
        except ValidationError as error:
            raise CommandError(sentences(error)) from error

    def _of_check(self, rollout: Rollout, check: RolloutCheck) -> Answer:
        if check.rollout_id != rollout.pk:
            raise ValidationError(_("That check belongs to another rollout."))
        found = look_now(rollout, [check], self.actor)
        check.last_result = found[0] if found else check.last_result
        standing = standing_of(check)
        return _answer(standing.outcome, f"{check.name}: {standing.sentence}", [standing], found)

    def _of_gate(self, rollout: Rollout, wave: Wave | None) -> Answer:
        checks = RolloutCheck.objects.filter(rollout=rollout, wave=wave, removed_at=None).select_related("wave")
        asked = list(checks.order_by("position", "pk"))
        for check in asked:
            check.rollout = rollout
        found = look_now(rollout, asked, self.actor)
        gate = gate_of(wave) if wave else retirement_checklist(rollout)
        where = wave.name if wave else _("Retirement of %(deployment)s") % {"deployment": rollout.legacy.name}
        outcome = Outcome.PASSED if gate.is_open else gate.outcome
        return _answer(outcome, f"{where}: {gate.sentence}", gate.standings, found, gate)


def _next(rollout: Rollout) -> Wave | None:
    """The first wave that is still to go through its gate; None where retirement comes next."""
    return rollout.waves.exclude(state__in=PASSED_ALREADY).order_by("position").first()


def _answer(
    outcome: Outcome, text: str, standings: Sequence[Standing], found: Sequence[CheckResult], gate: Gate | None = None
) -> Answer:
    by_outcome = Counter(standing.outcome for standing in standings)
    slowest = max((result.seconds for result in found), default=0.0)
    text = " ".join(text.split()).replace("|", "/")
    return Answer(
        status=_STATUS[outcome],
        problems=[] if outcome == Outcome.PASSED else [text],
        data={
            "passed": f"{by_outcome[Outcome.PASSED]};;;0;{len(standings)}",
            "failed": f"{by_outcome[Outcome.FAILED]};;;0;{len(standings)}",
            "inconclusive": f"{by_outcome[Outcome.INCONCLUSIVE]};;;0;{len(standings)}",
            "closing": f"{len(gate.closing) if gate else sum(each.closes for each in standings)};;0;0;{len(standings)}",
            "slowest": f"{slowest:.3f}s;;;0",
        },
        when_ok=text,
    )
