from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.release_command import ReleaseCommand
from migrations_app.models import NumberRelease
from migrations_app.procedures.number_release import check_not_default, check_release, start_release
from migrations_app.runs.plans import When
from tenants_app.management.arguments import e164
from tenants_app.models import ServiceNumber, Tenant


class Command(ReleaseCommand):
    help = (
        "Take a number off its bridge: its users get another number of the bridge, their invitations are updated, and "
        "when none shows the number any more it is released by itself."
    )
    example = "--number +14255550100 --replace-with +14255550122"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--number", required=True, metavar="E164", type=e164)
        parser.add_argument(
            "--replace-with", required=True, metavar="E164", type=e164, help="of the same bridge and the same kind"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        self.take_off(tenant, self.service_number(tenant, options["number"]), options)

    def check_begin(self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any]) -> None:
        check_not_default(number)
        check_release(tenant, number, self.service_number(tenant, options["replace_with"]))

    def begin(
        self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any], when: When | None
    ) -> NumberRelease:
        replacement = self.service_number(tenant, options["replace_with"])
        return start_release(number, replacement, self.actor, now_due=options["now"], when=when)
