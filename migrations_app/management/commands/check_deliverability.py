from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.mail.deliverability.check import check
from migrations_app.management.mail_findings import tell
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Look up SPF, DKIM and DMARC, and say what recipients' servers will make of a tenant's messages: from the "
        "organizer, and from the service; and what to publish. Changes nothing and mails nobody."
    )
    example = "--user anna@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN", help="for this organizer's domain (default: the tenant's)")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        domain = self.user(tenant, options["user"]).upn.rpartition("@")[2] if options["user"] else ""
        tell(check(tenant, domain), self.stdout)
