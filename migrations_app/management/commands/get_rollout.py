from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.models import Rollout, Wave, WaveMember
from migrations_app.rollouts.gates import gates_of, shown_state
from migrations_app.rollouts.naming import find_rollout
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    "Rollout",
    "From",
    "To",
    "Position",
    "Wave",
    "State",
    "Members",
    "Done",
    "Failed",
    "GateOpen",
    "ObserveDays",
    "TakesRest",
    "Filter",
    "Batches",
    "EndDate",
)
IN_TABLE = ("Rollout", "From", "To", "Wave", "State", "Members", "Done", "Failed")


class Command(AdministratorCommand):
    help = "List the waves of all rollouts, or of one: their states, how many members they have, and how far these are."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", nargs="?", help="only this rollout")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        rollouts = Rollout.objects.filter(tenant=tenant)
        if options["name"] is not None:
            rollouts = rollouts.filter(pk=find_rollout(tenant, options["name"]).pk)
        self.list_rows(
            _rows(rollouts),
            options,
            list(COLUMNS),
            list(IN_TABLE),
            _("There are no rollouts: new_rollout defines one."),
        )


def _rows(rollouts: Any) -> Iterator[dict[str, Any]]:
    state = WaveMember.State
    waves = (
        Wave.objects.filter(rollout__in=rollouts)
        .select_related("rollout__legacy", "rollout__new", "rollout__tenant")
        .annotate(
            listed=Count("members", filter=~Q(members__state=state.EXCLUDED)),
            done=Count("members", filter=Q(members__state__in=(state.DONE, state.ROLLED_BACK))),
            failed=Count("members", filter=Q(members__state=state.FAILED)),
        )
        .order_by("rollout__created", "rollout", "position")
    )
    found = list(waves)
    gates = gates_of([wave for wave in found if not wave.has_started], timezone.now())
    for wave in found:
        gate, rollout = gates.get(wave.pk), wave.rollout
        yield {
            "Rollout": rollout.name,
            "From": rollout.legacy.name,
            "To": rollout.new.name,
            "Position": wave.position,
            "Wave": wave.name,
            "State": str(shown_state(wave, gate) if gate else wave.state),
            "Members": wave.listed,
            "Done": wave.done,
            "Failed": wave.failed,
            "GateOpen": gate.is_open if gate else None,
            "ObserveDays": wave.observe_days,
            "TakesRest": wave.takes_rest,
            "Filter": wave.saved_query,
            "Batches": ",".join(map(str, wave.batch_sizes())),
            "EndDate": rollout.finished_at,
        }
