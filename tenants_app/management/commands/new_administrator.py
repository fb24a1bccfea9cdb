from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from tenants_app.mail_addresses import is_same
from tenants_app.management.base import AdministratorCommand
from tenants_app.site_address import sign_in_path
from tenants_app.validators import validate_web_address


class Command(AdministratorCommand):
    help = gettext_noop(
        "Make an account for the dashboard and print a link with which its owner chooses a password, once."
    )
    example = "alice --email alice@contoso.com"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("username", metavar="USERNAME")
        parser.add_argument("--email", required=True, metavar="ADDRESS")
        parser.add_argument(
            "--address",
            default=settings.MMS_BASE_URL,
            metavar="URL",
            help=_("where the dashboard is reached, if not where MMS_BASE_URL says (%(default)s)"),
        )

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        accounts = get_user_model().objects
        username, email = options["username"], options["email"]
        validate_email(email)
        validate_web_address(options["address"])
        account = accounts.filter(username=username).first()
        if account is None:
            account = accounts.model(username=username, email=email)
            account.set_unusable_password()
            account.full_clean()
            account.save()
            self.stdout.write(
                _("%(name)s is there; grant_role %(name)s --role … says what they may do.") % {"name": username}
            )
        elif not is_same(account.email, email):
            raise CommandError(
                _("There is already an account %(name)s with another address: give that one or choose another name.")
                % {"name": username}
            )
        elif not account.is_active:
            raise CommandError(
                _("The account %(name)s is switched off: switch it on first, on the page of all accounts.")
                % {"name": username}
            )
        days = settings.PASSWORD_RESET_TIMEOUT // 86_400
        told = ngettext(
            "Hand this link to %(name)s only; it works once and for %(days)s day:",
            "Hand this link to %(name)s only; it works once and for %(days)s days:",
            days,
        )
        self.stdout.write(told % {"name": username, "days": days})
        self.stdout.write(f"{options['address'].rstrip('/')}{sign_in_path(account)}")
