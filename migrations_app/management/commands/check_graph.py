from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.failures import Failure
from migrations_app.graph_access import graph_for
from migrations_app.management.tenant_check import TenantCheckCommand
from migrations_app.tenant_checks import mailbox, trying
from tenants_app.models import MailboxConnection


class Command(TenantCheckCommand):
    help = (
        "Check a connection to Exchange Online against the real tenant: sign-in, permissions, scope, one mailbox, "
        "filters, ids. Only reads. With --write-to it also tries, on events of its own in a test mailbox, what "
        "Microsoft's documentation leaves open, and says before what it will do."
    )
    example = '"Exchange Online" --user anna@contoso.com --outside ceo@contoso.com --report check.txt'
    kind = MailboxConnection.Kind.GRAPH
    title = gettext_noop("Check of Exchange Online")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN", help="a mailbox that MMS should reach")
        parser.add_argument("--outside", metavar="UPN", help="a mailbox that MMS must not reach")
        self.add_writing_arguments(parser, "events")

    def handle(self, *args: Any, **options: Any) -> None:
        self.check_addresses(options)
        tenant = self.tenant(options)
        connection = self.connection(tenant, options)
        self.check_report(options)
        user, outside = options["user"] or options["write_to"] or "", options["outside"] or ""
        about = {
            _("Tenant"): tenant.name,
            _("Connection"): connection.name,
            _("Mailbox"): user,
            _("Outside"): outside,
            _("Written to"): options["write_to"] or _("nothing"),
            _("Attendee"): options["attendee"] or "",
        }
        now = timezone.now()
        try:
            graph = graph_for(connection)
        except Failure as failure:
            raise CommandError(failure.told) from failure
        with graph:
            findings = self.tell(
                mailbox.check(
                    graph,
                    user=user,
                    outside=outside,
                    expires_at=connection.secret_expires_at,
                    now=now,
                )
            )
            if options["write_to"] and not any(each.verdict == "FAILED" for each in findings):
                self.announce(trying.announcement(options["write_to"], options["attendee"]))
                findings += self.tell(
                    trying.check(graph, user=options["write_to"], attendee=options["attendee"], now=now)
                )
        self.end(findings, {name: value for name, value in about.items() if value}, options)
