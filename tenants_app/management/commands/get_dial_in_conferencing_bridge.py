from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count
from django.utils.translation import gettext as _

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.records import bridge_record

COLUMNS = ["Name", "IsDefault", "Provider", "ConferenceIdsFrom", "DefaultNumber", "ServiceNumbers", "UserCount"]


class Command(AdministratorCommand):
    help = "List the bridges with their numbers and how many users they have."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        bridges = (
            self.tenant(options).bridges.prefetch_related("numbers", "deployment").annotate(user_count=Count("users"))
        )
        self.list_rows(
            ({**bridge_record(bridge), "UserCount": bridge.user_count} for bridge in bridges),
            options,
            [*COLUMNS, "Deployment"],
            in_table=COLUMNS,
            when_empty=_("There is no bridge yet: make one with set_dial_in_conferencing_bridge."),
        )
