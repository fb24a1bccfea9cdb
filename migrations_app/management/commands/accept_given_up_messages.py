from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import ngettext

from migrations_app.management.open_release import open_release, told
from migrations_app.procedures.number_release import Holds, accept_given_up
from tenants_app.management.arguments import add_dry_run, e164
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Accept that attendees keep invitations with a number that is on its way off a bridge, because the messages to "
        "them were given up: these do not hold the number any more. get_number_release lists them."
    )
    example = "--number +14255550100"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--number", required=True, metavar="E164", type=e164)
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        release = open_release(self.service_number(self.tenant(options), options["number"]))
        if options["dry_run"]:
            holds = Holds.of(release)
            count, left = holds.given_up, replace(holds, given_up=0)
        else:
            count = accept_given_up(release, self.actor)
            left = Holds.of(release)
        self.stdout.write(
            ngettext(
                "%(count)s message accepted. What keeps %(number)s now: %(holds)s.",
                "%(count)s messages accepted. What keeps %(number)s now: %(holds)s.",
                count,
            )
            % {"count": grouped(count), "number": release, "holds": told(left)}
        )
        self.tell_rehearsal(options)
