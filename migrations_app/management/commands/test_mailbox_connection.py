from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.mailboxes.findings import STEP_NAMES
from migrations_app.mailboxes.of_user import try_connection
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.listing import printable
from tenants_app.management.mailbox_options import connection_named
from tenants_app.models import ConferencingUser, MailboxConnection


class Command(AdministratorCommand):
    help = (
        "Try a mailbox connection step by step on one user's mailbox, and say what works: address, certificate, "
        "sign-in, rights, who tells attendees, and writing under a condition. Changes no meeting and mails nobody."
    )
    example = '"Nextcloud" --user anna@contoso.com'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--user", metavar="UPN", help="whose mailbox is tried (default: that of its first user)")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        connection = connection_named(tenant, options["name"])
        user = self.user(tenant, options["user"]) if options["user"] else _first_user(connection)
        if not connection.is_outside:
            raise CommandError(_("MMS keeps these mailboxes itself: there is nothing to try."))
        if user is None:
            raise CommandError(
                _("%(name)s has no user yet: bring them in with import_users, or name one.") % {"name": tenant.name}
            )
        works = True
        for finding in try_connection(connection, user):
            works = works and finding.ok
            mark = "FAILED" if not finding.ok else "note  " if finding.code else "ok    "
            self.stdout.write(printable(f"{mark}  {STEP_NAMES.get(finding.step, finding.step)}: {finding.sentence}"))
            self.stdout.flush()
        if not works:
            sys.exit(1)


def _first_user(connection: MailboxConnection) -> ConferencingUser | None:
    users = ConferencingUser.objects.filter(tenant=connection.tenant).select_related("tenant").order_by("pk")
    return users.filter(mailbox=connection).first() or users.first()
