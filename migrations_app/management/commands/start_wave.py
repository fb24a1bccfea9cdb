from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.management.wave_command import WaveCommand
from migrations_app.models import Wave, WaveMember
from migrations_app.monitoring.health import workers
from migrations_app.rollouts import counting, steering
from tenants_app.wording import grouped

POLL_SECONDS = 0.5


class Command(WaveCommand):
    help = (
        "Start a wave: its members move batch by batch, in the background. It is refused where the gate is closed, and "
        "says which check closes it."
    )
    example = '"To the new service/Test users" --wait'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--now", action="store_true", help="begin at once, without the wave's earliest start and daily window"
        )
        parser.add_argument(
            "--wait",
            action="store_true",
            help="wait until all members have ended; exit status 1 if it is stopped or paused, or a member failed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _tenant, wave = self.wave(options)
        wave = steering.start(wave, self.actor, at_once=options["now"])
        self.stdout.write(_("Wave %(wave)s is started.") % {"wave": wave.name})
        if options["wait"]:
            self._wait(wave)

    def _wait(self, wave: Wave) -> None:
        """Show how the wave goes on until nobody of it moves any more."""
        if workers().are_silent:
            self.stderr.write(
                _("No worker has been seen lately: start the cluster, or run_migrations in another window.")
            )
        shown = ""
        while True:
            wave.refresh_from_db()
            counts = counting.by_state(wave)
            line = f"{wave.state}: " + ", ".join(f"{state} {count:,}" for state, count in counts.items())
            if line != shown:
                self.stdout.write(line)
                self.stdout.flush()
                shown = line
            if wave.state not in Wave.MOVES:
                break
            time.sleep(POLL_SECONDS)
        if wave.state == Wave.State.STOPPED:
            raise CommandError(
                _("The wave has stopped: %(why)s Then go on with resume_wave.") % {"why": wave.stop_reason}
            )
        if wave.state == Wave.State.PAUSED:
            raise CommandError(_("Somebody has paused the wave: go on with resume_wave."))
        if failed := counts[WaveMember.State.FAILED]:
            raise CommandError(
                ngettext(
                    "%(count)s member failed: get_wave_member --state Failed names who.",
                    "%(count)s members failed: get_wave_member --state Failed lists them.",
                    failed,
                )
                % {"count": grouped(failed)}
            )
