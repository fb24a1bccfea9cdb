from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import MailServerConnection
from tenants_app.records import mail_server_record


class Command(AdministratorCommand):
    help = "Show by which mail server a tenant's messages go out, within which limits and in whose name. No password."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.show_record(mail_server_record(MailServerConnection.of(self.tenant(options))), options)
