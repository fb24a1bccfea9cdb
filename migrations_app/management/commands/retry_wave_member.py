from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.rollouts import steering


class Command(WaveCommand):
    help = "Try a failed member of a wave again, alone, also where the wave is paused or has stopped."
    example = '"To the new service/Test users" --user anna@contoso.com'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", nargs="+", action="extend", required=True, metavar="UPN")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, wave = self.wave(options)
        for user in self.users(tenant, options["user"]):
            member = wave.members.select_related("wave__rollout", "user").filter(user=user).first()
            if member is None:
                raise CommandError(
                    _("%(user)s is no member of wave %(wave)s: get_wave_member lists them.")
                    % {"user": user.upn, "wave": wave.name}
                )
            steering.retry(member, self.actor)
            self.stdout.write(_("%(user)s is tried again.") % {"user": user.upn})
