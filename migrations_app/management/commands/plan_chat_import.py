from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.chat_import import ChatImportCommand
from tenants_app.management.arguments import add_format


class Command(ChatImportCommand):
    help = (
        "Say what would become of each room of a chat archive at a target, and change nothing: conversions, conflicts, "
        "people without an account. Exit status 1 as long as something is in the way of the import."
    )
    example = 'chat.zip --target "New home"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.tell_plan(self.planned(options), options)
