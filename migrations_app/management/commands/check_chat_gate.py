from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.gate import gate_of
from migrations_app.chat.plans import plan_numbered
from migrations_app.management.monitoring_command import Answer, MonitoringCommand, Status
from tenants_app.wording import sentences


class Command(MonitoringCommand):
    help = (
        "Say whether the source of a chat plan may be switched off: one line with performance data; exit status 0 "
        "where the gate is open, 2 where a condition does not hold. get_chat_step --of gate lists all conditions with "
        "their evidence."
    )
    example = "1"
    acts_on_a_tenant = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("plan", metavar="PLAN", type=int, help="its number")

    def answer(self, options: dict[str, Any]) -> Answer:
        try:
            gate = gate_of(plan_numbered(self.tenant(options), options["plan"]))
        except ValidationError as error:
            raise CommandError(sentences(error)) from error
        found = Answer(when_ok=_("The gate of plan %(number)s is open.") % {"number": gate.plan.number})
        for condition in gate.closing:
            told = f"{condition.title}: {condition.evidence}"
            found.add(Status.CRITICAL, " ".join(told.split()).replace("|", "/"))
        n = len(gate.conditions)
        found.data = {"holding": f"{n - len(gate.closing)};;;0;{n}", "closing": f"{len(gate.closing)};;0;0;{n}"}
        return found
