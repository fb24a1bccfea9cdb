from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.rollouts import steering


class Command(WaveCommand):
    help = "Pause a wave: nobody else is moved. Runs that were asked for go on to their end."
    example = '"To the new service/Test users" --reason "The helpdesk is closed today."'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", metavar="TEXT", help="stands in the audit and in the report")

    def handle(self, *args: Any, **options: Any) -> None:
        _tenant, wave = self.wave(options)
        steering.pause(wave, self.actor, options["reason"])
        self.stdout.write(_("Wave %(wave)s is paused.") % {"wave": wave.name})
