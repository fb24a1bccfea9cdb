from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.changes.mailboxes import create_connection
from tenants_app.management.arguments import one_of
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import add_connection_options, connection_values, secret_of
from tenants_app.models import MailboxConnection


class Command(AdministratorCommand):
    help = (
        "Connect a mail system in which organizers have their mailboxes. test_mailbox_connection says whether it works."
    )
    example = (
        '"Nextcloud" --kind caldav --address https://cloud.contoso.com/ --username mms --secret-file password.txt '
        "--path-template /remote.php/dav/calendars/{local}/"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        kinds = [kind for kind in MailboxConnection.Kind.values if kind != MailboxConnection.Kind.EMBEDDED]
        parser.add_argument(
            "--kind",
            required=True,
            metavar="|".join(kinds),
            type=one_of(kinds, gettext_noop("a kind of mailbox that MMS can reach")),
        )
        add_connection_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        connection = create_connection(
            tenant,
            self.actor,
            options["name"],
            password=secret_of(options) or "",
            make_default=options["default"],
            kind=options["kind"],
            **connection_values(options),
        )
        self.stdout.write(
            _(
                "%(name)s: new connection. Try it with test_mailbox_connection, then give it to users with "
                "set_dial_in_conferencing_user --mailbox."
            )
            % {"name": connection.name}
        )
