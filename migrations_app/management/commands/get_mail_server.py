from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.mail.waiting import Queue, oldest
from migrations_app.models import Update
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.records import mail_server_record


class Command(AdministratorCommand):
    help = (
        "Show by which mail server a tenant's messages go out, within which limits and in whose name, and how many "
        "wait and why. No password."
    )
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        record = mail_server_record(MailServerConnection.of(tenant)) | _queue(tenant)
        self.show_record(record, options)


def _queue(tenant: Tenant) -> dict[str, Any]:
    """How many messages wait, and why the one does that has waited longest."""
    update = oldest(tenant)
    why = Queue(tenant).why(update) if update else None
    return {
        "MessagesWaiting": Update.objects.filter(state=Update.State.QUEUED, result__run__tenant=tenant).count(),
        "WaitingBecause": why.reason if why else "",
        "TriedAgain": why.until if why else None,
    }
