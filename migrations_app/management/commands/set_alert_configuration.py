from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.alerts.actions import change_alerts, renew_secret
from migrations_app.alerts.kinds import KINDS
from migrations_app.alerts.records import alert_record
from migrations_app.models import AlertSettings
from tenants_app.local_times import read_time
from tenants_app.management.arguments import at_least, daily_window, one_of, read_text, truth
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.mailbox_options import secret_of

_GIVEN = ("webhook_url", "pause_minutes", "quiet_weekends", "breaks_quiet")


class Command(AdministratorCommand):
    help = (
        "Set whom a tenant's alerts go to, about what, and when it is quiet; only what is given changes. Where a "
        "webhook gets a new secret, it is printed this once. Try it with test_alert."
    )
    example = "--recipient ops@contoso.com --webhook-url https://hooks.contoso.com/mms --quiet 22:00-07:00"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--recipient",
            action="append",
            metavar="ADDRESS",
            help='mail to these instead of those before; once for each, "" for nobody',
        )
        parser.add_argument("--webhook-url", metavar="URL", help='where alerts are posted as JSON; "" for nowhere')
        parser.add_argument(
            "--webhook-url-file",
            metavar="FILE|-",
            help="the same from a file, or - for standard input: it may hold a key",
        )
        parser.add_argument(
            "--secret-file", metavar="FILE|-", help="a file that holds the webhook's secret, or - for standard input"
        )
        parser.add_argument("--new-secret", action="store_true", help="make a new secret of the webhook and print it")
        parser.add_argument(
            "--kinds", type=_kinds, metavar="KINDS", help=f'what is told, of {",".join(KINDS)}; "" for nothing'
        )
        parser.add_argument(
            "--pause-minutes", type=at_least(1), metavar="N", help="what happens within so many minutes is one message"
        )
        parser.add_argument(
            "--quiet", type=daily_window, metavar="FROM-TO", help='quiet hours, such as 22:00-07:00; "" for none'
        )
        parser.add_argument("--quiet-weekends", type=truth, metavar="true|false", help="quiet on Saturdays and Sundays")
        parser.add_argument(
            "--breaks-quiet",
            type=one_of(AlertSettings.BreaksQuiet.values, gettext_noop("known")),
            metavar="nothing|silent-cluster",
            help="what is told during the quiet hours all the same",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        secret = secret_of(options)
        if options["webhook_url_file"] is not None:
            if options["webhook_url"] is not None or "-" == options["webhook_url_file"] == options["secret_file"]:
                raise wrong_usage(_("Give the webhook's address once, and only one thing on standard input."))
            options["webhook_url"] = read_text(options["webhook_url_file"]).strip()
        if secret is not None and options["new_secret"]:
            raise wrong_usage(_("--new-secret makes a secret: leave out --secret-file."))
        values = {name: options[name] for name in _GIVEN if options[name] is not None}
        if options["recipient"] is not None:
            values["recipients"] = "\n".join(options["recipient"])
        if options["quiet"] is not None:
            begin, end = options["quiet"]
            values["quiet_from"], values["quiet_until"] = (read_time(each) if each else None for each in (begin, end))
        before = alert_record(AlertSettings.of(tenant))
        with transaction.atomic():
            settings, made = change_alerts(tenant, self.actor, kinds=options["kinds"], secret=secret, **values)
            if options["new_secret"] and not made:
                made = renew_secret(tenant, self.actor)
        if made:
            self.stdout.write(_("The webhook's secret, which is printed only now: %(made)s") % {"made": made})
        if secret is not None:
            self.stdout.write(_("%(slug)s: the new secret is kept.") % {"slug": tenant.slug})
        after = alert_record(settings)
        if before != after or not (made or secret):
            self.tell_changes(tenant.slug, before, after)


def _kinds(text: str) -> list[str]:
    found = [kind.strip() for kind in text.split(",") if kind.strip()]
    for kind in found:
        if kind not in KINDS:
            raise ArgumentTypeError(
                _("there is no kind of alert %(kind)s: choose of %(kinds)s") % {"kind": kind, "kinds": ", ".join(KINDS)}
            )
    return found
