from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import MailboxConnection
from tenants_app.records import CONNECTION_COLUMNS, connection_record


class Command(AdministratorCommand):
    help = "List the mailbox connections: where they lead, and whether they are left alone at the moment. No passwords."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        connections = MailboxConnection.objects.filter(tenant=self.tenant(options)).select_related("tenant")
        self.list_rows(
            map(connection_record, connections),
            options,
            CONNECTION_COLUMNS,
            in_table=[
                "Name",
                "Kind",
                "IsDefault",
                "Address",
                "DirectoryId",
                "SecretExpires",
                "WhoTells",
                "PausedUntil",
                "Problem",
            ],
        )
