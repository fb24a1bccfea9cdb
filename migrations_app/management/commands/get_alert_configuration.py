from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.alerts.records import alert_record
from migrations_app.models import AlertSettings
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Show whom a tenant's alerts go to, about what, when it is quiet, and whether they arrive. Of the webhook only "
        "the server, and never the secret."
    )
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.show_record(alert_record(AlertSettings.of(self.tenant(options))), options)
