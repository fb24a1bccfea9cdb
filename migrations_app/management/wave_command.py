"""What commands about waves share: how a wave is named, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from migrations_app.models import Wave, WaveMember
from migrations_app.rollouts.naming import find_wave
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import Tenant

WAVE_HELP = "ROLLOUT/WAVE, the wave by its name or number; the wave alone where only one has that name"

Members = WaveMember.State
COLUMNS = (
    *("Rollout", "Wave", "Position", "State", "Members", *Members.values, "Batch", "StopReason", "NotBefore"),
    *("Window", "StartDate", "StartedBy", "MovedDate", "ObservedUntil", "OfferedDate", "AcceptedDate", "AcceptedBy"),
)
IN_TABLE = ("Rollout", "Position", "Wave", "State", "Members", *Members.values)


class WaveCommand(AdministratorCommand):
    """A command about one wave, which is named."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("wave", metavar="WAVE", help=WAVE_HELP)

    def wave(self, options: Mapping[str, Any]) -> tuple[Tenant, Wave]:
        """The tenant, and the wave that is named."""
        tenant = self.tenant(options)
        return tenant, find_wave(tenant, options["wave"])


def record_of(wave: Wave, state: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """How a wave stands, as commands list it; ``state`` is the one that is shown."""
    return {
        "Rollout": wave.rollout.name,
        "Wave": wave.name,
        "Position": wave.position,
        "State": state,
        "Members": sum(counts.values()),
        **{name: counts.get(name, 0) for name in Members.values},
        "Batch": wave.batch,
        "StopReason": wave.stop_reason,
        "NotBefore": wave.not_before,
        "Window": str(wave.window or ""),
        "StartDate": wave.started_at,
        "StartedBy": wave.started_by,
        "MovedDate": wave.moved_at,
        "ObservedUntil": wave.observed_until,
        "OfferedDate": wave.offered_at,
        "AcceptedDate": wave.accepted_at,
        "AcceptedBy": wave.accepted_by,
    }
