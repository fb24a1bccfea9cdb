from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.bridges import register_number
from tenants_app.management.arguments import e164
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import ServiceNumber


class Command(AdministratorCommand):
    help = "Put a new toll or toll-free number on a bridge; its first toll number becomes its default."
    example = '+442079460123 --bridge Europe --type toll --country "United Kingdom" --city London'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("number", metavar="E164", type=e164)
        parser.add_argument("--bridge", required=True, metavar="NAME")
        parser.add_argument("--type", required=True, choices=ServiceNumber.Kind.values)
        parser.add_argument("--country", default="", help="shown beside the number")
        parser.add_argument("--city", default="", help="shown beside the number")

    def handle(self, *args: Any, **options: Any) -> None:
        bridge = self.bridge(self.tenant(options), options["bridge"])
        number = register_number(
            bridge,
            options["number"],
            options["type"],
            self.actor,
            country=options["country"],
            city=options["city"],
        )
        told = {"number": number, "bridge": bridge}
        self.stdout.write(
            _("%(number)s is on the bridge %(bridge)s as its default.") % told
            if number.is_default
            else _("%(number)s is on the bridge %(bridge)s.") % told
        )
