from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.target_rows import remove_target, target_named
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = "Remove a target of chat for which nothing was planned, and its secret. Nothing changes at the target."
    example = '"New home"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        target = target_named(self.tenant(options), options["name"])
        remove_target(target, self.actor)
        self.stdout.write(_("%(name)s: removed.") % {"name": target.name})
