from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.user_command import UserChangeCommand
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID
from tenants_app.management.arguments import add_dry_run, e164
from tenants_app.management.base import wrong_usage
from tenants_app.models import Tenant
from tenants_app.wording import stored_provider


class Command(UserChangeCommand):
    help = "Change a user's audio conferencing and say which run that starts, or why none; only what is given changes."
    example = "--user anna@contoso.com --bridge Europe --toll-number +442079460123"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        parser.add_argument("--license", choices=["assign", "remove"], help="the audio conferencing licence")
        parser.add_argument("--audio-conferencing", choices=["enable", "disable"])
        parser.add_argument(
            "--provider",
            metavar="microsoft|NAME",
            type=stored_provider,
            help="Microsoft or the audio conferencing provider",
        )
        parser.add_argument("--bridge", metavar="NAME", help="move the user to this bridge")
        parser.add_argument("--toll-number", metavar="E164", type=e164, help="a toll number of the user's bridge")
        parser.add_argument("--toll-free-number", metavar="E164", type=e164, help="likewise, toll-free")
        conference_id = parser.add_mutually_exclusive_group()
        conference_id.add_argument("--conference-id", metavar="ID", help="7 digits that are free on the bridge")
        conference_id.add_argument("--reset-conference-id", action="store_true", help="give the user another free one")
        parser.add_argument("--sip-address", metavar="ADDRESS", help="starts no run")
        parser.add_argument(
            "--reschedule-meetings", action="store_true", help="start a run also for a changed default number"
        )
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        values = self._values(tenant, options)
        if not values:
            raise wrong_usage("Give at least one setting to change, such as --license assign or --bridge NAME.")
        user = self.user(tenant, options["user"])
        self.change(user, values, options, reschedule_meetings=options["reschedule_meetings"])

    def _values(self, tenant: Tenant, options: dict[str, Any]) -> dict[str, Any]:
        """The options as the values of a :class:`tenants_app.changes.users.UserEdit`."""
        values: dict[str, Any] = {}
        if options["license"]:
            values["audio_conferencing_license"] = options["license"] == "assign"
        if options["audio_conferencing"]:
            values["audio_conferencing_enabled"] = options["audio_conferencing"] == "enable"
        if options["provider"] is not None:
            values["conferencing_provider"] = options["provider"]
        if options["bridge"] is not None:
            values["bridge"] = self.bridge(tenant, options["bridge"])
        for field in ("toll_number", "toll_free_number"):
            if options[field]:
                values[field] = self.service_number(tenant, options[field])
        if options["reset_conference_id"]:
            values["conference_id"] = NEW_CONFERENCE_ID
        elif options["conference_id"] is not None:
            values["conference_id"] = options["conference_id"]
        if options["sip_address"] is not None:
            values["sip_address"] = options["sip_address"]
        return values
