from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.mail.trial import try_server
from migrations_app.management.mail_findings import tell
from tenants_app.management.base import AdministratorCommand
from tenants_app.validators import validate_address


class Command(AdministratorCommand):
    help = (
        "Try the mail server of a tenant's messages step by step, and say what works: host, TLS and certificate, "
        "sign-in, what it offers, and whether it takes messages of the service. Mails nobody, but for --to."
    )
    example = "--to alice@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--to", metavar="ADDRESS", help="send one test message to this address")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["to"] is not None:
            try:
                validate_address(options["to"])
            except ValidationError as error:
                raise CommandError(
                    _("--to %(to)s: %(messages)s") % {"to": options["to"], "messages": error.messages[0]}
                ) from error
        tell(try_server(tenant, options["to"] or ""), self.stdout)
