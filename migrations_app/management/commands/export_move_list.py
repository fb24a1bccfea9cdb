from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.rollouts import move_lists, movers
from tenants_app.wording import counted


class Command(WaveCommand):
    help = (
        "Write the list of SIP addresses of members who wait to be moved, as Move-CsUser -UserList takes it, and tell "
        "the command line (R63)."
    )
    example = '"To the new service/Test users" --output users-to-move.txt'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--output", required=True, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        _tenant, wave = self.wave(options)
        users = move_lists.users_to_move(wave)
        if not users:
            raise CommandError(_("Nobody of the wave waits to be moved by a list."))
        path = Path(options["output"])
        try:
            path.write_text(movers.list_file(users), encoding="utf-8", newline="")
        except OSError as error:
            raise CommandError(
                _("%(file)s cannot be written: %(why)s.") % {"file": path, "why": error.strerror or error}
            ) from error
        self.stdout.write(_("%(users)s in %(file)s.") % {"users": counted(len(users), "user"), "file": path})
        self.stdout.write(move_lists.command_line(wave, path.name))
