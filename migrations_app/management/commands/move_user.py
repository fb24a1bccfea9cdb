from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.user_command import UserChangeCommand
from tenants_app.management.deployment_options import deployment_named
from tenants_app.models import ConferencingUser


class Command(UserChangeCommand):
    help = (
        "Record that a user was moved between the on-premises server and the cloud, which starts their run, or to "
        "another deployment."
    )
    example = "--user anna@contoso.com --target online"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--target", choices=ConferencingUser.Hosting.values)
        where.add_argument("--deployment", metavar="NAME", help="to this deployment, with its hosting and bridge")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        user = self.user(tenant, options["user"])
        if options["deployment"] is not None:
            values: dict[str, Any] = {"deployment": deployment_named(tenant, options["deployment"])}
        else:
            values = {"hosting": options["target"]}
        self.change(user, values, options)
