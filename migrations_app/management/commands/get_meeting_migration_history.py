from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.correlation_id import correlation_id
from migrations_app.models import MeetingResult
from migrations_app.runs.history import MEETING_FIELDS, block_record, meeting_record
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

IN_TABLE = ["Subject", "StartDate", "Attendees", "Outcome", "Reason", "CorrelationId"]


class Command(AdministratorCommand):
    help = "List what a user's runs did with each meeting, newest run first; JSON has the block before and after."
    example = "--user anna@contoso.com --format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        parser.add_argument("--correlation-id", type=correlation_id, metavar="ID", help="of this run only")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        user, wanted = self.user(tenant, options["user"]), options["correlation_id"]
        results = MeetingResult.objects.filter(run__user=user).select_related("run")
        if wanted:
            if not user.runs.filter(correlation_id=wanted).exists():
                raise CommandError(
                    _("%(upn)s has no run %(wanted)s: get_meeting_migration_status lists them.")
                    % {"upn": user.upn, "wanted": wanted}
                )
            results = results.filter(run__correlation_id=wanted)
        results = results.order_by("-run__created", "-run", "starts_at", "pk")
        if options["format"] == "json":
            rows = ({**meeting_record(result), **block_record(result)} for result in results.iterator())
        else:
            rows = (meeting_record(result) for result in results.defer("spans").iterator())
        self.list_rows(
            rows, options, list(MEETING_FIELDS), in_table=IN_TABLE, when_empty=_("No run has looked at a meeting yet.")
        )
