from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import ngettext

from tenants_app.changes.accounts import rotate_second_factors
from tenants_app.changes.mailboxes import rotate_secrets
from tenants_app.management.base import AdministratorCommand
from tenants_app.sealing import NoSecretsKey
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Encrypt every stored password anew with the newest key of MMS_SECRETS_KEY, after which the older keys can go. "
        "Can be repeated."
    )
    acts_on_a_tenant = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count, unopenable = rotate_secrets()
            of_factors, unopenable_factors = rotate_second_factors()
        except NoSecretsKey as error:
            raise CommandError(str(error)) from error
        if of_factors or unopenable_factors:
            self.stdout.write(
                ngettext(
                    "%(count)s key of second factors encrypted with the newest key.",
                    "%(count)s keys of second factors encrypted with the newest key.",
                    of_factors,
                )
                % {"count": grouped(of_factors)}
            )
            unopenable = [*unopenable, *unopenable_factors]
        self.stdout.write(
            ngettext(
                "%(count)s password encrypted with the newest key.",
                "%(count)s passwords encrypted with the newest key.",
                count,
            )
            % {"count": grouped(count)}
        )
        if unopenable:
            raise CommandError(
                ngettext(
                    "No key opens %(count)s password (%(names)s): put the old key back into MMS_SECRETS_KEY and "
                    "repeat, or enter them anew.",
                    "No key opens %(count)s passwords (%(names)s): put the old key back into MMS_SECRETS_KEY and "
                    "repeat, or enter them anew.",
                    len(unopenable),
                )
                % {"count": grouped(len(unopenable)), "names": ", ".join(unopenable[:10])}
            )
