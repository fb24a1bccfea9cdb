from __future__ import annotations

from itertools import chain
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.alerts.trial import try_mail, try_webhook
from migrations_app.management.mail_findings import tell
from migrations_app.models import AlertSettings
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = "Send a test alert to each of the tenant's addresses and to its webhook, and say step by step what works."
    example = "--only webhook"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--only", choices=["mail", "webhook"], help="try this way alone (default: both)")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        settings = AlertSettings.of(tenant)
        if not (settings.addresses or settings.webhook_url):
            raise CommandError(
                _("Alerts of %(name)s go nowhere: say where to with set_alert_configuration.") % {"name": tenant.name}
            )
        ways = {"mail": (settings.addresses, try_mail), "webhook": (settings.webhook_url, try_webhook)}
        wanted = [options["only"]] if options["only"] else [way for way, (is_set, _try) in ways.items() if is_set]
        tell(chain.from_iterable(ways[way][1](tenant) for way in wanted), self.stdout)
