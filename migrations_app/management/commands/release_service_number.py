from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.open_release import open_release, told
from migrations_app.procedures.number_release import Holds, check_release_anyway, release_anyway
from tenants_app.management.arguments import add_dry_run, e164
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Release a number that is on its way off a bridge although it is still needed: meetings show it, or attendees "
        "were not told. Look first with get_number_release or --dry-run; it cannot be taken back, and is audited."
    )
    example = '--number +14255550100 --reason "The carrier has cut it"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--number", required=True, metavar="E164", type=e164)
        parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands in the audit")
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        number = self.service_number(self.tenant(options), options["number"])
        release = open_release(number)
        holds = Holds.of(release)
        if options["dry_run"]:
            check_release_anyway(release, options["reason"])
        else:
            release_anyway(release, options["reason"], self.actor, seen=holds.key)
        sentence = (
            _("%(number)s would be released with %(holds)s.")
            if options["dry_run"]
            else _("%(number)s is released with %(holds)s.")
        )
        self.stdout.write(sentence % {"number": release, "holds": told(holds)})
        self.tell_rehearsal(options)
