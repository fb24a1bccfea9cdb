from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.changes.tenants import grant_role
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import Role


class Command(AdministratorCommand):
    help = gettext_noop(
        "Say what an account may do: viewer reads, operator also starts runs, admin also changes settings and users."
    )
    example = "alice --role operator"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username", metavar="USERNAME")
        parser.add_argument("--role", required=True, choices=Role.Name.values)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, username = self.tenant(options), options["username"]
        account = get_user_model().objects.filter(username=username).first()
        if account is None:
            raise CommandError(_("There is no account %(name)s: make it with new_administrator.") % {"name": username})
        grant_role(tenant, account, options["role"], self.actor)
        self.stdout.write(
            _("%(name)s is %(role)s of %(tenant)s.")
            % {"name": username, "role": options["role"], "tenant": tenant.name}
        )
