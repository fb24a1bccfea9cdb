from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from tenants_app.changes.mailboxes import rotate_secrets
from tenants_app.management.base import AdministratorCommand
from tenants_app.sealing import NoSecretsKey
from tenants_app.wording import counted


class Command(AdministratorCommand):
    help = (
        "Encrypt every stored password anew with the newest key of MMS_SECRETS_KEY, after which the older keys can go. "
        "Can be repeated."
    )
    acts_on_a_tenant = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count, unopenable = rotate_secrets()
        except NoSecretsKey as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{counted(count, 'password')} encrypted with the newest key.")
        if unopenable:
            raise CommandError(
                f"No key opens {counted(len(unopenable), 'password')} ({', '.join(unopenable[:10])}): put the old key "
                "back into MMS_SECRETS_KEY and repeat, or enter them anew."
            )
