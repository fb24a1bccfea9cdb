from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app import changes
from tenants_app.commands import AdministratorCommand, add_dry_run, rehearsed
from tenants_app.models import ConferencingUser
from tenants_app.records import user_record


class Command(AdministratorCommand):
    help = "Record that a user was moved between the on-premises server and the cloud, which starts their run."
    example = "--user anna@contoso.com --target online"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        parser.add_argument("--target", required=True, choices=ConferencingUser.Hosting.values)
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        user = self.user(tenant, options["user"])
        before = user_record(user)
        with rehearsed(options["dry_run"]):
            consequences = changes.change_user(user, self.actor, hosting=options["target"])
            after = user_record(self.user(tenant, user.upn))
        self.tell_changes(user.upn, before, after)
        self.tell_consequences(consequences)
        self.tell_rehearsal(options)
