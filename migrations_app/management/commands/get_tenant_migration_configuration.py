from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = "Show whether the service is switched on for the tenant (MeetingMigrationEnabled)."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        self.show_record({"Tenant": tenant.slug, "MeetingMigrationEnabled": tenant.meeting_migration_enabled}, options)
