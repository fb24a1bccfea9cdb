from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.rollouts import steering


class Command(WaveCommand):
    help = "Let a wave go on that was paused or has stopped. Failures until now count for no other stop."
    example = '"To the new service/Test users" --reason "The mail server is up again."'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--reason", default="", metavar="TEXT", help="why it may go on; needed where it has stopped by itself"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _tenant, wave = self.wave(options)
        steering.resume(wave, self.actor, options["reason"])
        self.stdout.write(_("Wave %(wave)s goes on.") % {"wave": wave.name})
