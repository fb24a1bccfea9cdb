from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.release_command import ReleaseCommand
from migrations_app.models import NumberRelease
from migrations_app.procedures.number_release import foresee_replacement, start_replacement
from migrations_app.runs.plans import When
from tenants_app.management.arguments import e164
from tenants_app.models import ServiceNumber, Tenant


class Command(ReleaseCommand):
    help = (
        "Replace a number by another for everyone who uses it, in one step; a default number's place as the default "
        "goes to the other one too. A new number is registered on the bridge, of the same kind and place."
    )
    example = "--from +14255550100 --to +14255550122"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", required=True, metavar="E164", type=e164, dest="number")
        parser.add_argument("--to", required=True, metavar="E164", type=e164, dest="replace_with")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        self.take_off(tenant, self.service_number(tenant, options["number"]), options)

    def check_begin(self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any]) -> None:
        foresee_replacement(number, options["replace_with"])

    def begin(
        self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any], when: When | None
    ) -> NumberRelease:
        return start_replacement(number, options["replace_with"], self.actor, now_due=options["now"], when=when)
