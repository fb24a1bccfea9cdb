from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.meeting_services.of_user import why_no_target
from migrations_app.targets import ALL, CURRENT, SOURCE_TYPES, TARGET_TYPES, Targets
from migrations_app.tool.errors import Refused
from migrations_app.tool.migration import Migration
from migrations_app.tool.reading import Limits, read_path
from migrations_app.tool.settings import ByHand, settings_by_hand, settings_of
from migrations_app.tool.use import check_output, write_into
from tenants_app.management.arguments import MEETING_SERVICES, e164, meeting_service, one_of
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.listing import printable
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.wording import grouped

LIMITS = Limits(files=100_000, octets=250_000_000)


class Command(AdministratorCommand):
    help = (
        "The Meeting Migration Tool: migrate calendars that are given as files, for users whom MMS cannot serve "
        "itself and for anybody whose settings are given by hand. Back come the calendars, byte for byte but for the "
        "blocks, a report, and the messages to attendees as .eml files, unless they are sent."
    )
    example = "--user anna@contoso.com --input anna.zip --output anna-migrated/"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="UPN", help="whose calendar it is, and whose settings count")
        whose.add_argument(
            "--address",
            action="append",
            metavar="ADDRESS",
            help="the organizer's address, where it is no user of the tenant; may be given twice",
        )
        parser.add_argument(
            "--input", required=True, type=Path, metavar="PATH", help="an .ics or .eml file, a folder or a ZIP of them"
        )
        parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="a folder that is not there yet")
        parser.add_argument("--send", action="store_true", help="send the messages instead of writing .eml files")
        parser.add_argument(
            "--source-meeting-type",
            type=one_of(SOURCE_TYPES, gettext_noop("a source meeting type")),
            default=ALL,
            metavar="|".join(SOURCE_TYPES),
            help=f"whose meetings to look at; all others are left alone (default: {ALL})",
        )
        parser.add_argument(
            "--target-meeting-type",
            type=one_of(TARGET_TYPES, gettext_noop("a target meeting type")),
            default=CURRENT,
            metavar="|".join(TARGET_TYPES),
            help=f"where they are afterwards, as for start_meeting_migration (default: {CURRENT})",
        )
        by_hand = parser.add_argument_group("instead of the user's settings")
        by_hand.add_argument("--display-name", default="", metavar="NAME")
        by_hand.add_argument("--language", default="", metavar="TAG", help="such as es-ES")
        by_hand.add_argument(
            "--meeting-service",
            type=meeting_service,
            metavar=MEETING_SERVICES,
            help="where meetings are made anew, if --target-meeting-type asks for it",
        )
        by_hand.add_argument("--bridge", metavar="NAME", help="whose numbers the invitations show")
        by_hand.add_argument("--toll-number", type=e164, metavar="E164", help="of the bridge, or any other")
        by_hand.add_argument("--toll-free-number", type=e164, metavar="E164")
        by_hand.add_argument("--place", default="", help="of a toll number that is no service number of the tenant")
        by_hand.add_argument("--conference-id", default="", metavar="ID")
        by_hand.add_argument(
            "--former-conference-id",
            action="append",
            default=[],
            metavar="ID",
            help="an ID in the invitations that gives way to it; may be given several times",
        )
        by_hand.add_argument("--no-dial-in", action="store_true", help="leave out the dial-in details")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, given, output = self.tenant(options), options["input"], options["output"]
        targets = Targets.of_types(options["source_meeting_type"], options["target_meeting_type"])
        for service in targets.services:
            if refusal := why_no_target(tenant, service):
                raise CommandError(refusal)
        if output.resolve() == given.resolve() or given.resolve() in output.resolve().parents:
            raise wrong_usage(_("What comes back would lie in what was given: choose another folder for --output."))
        try:
            check_output(output)  # before the work
            user, by_hand = self._settings(tenant, options)
            migration = Migration(user, read_path(given, LIMITS), targets, by_hand)
            done = write_into(output, migration, self.actor, sends=options["send"])
        except Refused as refused:
            raise CommandError(printable(str(refused))) from refused
        self.stdout.write(f"{user.upn}: {done.sentence}")
        self.stdout.write(
            _("Everything is in %(output)s; begin with %(output2)s.")
            % {"output": output, "output2": output / "report.html"}
        )
        if done.counts.failed:
            raise CommandError(
                _("Of %(all)s meetings %(failed)s failed: see the report.")
                % {"all": grouped(done.counts.all), "failed": grouped(done.counts.failed)}
            )

    def _settings(self, tenant: Tenant, options: dict[str, Any]) -> tuple[ConferencingUser, ByHand]:
        by_hand = ByHand(
            display_name=options["display_name"],
            language=options["language"],
            meeting_service=options["meeting_service"] or "",
            has_dial_in=not options["no_dial_in"],
            bridge=self.bridge(tenant, options["bridge"]) if options["bridge"] else None,
            toll_number=options["toll_number"] or "",
            toll_free_number=options["toll_free_number"] or "",
            place=options["place"],
            conference_id=options["conference_id"],
            former_ids=tuple(options["former_conference_id"]),
        )
        if options["address"]:
            return settings_by_hand(tenant, options["address"], by_hand), by_hand
        return settings_of(self.user(tenant, options["user"]), by_hand), by_hand
