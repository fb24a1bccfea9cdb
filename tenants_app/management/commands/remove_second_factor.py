from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.changes.accounts import remove_second_factor
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = gettext_noop(
        "Take the second factors away from somebody who has lost them: the password alone signs in then."
    )
    example = "alice"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username", metavar="USERNAME")

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        account = User.objects.filter(username=username).first()
        if account is None:
            raise CommandError(
                _("There is no account %(name)s: give the user name with which they sign in.") % {"name": username}
            )
        remove_second_factor(account, self.actor)
        self.stdout.write(_("%(name)s has no second factor any more.") % {"name": username})
