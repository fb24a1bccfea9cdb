from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.commands import AdministratorCommand, add_format
from tenants_app.records import user_record


class Command(AdministratorCommand):
    help = "Show a user's settings; numbers and conference ID are those that invitations should show."
    example = "--user anna@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.show_record(user_record(self.user(self.tenant(options), options["user"])), options)
