from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tenants_app.changes.mailboxes import EMBEDDED, change_connection, set_credentials, use_embedded_by_default
from tenants_app.csv_files.sign_ins import read_sign_ins
from tenants_app.management.arguments import read_text
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import (
    add_connection_options,
    connection_named,
    connection_values,
    secret_of,
)
from tenants_app.records import connection_record
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Change a mailbox connection; only what is given changes. `embedded --default` has MMS keep the mailboxes of "
        "users who have no other."
    )
    example = '"Nextcloud" --secret-file new-password.txt'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_connection_options(parser)
        parser.add_argument(
            "--sign-ins",
            metavar="FILE.csv|-",
            help="users' own sign-ins: UserPrincipalName, Username, Password; an empty password removes one",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["name"].strip().lower() == EMBEDDED and options["default"]:
            use_embedded_by_default(tenant, self.actor)
            self.stdout.write(_("embedded: MMS keeps the mailboxes of users who have no other."))
            return
        connection = connection_named(tenant, options["name"])
        sign_ins = read_sign_ins(read_text(options["sign_ins"])) if options["sign_ins"] else []
        before = connection_record(connection)
        changed = change_connection(
            connection,
            self.actor,
            password=secret_of(options),
            make_default=options["default"],
            **connection_values(options),
        )
        tenant.refresh_from_db()
        after = connection_record(changed)
        if options["secret_file"] is not None:
            self.stdout.write(_("%(name)s: the new password is kept.") % {"name": changed.name})
        if before != after or (options["secret_file"] is None and not sign_ins):
            self.tell_changes(changed.name, before, after)
        if sign_ins:
            count = set_credentials(changed, sign_ins, self.actor)
            self.stdout.write(
                ngettext(
                    "%(connection)s: the sign-ins of %(count)s user are kept.",
                    "%(connection)s: the sign-ins of %(count)s users are kept.",
                    count,
                )
                % {"connection": changed.name, "count": grouped(count)}
            )
