from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.rollouts.member_file import COLUMNS, BadRows, MemberPlan, import_members, plan_members
from migrations_app.rollouts.naming import find_rollout
from tenants_app.csv_files.users_in import ignored_in_words
from tenants_app.management.arguments import add_dry_run, read_text
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Put users into the waves of a rollout from a CSV file (UTF-8, comma or semicolon). The whole file is checked "
        "first, and nothing is written unless all rows are good, or bad ones are to be skipped. The same file again "
        f"changes nothing, and a longer one adds only the new rows. Columns: {', '.join(COLUMNS)}; the first two must "
        "be there, and a wave is named by its name or its place."
    )
    example = 'members.csv --rollout "To the new service" --dry-run'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv", help="the file, or - for standard input")
        parser.add_argument("--rollout", required=True, metavar="ROLLOUT")
        parser.add_argument(
            "--skip-bad-rows", action="store_true", help="report bad rows and import the others all the same"
        )
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rollout = find_rollout(self.tenant(options), options["rollout"])
        text = read_text(options["file"])
        try:
            if options["dry_run"]:
                planned = plan_members(rollout, text)
                if planned.bad_rows and not options["skip_bad_rows"]:
                    raise BadRows(planned)
            else:
                name = Path(options["file"]).name
                planned = import_members(
                    rollout, text, self.actor, file_name=name, skip_bad_rows=options["skip_bad_rows"]
                )
        except BadRows as error:
            self._tell_bad_rows(error.planned)
            raise CommandError(
                ngettext(
                    "%(count)s bad row, so nothing was written: correct them, or leave them out with --skip-bad-rows.",
                    "%(count)s bad rows, so nothing was written: correct them, or leave them out with --skip-bad-rows.",
                    error.planned.bad,
                )
                % {"count": grouped(error.planned.bad)}
            ) from error
        self._tell_bad_rows(planned)
        self.stdout.write(
            _("%(added)s added, %(unchanged)s there already, %(bad)s skipped.")
            % {
                "added": grouped(len(planned.new)),
                "unchanged": grouped(planned.unchanged),
                "bad": grouped(planned.bad),
            }
        )
        for wave, count in planned.by_wave.items():
            self.stdout.write(f"{wave}: {grouped(count)}")
        self.tell_rehearsal(options)

    def _tell_bad_rows(self, planned: MemberPlan) -> None:
        if ignored := ignored_in_words(planned.ignored):
            self.stderr.write(ignored, str)
        for line, sentence in sorted(planned.bad_rows):
            self.stderr.write(_("line %(line)s: %(sentence)s") % {"line": grouped(line), "sentence": sentence})
