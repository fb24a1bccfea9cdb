from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tenants_app.management.base import AdministratorCommand
from tenants_app.validators import validate_web_address


class Command(AdministratorCommand):
    help = "Make an account for the dashboard and print a link with which its owner chooses a password, once."
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
            help="where the dashboard is reached, if not where MMS_BASE_URL says (%(default)s)",
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
            self.stdout.write(f"{username} is there; grant_role {username} --role … says what they may do.")
        elif account.email.lower() != email.lower():
            raise CommandError(
                f"There is already an account {username} with another address: give that one or choose another name."
            )
        elif not account.is_active:
            raise CommandError(f"The account {username} is switched off: switch it on in the Django admin first.")
        path = reverse(
            "password_reset_confirm",
            kwargs={
                "uidb64": urlsafe_base64_encode(force_bytes(account.pk)),
                "token": default_token_generator.make_token(account),
            },
        )
        days = settings.PASSWORD_RESET_TIMEOUT // 86_400
        self.stdout.write(
            f"Hand this link to {username} only; it works once and for {days} days:\n"
            f"{options['address'].rstrip('/')}{path}"
        )
