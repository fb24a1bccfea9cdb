from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.sources.script import SCRIPTS
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Print the script that writes the tables of Persistent Chat or Group Chat as CSV files, for export_chat. It is "
        "run beside the database by whoever may read it: it names its columns, only reads, and MMS needs no password. "
        "--kind sql prints the statements alone, to be read first."
    )
    example = "--output write-chat-tables.ps1"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--kind", choices=tuple(SCRIPTS), default="powershell")
        parser.add_argument("--output", metavar="FILE", help="a new file to write instead; one that is there is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        script = SCRIPTS[options["kind"]]
        if not options["output"]:
            self.stdout.write(script, ending="")
            return
        try:
            # Windows PowerShell takes a file without a byte order mark for the code page of the machine; this is ASCII.
            with Path(options["output"]).open("x", encoding="ascii", newline="\r\n") as file:
                file.write(script)
        except OSError as error:
            raise CommandError(
                _("%(path)s cannot be written (%(problem)s): choose a new file in a folder that you may write to.")
                % {"path": options["output"], "problem": error.strerror}
            ) from error
        self.stdout.write(_("%(path)s is written.") % {"path": options["output"]})
