from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import verification
from migrations_app.chat.names import DIFFERENCES
from migrations_app.management.chat_import import newest_plan, rooms_named
from migrations_app.models import ChatDifference
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = "Accept differences between rooms of the archive and the target, for a reason; verify_chat lists them."
    example = '--room Handover --code altered-text --reason "Its author has corrected it."'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--plan", type=int, metavar="NUMBER", help="of this plan (default: the newest)")
        parser.add_argument("--room", nargs="+", required=True, metavar="NAME", help="of these rooms, by name or id")
        parser.add_argument(
            "--code", nargs="+", choices=list(DIFFERENCES), metavar="CODE", help="only differences of these kinds"
        )
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why; the audit and the report show it")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = newest_plan(self.tenant(options), options["plan"])
        rooms = rooms_named(plan, options["room"])
        found = ChatDifference.objects.filter(room__in=rooms, accepted_at=None)
        if options["code"]:
            found = found.filter(code__in=options["code"])
        if not found.exists():
            raise CommandError(_("These rooms have no such difference that is not accepted: verify_chat lists them."))
        count = verification.accept(found, self.actor, options["reason"])
        self.stdout.write(
            ngettext("%(count)s difference is accepted.", "%(count)s differences are accepted.", count)
            % {"count": grouped(count)}
        )
