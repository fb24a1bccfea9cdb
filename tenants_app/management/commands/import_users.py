from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants_app.commands import AdministratorCommand, add_dry_run, read_text, rehearsed
from tenants_app.records import counted
from tenants_app.user_import import COLUMNS, carry_out, plan

SHOWN_CONSEQUENCES = 10


class Command(AdministratorCommand):
    help = (
        "Create and change users from a CSV file (UTF-8, comma or semicolon). Only UserPrincipalName must be given; "
        "an absent column or an empty cell leaves a user's setting as it is. A new licensed user without a bridge "
        f"gets the default one. Columns: {', '.join(COLUMNS)}."
    )
    example = "users.csv --dry-run"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv", help="the file, or - for standard input")
        parser.add_argument(
            "--skip-bad-rows", action="store_true", help="report bad rows and import the others all the same"
        )
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        text = read_text(options["file"])
        with rehearsed(options["dry_run"]):
            planned = plan(tenant, text)
            for line, sentence in sorted(planned.bad_rows):
                self.stderr.write(f"line {line:,}: {sentence}")
            bad = len({line for line, _ in planned.bad_rows})
            if bad and not options["skip_bad_rows"]:
                raise CommandError(
                    f"{counted(bad, 'bad row')}, so nothing was written: "
                    "correct them, or leave them out with --skip-bad-rows."
                )
            consequences = carry_out(tenant, planned, self.actor)
        runs = sum(consequence.starts_run for consequence in consequences)
        self.stdout.write(
            f"{len(planned.new_users):,} created, {len(planned.edits):,} changed, {planned.unchanged:,} unchanged, "
            f"{bad:,} skipped; {counted(runs, 'run')} started."
        )
        self.tell_consequences(consequences[:SHOWN_CONSEQUENCES])
        if len(consequences) > SHOWN_CONSEQUENCES:
            self.stdout.write(f"… and {len(consequences) - SHOWN_CONSEQUENCES:,} more.")
        self.tell_rehearsal(options)
