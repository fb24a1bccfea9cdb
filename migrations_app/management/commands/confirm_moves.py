from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.rollouts import move_lists
from tenants_app.management.arguments import read_text
from tenants_app.wording import counted


class Command(WaveCommand):
    help = (
        "Confirm that the accounts of members who wait have been moved: all of them, some, or as a file of results "
        "says. Then their settings change and their runs start (R63)."
    )
    example = '"To the new service/Test users" --all'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--all", action="store_true", help="everybody who waits")
        which.add_argument("--user", nargs="+", action="extend", metavar="UPN")
        which.add_argument(
            "--results",
            metavar="FILE",
            help="CSV with the columns UserPrincipalName, Result (moved or failed), Message",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, wave = self.wave(options)
        if options["results"] is not None:
            noted = move_lists.import_results(wave, read_text(options["results"]), self.actor)
        else:
            users = None if options["all"] else self.users(tenant, options["user"])
            noted = move_lists.confirm(wave, self.actor, users)
        self.stdout.write(
            _("Noted for %(users)s.") % {"users": counted(noted, "user")} if noted else _("Nobody waited for that.")
        )
