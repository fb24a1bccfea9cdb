from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.management.whole_file import not_written, replace
from migrations_app.rollouts.naming import find_rollout, find_wave
from migrations_app.rollouts.report import report_of
from migrations_app.rollouts.report_files import WRITERS
from tenants_app.management.base import AdministratorCommand, wrong_usage


class Command(AdministratorCommand):
    help = (
        "Write the report of a wave, or of a whole rollout, into a file: what was planned and what became of it, every "
        "check and answer, every stop. The name says how: .html to read and print, .csv for a spreadsheet, .json for "
        "a program."
    )
    example = "Pilot --output pilot.html"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "wave", nargs="?", metavar="WAVE", help="its name, or ROLLOUT/WAVE; leave it out for a whole rollout"
        )
        parser.add_argument("--rollout", metavar="ROLLOUT", help="report of all its waves, in place of one")
        parser.add_argument("--output", required=True, metavar="FILE.html|.csv|.json", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if (options["wave"] is None) == (options["rollout"] is None):
            raise wrong_usage(_("Name either a wave or, with --rollout, a whole rollout."))
        output: Path = options["output"]
        writer = WRITERS.get(output.suffix.lower().removeprefix("."))
        if writer is None:
            raise wrong_usage(
                _("The file name %(name)s says no kind of report: let it end in .html, .csv or .json.")
                % {"name": output.name}
            )
        if options["wave"] is None:
            rollout, wave = find_rollout(tenant, options["rollout"]), None
        else:
            wave = find_wave(tenant, options["wave"])
            rollout = wave.rollout
        with timezone.override(tenant.zone):
            report = report_of(rollout, timezone.now(), wave)
            try:
                replace(output, (piece.encode() for piece in writer(report)))
            except OSError as error:
                raise not_written(output, error) from error
        self.stdout.write(_("%(title)s: written to %(path)s.") % {"title": report["title"], "path": output})
