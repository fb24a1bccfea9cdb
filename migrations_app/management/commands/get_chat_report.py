from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.chat.plans import plan_numbered
from migrations_app.chat.report import report_of
from migrations_app.chat.report_files import WRITERS, kind_of
from migrations_app.management.whole_file import not_written, replace
from tenants_app.management.base import AdministratorCommand, wrong_usage


class Command(AdministratorCommand):
    help = (
        "Write the report of a plan of chat into a file: each room, each finding, each difference, and the checksum of "
        "the archive. The name says how: .html to read and print, .csv for a spreadsheet, .json for a program."
    )
    example = "1 --output chat.html"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("number", type=int, metavar="NUMBER", help="of the plan; get_chat_import lists them")
        parser.add_argument("--output", required=True, metavar="FILE.html|.csv|.json", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        output: Path = options["output"]
        kind = output.suffix.lower().removeprefix(".")
        if kind not in WRITERS:
            raise wrong_usage(
                _("The file name %(name)s says no kind of report: let it end in .html, .csv or .json.")
                % {"name": output.name}
            )
        plan = plan_numbered(tenant, options["number"])
        with timezone.override(tenant.zone):
            report = report_of(plan, timezone.now())
            try:
                if output.exists() and kind_of(output) not in {kind, ""}:
                    raise CommandError(
                        _("%(path)s holds something else than such a report, so it is not overwritten: choose another.")
                        % {"path": output}
                    )
                replace(output, (piece.encode() for piece in WRITERS[kind](report)))
            except OSError as error:
                raise not_written(output, error) from error
        self.stdout.write(_("%(title)s: written to %(path)s.") % {"title": report["title"], "path": output})
