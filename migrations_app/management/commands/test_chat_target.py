from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app.chat.target_rows import target_named, try_target
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.listing import printable


class Command(AdministratorCommand):
    help = (
        "Try a target of chat: sign in, look at what is there, ask how long it keeps messages. Changes nothing there. "
        "Exit status 1 where a step fails."
    )
    example = '"New home"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        works = True
        for tried in try_target(target_named(self.tenant(options), options["name"])):
            works = works and tried.ok
            self.stdout.write(printable(f"{'ok    ' if tried.ok else 'FAILED'}  {tried.step}: {tried.sentence}"))
            self.stdout.flush()
        if not works:
            sys.exit(1)
