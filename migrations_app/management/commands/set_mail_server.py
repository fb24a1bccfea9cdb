from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.management.arguments import at_least, one_of, read_text
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.mailbox_options import secret_of
from tenants_app.models import MailServerConnection
from tenants_app.records import mail_server_record

_OF_ITS_OWN = (
    "host",
    "port",
    "security",
    "username",
    "ca_certificates",
    "messages_per_minute",
    "per_domain_per_minute",
)
_OF_EITHER = ("sender_mode", "sender", "dkim_selectors")


class Command(AdministratorCommand):
    help = (
        "Set by which mail server a tenant's messages go out, within which limits and in whose name; only what is "
        "given changes. Try it with test_mail_server, and see with check_deliverability what recipients make of it."
    )
    example = "--host smtp.contoso.com --username mms --secret-file password.txt --messages-per-minute 30"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--use-installation", action="store_true", help="use the installation's server, not an own")
        parser.add_argument("--host", metavar="HOST", help="the organization's own SMTP server")
        parser.add_argument("--port", metavar="N", type=at_least(1), help="587 with STARTTLS (default), 465 with TLS")
        parser.add_argument(
            "--security",
            metavar="starttls|tls|none",
            type=one_of(MailServerConnection.Security.values, gettext_noop("known")),
            help="none only for hosts of MMS_ALLOWED_MAIL_HOSTS (default: starttls)",
        )
        parser.add_argument("--username", metavar="NAME", help='as whom MMS signs in; "" for not at all')
        parser.add_argument(
            "--secret-file", metavar="FILE|-", help="a file that holds the password, or - for standard input"
        )
        parser.add_argument(
            "--ca-file", metavar="FILE", help="certificates (PEM) to trust beside the public authorities' ones"
        )
        parser.add_argument(
            "--messages-per-minute", metavar="N", type=at_least(0), help="at most this many messages; 0: no limit"
        )
        parser.add_argument(
            "--per-domain-per-minute",
            metavar="N",
            type=at_least(0),
            help="to at most this many recipients of one domain; 0: no limit",
        )
        parser.add_argument(
            "--sender-mode",
            metavar="organizer|service",
            type=one_of(MailServerConnection.SenderMode.values, gettext_noop("known")),
            help="who stands in From: the organizer, with the service as Sender, or the service",
        )
        parser.add_argument("--sender", metavar="ADDRESS", help='the service\'s address; "" for the usual one')
        parser.add_argument(
            "--dkim-selectors", metavar="NAMES", help="keys that the server signs with, separated by commas"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["ca_file"] is not None:
            options["ca_certificates"] = read_text(options["ca_file"]) if options["ca_file"] else ""
        given = {name: options[name] for name in (*_OF_ITS_OWN, *_OF_EITHER) if options.get(name) is not None}
        password = secret_of(options)
        if options["use_installation"]:
            if password is not None or not given.keys().isdisjoint(_OF_ITS_OWN):
                raise wrong_usage(
                    _("--use-installation goes with no server of one's own: leave out what is about one.")
                )
            given["host"] = ""
        before = mail_server_record(MailServerConnection.of(tenant))
        changed = change_mail_server(tenant, self.actor, password=password, **given)
        if password is not None:
            self.stdout.write(_("%(slug)s: the new password is kept.") % {"slug": tenant.slug})
        after = mail_server_record(changed)
        if before != after or password is None:
            self.tell_changes(tenant.slug, before, after)
