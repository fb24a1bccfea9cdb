from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat import endpoint, gate, sequence
from migrations_app.chat.plans import plan_numbered
from migrations_app.models import ChatPlan
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.sentences import english

_STEPS = ("Step", "Title", "Done", "DoneBy", "DoneAt", "Evidence", "File", "WhyNot")
_CONDITIONS = ("Condition", "Title", "Holds", "Evidence", "Named", "Answer")
_ITEMS = ("Item", "Title", "Done", "DoneBy", "DoneAt", "Evidence", "What")


class Command(AdministratorCommand):
    help = (
        "List what is to be done to move chat and to switch the old system off: the guided steps of a plan in their "
        "order, the conditions of the gate before uninstalling, or what shows that old clients go on. With a step it "
        "prints what is to be done, and the lines to run with the names filled in."
    )
    example = "1 --of gate"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("plan", metavar="PLAN", type=int, help="its number")
        parser.add_argument("step", metavar="STEP", nargs="?", help="only this step, with its lines")
        parser.add_argument("--of", choices=("steps", "gate", "endpoint"), default="steps", help="what is listed")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        plan = plan_numbered(self.tenant(options), options["plan"])
        if options["step"]:
            self._show(sequence.steps_of(plan), options)
        elif options["of"] == "gate":
            rows = gate.records(gate.gate_of(plan))
            self.list_rows(rows, options, _CONDITIONS, ("Condition", "Holds", "Evidence"))
        elif options["of"] == "endpoint":
            self._show_endpoint(plan, options)
        else:
            rows = sequence.records(sequence.steps_of(plan))
            self.list_rows(rows, options, _STEPS, ("Step", "Done", "DoneBy", "DoneAt", "WhyNot"))

    def _show(self, steps: Sequence[sequence.Step], options: dict[str, Any]) -> None:
        found = next((each for each in steps if each.key == options["step"]), None)
        if found is None:
            raise CommandError(
                _("There is no step %(step)s: use %(steps)s.")
                % {"step": options["step"], "steps": ", ".join(each.key for each in steps)}
            )
        (record,) = sequence.records([found])
        record["What"] = found.what
        record["Commands"] = "\n".join(found.commands)
        self.show_record(record, options)

    def _show_endpoint(self, plan: ChatPlan, options: dict[str, Any]) -> None:
        shown = endpoint.endpoint_of(plan)
        if not shown.is_possible:
            raise CommandError(str(shown.warning))
        if options["format"] == "table":
            self.stdout.write(str(shown.warning))
            for line in shown.commands:
                self.stdout.write(f"    {line}")
        rows = [
            {
                "Item": item.key,
                "Title": english(item.title),
                "Done": item.answer is not None,
                "DoneBy": item.answer.done_by if item.answer else "",
                "DoneAt": item.answer.done_at if item.answer else None,
                "Evidence": item.answer.evidence if item.answer else "",
                "What": item.what,
            }
            for item in shown.items
        ]
        self.list_rows(rows, options, _ITEMS, ("Item", "Done", "DoneBy", "Evidence"))
