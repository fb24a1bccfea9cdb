from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = "Show what the service does by itself when audio conferencing changes."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        self.show_record(
            {
                "Tenant": tenant.slug,
                "AutomaticallyMigrateUserMeetings": tenant.automatically_migrate_user_meetings,
                "AutomaticallyReplaceAcpProvider": tenant.automatically_replace_acp_provider,
            },
            options,
        )
