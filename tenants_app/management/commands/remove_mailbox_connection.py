from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.mailboxes import remove_connection
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import connection_named


class Command(AdministratorCommand):
    help = "Remove a mailbox connection that no user has, and its password. Nothing changes in the mailboxes."
    example = '"Nextcloud"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connection_named(self.tenant(options), options["name"])
        remove_connection(connection, self.actor)
        self.stdout.write(_("%(name)s: removed.") % {"name": connection.name})
