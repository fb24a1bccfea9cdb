from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.user_command import UserChangeCommand
from tenants_app.models import ConferencingUser


class Command(UserChangeCommand):
    help = "Record that a user was moved between the on-premises server and the cloud, which starts their run."
    example = "--user anna@contoso.com --target online"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        parser.add_argument("--target", required=True, choices=ConferencingUser.Hosting.values)

    def handle(self, *args: Any, **options: Any) -> None:
        user = self.user(self.tenant(options), options["user"])
        self.change(user, {"hosting": options["target"]}, options)
