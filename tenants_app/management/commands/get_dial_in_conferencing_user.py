from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.records import user_record


class Command(AdministratorCommand):
    help = (
        "Show a user's settings; numbers and conference ID are those that invitations should show. "
        "OutOfDate says whether they show anything else."
    )
    example = "--user anna@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = self.user(self.tenant(options), options["user"])
        # Not in the record itself, whose names are those of settings.
        self.show_record(user_record(user) | {"OutOfDate": user.is_out_of_date}, options)
