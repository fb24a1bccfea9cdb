from __future__ import annotations

import csv
import io
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants_app.changes.mailboxes import EMBEDDED, change_connection, set_credentials, use_embedded_by_default
from tenants_app.management.arguments import read_text
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import (
    add_connection_options,
    connection_named,
    connection_values,
    secret_of,
)
from tenants_app.records import connection_record
from tenants_app.wording import counted

_COLUMNS = ["UserPrincipalName", "Username", "Password"]


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
            self.stdout.write("embedded: MMS keeps the mailboxes of users who have no other.")
            return
        connection = connection_named(tenant, options["name"])
        sign_ins = _sign_ins(options["sign_ins"]) if options["sign_ins"] else []
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
            self.stdout.write(f"{changed.name}: the new password is kept.")
        if before != after or (options["secret_file"] is None and not sign_ins):
            self.tell_changes(changed.name, before, after)
        if sign_ins:
            count = set_credentials(tenant, sign_ins, self.actor)
            self.stdout.write(f"{changed.name}: the sign-ins of {counted(count, 'user')} are kept.")


def _sign_ins(path: str) -> list[tuple[str, str, str]]:
    reader = csv.DictReader(io.StringIO(read_text(path)))
    if reader.fieldnames != _COLUMNS:
        raise CommandError(f"{path} must begin with the line {','.join(_COLUMNS)}: correct it and repeat.")
    rows = []
    for row in reader:
        if None in row or any(row[name] is None for name in _COLUMNS) or not row[_COLUMNS[0]].strip():
            raise CommandError(f"{path}, line {reader.line_num}: expected {', '.join(_COLUMNS)}. Nothing was written.")
        rows.append((row["UserPrincipalName"].strip(), row["Username"].strip(), row["Password"]))
    return rows
