from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import COLUMNS, IN_TABLE, WAVE_HELP, record_of
from migrations_app.models import Wave
from migrations_app.rollouts.counting import by_states
from migrations_app.rollouts.gates import gates_of, shown_state
from migrations_app.rollouts.naming import find_rollout, find_wave
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = "List the waves of all rollouts, or of one, with their members by state; or show one wave (R77)."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--wave", metavar="WAVE", help=WAVE_HELP)
        which.add_argument("--rollout", metavar="ROLLOUT", help="those of this rollout alone")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        waves = Wave.objects.filter(rollout__tenant=tenant).select_related("rollout__tenant")
        if options["wave"] is not None:
            waves = waves.filter(pk=find_wave(tenant, options["wave"]).pk)
        if options["rollout"] is not None:
            waves = waves.filter(rollout=find_rollout(tenant, options["rollout"]))
        found = list(waves.order_by("rollout__name", "rollout", "position"))
        gates, counts = gates_of(found), by_states(found)
        rows = [record_of(wave, shown_state(wave, gates[wave.pk]), counts[wave.pk]) for wave in found]
        if options["wave"] is not None:
            self.show_record(rows[0], options)
        else:
            self.list_rows(
                rows, options, COLUMNS, IN_TABLE, when_empty=_("There is no wave yet: new_rollout makes three.")
            )
