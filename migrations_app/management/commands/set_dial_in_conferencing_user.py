from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.user_command import UserChangeCommand
from tenants_app.catalogue import USER_SETTINGS, Kind
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID
from tenants_app.changes.mailboxes import read_mailbox
from tenants_app.management.arguments import MEETING_SERVICES, e164, either, users_meeting_service
from tenants_app.management.base import wrong_usage
from tenants_app.management.deployment_options import deployment_or_none
from tenants_app.models import Tenant
from tenants_app.wording import stored_provider


class Command(UserChangeCommand):
    help = "Change a user's audio conferencing and say which run that starts, or why none; only what is given changes."
    example = "--user anna@contoso.com --bridge Europe --toll-number +442079460123"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        # Each option is kept under the name of the setting that it is a value of.
        parser.add_argument(
            "--license",
            dest="audio_conferencing_license",
            metavar="assign|remove",
            type=either(assign=True, remove=False),
            help="the audio conferencing licence",
        )
        parser.add_argument(
            "--audio-conferencing",
            dest="audio_conferencing_enabled",
            metavar="enable|disable",
            type=either(enable=True, disable=False),
        )
        parser.add_argument(
            "--provider",
            dest="conferencing_provider",
            metavar="microsoft|NAME",
            type=stored_provider,
            help="Microsoft or the audio conferencing provider",
        )
        parser.add_argument("--bridge", metavar="NAME", help="move the user to this bridge")
        parser.add_argument("--toll-number", metavar="E164", type=e164, help="a toll number of the user's bridge")
        parser.add_argument("--toll-free-number", metavar="E164", type=e164, help="likewise, toll-free")
        conference_id = parser.add_mutually_exclusive_group()
        conference_id.add_argument("--conference-id", metavar="ID", help="7 digits that are free on the bridge")
        conference_id.add_argument(
            "--reset-conference-id",
            dest="conference_id",
            action="store_const",
            const=NEW_CONFERENCE_ID,
            help="give the user another free one",
        )
        parser.add_argument("--sip-address", metavar="ADDRESS", help="starts no run")
        parser.add_argument(
            "--meeting-service",
            metavar=f"{MEETING_SERVICES}|tenant",
            type=users_meeting_service,
            help="who hosts meetings that are made anew, or the tenant's service; starts no run",
        )
        parser.add_argument(
            "--mailbox",
            metavar="NAME|embedded|tenant",
            help="where the user's mailbox is: a connection, MMS itself, or where the tenant's are; starts no run",
        )
        parser.add_argument(
            "--deployment",
            metavar="NAME|none",
            help="move the user to this deployment, with its hosting, bridge and numbers; or to none",
        )
        parser.add_argument(
            "--reschedule-meetings", action="store_true", help="start a run also for a changed default number"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        values = {
            setting.field: self._value(tenant, setting.kind, options[setting.field])
            for setting in USER_SETTINGS
            if options.get(setting.field) is not None
        }
        if not values:
            raise wrong_usage(_("Give at least one setting to change, such as --license assign or --bridge NAME."))
        user = self.user(tenant, options["user"])
        self.change(user, values, options, reschedule_meetings=options["reschedule_meetings"])

    def _value(self, tenant: Tenant, kind: Kind, given: Any) -> Any:
        """The value of an option as a change of the user takes it."""
        if kind is Kind.BRIDGE:
            return self.bridge(tenant, given)
        if kind is Kind.DEPLOYMENT:
            return deployment_or_none(tenant, given)
        if kind is Kind.MAILBOX:
            try:
                return read_mailbox(tenant, given)
            except ValueError as error:
                raise CommandError(str(error)) from error
        return self.service_number(tenant, given) if kind is Kind.NUMBER else given
