from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.target_rows import set_target
from migrations_app.chat.targets import of_kind
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.mailbox_options import secret_of


class Command(AdministratorCommand):
    help = (
        "Make a target to which rooms of chat are imported, or change what is given of one. Its secret is read from a "
        "file, kept encrypted, and shown to nobody."
    )
    example = '"New home" --kind archive'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--kind", choices=list(of_kind.KINDS), help="what it is; needed for a new one")
        parser.add_argument("--address", metavar="URL", help="of its server, where it has one")
        parser.add_argument("--account", metavar="NAME", help="with which MMS signs in there")
        parser.add_argument(
            "--secret-file", metavar="FILE", help="a file, or - for standard input, that holds the account's secret"
        )
        parser.add_argument(
            "--option",
            action="append",
            type=_option,
            default=[],
            metavar="NAME=VALUE",
            help="what only this kind has; NAME= takes it away. May be given several times",
        )
        parser.add_argument("--new-name", metavar="NAME", help="another name")

    def handle(self, *args: Any, **options: Any) -> None:
        target = set_target(
            self.tenant(options),
            self.actor,
            options["name"],
            kind=options["kind"],
            address=options["address"],
            account=options["account"],
            secret=secret_of(options),
            options=dict(options["option"]),
            new_name=options["new_name"],
        )
        self.stdout.write(_("%(name)s: saved.") % {"name": target.name})


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ArgumentTypeError(_("%(text)s is no option: write it as NAME=VALUE.") % {"text": repr(text)})
    return name.strip(), value
