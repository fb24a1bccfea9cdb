from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import people
from migrations_app.management.chat_import import newest_plan
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Ask the people of imported rooms by mail whether anything is missing. Each is asked once, however often it is "
        "given; --remind writes again to those who have not answered."
    )
    example = ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--plan", type=int, metavar="NUMBER", help="of this plan (default: the newest)")
        parser.add_argument("--remind", action="store_true", help="write once more to those who have not answered")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = newest_plan(self.tenant(options), options["plan"])
        count = people.remind(plan, self.actor) if options["remind"] else people.ask_people(plan, self.actor)
        if not count:
            raise CommandError(_("Everybody was asked before: --remind writes again to those who have not answered."))
        self.stdout.write(
            ngettext("%(count)s person gets a mail.", "%(count)s people get a mail.", count) % {"count": grouped(count)}
        )
