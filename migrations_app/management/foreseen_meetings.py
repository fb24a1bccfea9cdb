"""What the commands share that list, in a dry run, what would become of each meeting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.preview.meetings import FORESEEN_FIELDS, ServerMails, foreseen_record
from migrations_app.runs.movements import Movements
from migrations_app.runs.outcomes import Outcome
from tenants_app.management.arguments import add_dry_run, add_format
from tenants_app.management.base import AdministratorCommand, wrong_usage

_IN_TABLE = ["UserPrincipalName", "Subject", "StartDate", "Outcome", "Reason", "Service", "Recipients"]
_IN_CSV = [name for name in FORESEEN_FIELDS if not name.startswith("Block")]


class ForeseeingCommand(AdministratorCommand):
    """Has ``--dry-run``, and ``--format`` for what it lists then."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_dry_run(parser)
        add_format(parser)

    def check_format(self, options: Mapping[str, Any]) -> None:
        if options["format"] != "table" and not options["dry_run"]:
            raise wrong_usage(_("Only a dry run lists anything: add --dry-run or leave out --format."))

    def list_meetings(self, outcomes: Iterable[Outcome], options: Mapping[str, Any], when_empty: str = "") -> None:
        """Print what would become of each meeting; in JSON with the block before and after."""
        movements, mails = Movements(), ServerMails()

        def rows() -> Iterator[dict[str, Any]]:
            for outcome in outcomes:
                movement = movements.note(outcome.result)
                mails.note(outcome.mailed_parts)
                yield {
                    **foreseen_record(outcome),
                    **({"Service": movement.ahead if movement else ""} if is_table else {}),
                }

        is_table = options["format"] == "table"
        self.list_rows(rows(), options, _IN_CSV, in_table=_IN_TABLE, when_empty=when_empty)
        if is_table and movements:
            self.stdout.write(movements.ahead)
        if is_table and mails.sentence:
            self.stdout.write(mails.sentence)
