from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.target_rows import is_secret, target_named
from migrations_app.chat.targets.base import TargetProblem, TargetSettings
from migrations_app.chat.targets.matrix import registration_of
from migrations_app.management.whole_file import not_written, replace
from migrations_app.models import ChatTarget
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import secret_of


class Command(AdministratorCommand):
    help = (
        "Write what a Matrix homeserver must know of MMS: the registration of an application service, for a target of "
        "the kind matrix. The homeserver's administrator names the file in app_service_config_files. MMS shows the "
        "secret of a target to nobody: give the file from which it was read."
    )
    example = "Homeserver --secret-file password.txt --output mms-registration.yaml"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument(
            "--secret-file",
            metavar="FILE",
            required=True,
            help="a file, or - for standard input, that holds the secret of the target",
        )
        parser.add_argument("--output", required=True, metavar="FILE", type=Path, help="it holds the secret, too")

    def handle(self, *args: Any, **options: Any) -> None:
        target = target_named(self.tenant(options), options["name"])
        if target.kind != ChatTarget.Kind.MATRIX:
            raise CommandError(
                _("%(name)s is no Matrix homeserver, so it needs no registration.") % {"name": target.name}
            )
        secret = secret_of(options) or ""
        if not is_secret(target, secret):
            raise CommandError(
                _("That is not the secret of %(name)s: give the file that set_chat_target read, or set it anew.")
                % {"name": target.name}
            )
        settings = TargetSettings(
            name=target.name,
            kind=target.kind,
            address=target.address,
            account=target.account,
            secret=secret,
            options=target.options,
        )
        output: Path = options["output"]
        try:
            replace(output, [registration_of(settings).encode()], is_private=True)
        except TargetProblem as problem:
            raise CommandError(problem.sentence) from None
        except OSError as error:
            raise not_written(output, error) from error
        self.stdout.write(
            _(
                "Written to %(path)s. Give it to the homeserver's administrator: its name belongs into "
                "app_service_config_files, and the homeserver is restarted then."
            )
            % {"path": output}
        )
