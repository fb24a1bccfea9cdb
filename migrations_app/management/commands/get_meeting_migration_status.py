from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.models import Run
from migrations_app.runs.history import RUN_FIELDS, run_record
from migrations_app.targets import MIGRATION_TYPES
from tenants_app.management.arguments import add_format, from_time, one_of, to_time
from tenants_app.management.base import AdministratorCommand

IN_TABLE = [
    "UserPrincipalName",
    "State",
    "MigrationType",
    "CreateDate",
    "TotalMeeting",
    "SucceededMeeting",
    "FailedMeeting",
    "LeftMeeting",
    "InvitesUpdate",
    "CorrelationId",
    "LastErrorMessage",
]


class Command(AdministratorCommand):
    help = "List runs, newest first, or count the users by the state of their latest run."
    example = "--state Failed --start-time 10/1/2016"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN")
        parser.add_argument(
            "--state", type=one_of(Run.State.values, gettext_noop("a state")), metavar="|".join(Run.State.values)
        )
        parser.add_argument(
            "--migration-type",
            type=one_of(MIGRATION_TYPES, gettext_noop("a migration type")),
            metavar="TYPE",
            help=f"one of {', '.join(MIGRATION_TYPES)}",
        )
        parser.add_argument("--start-time", type=from_time, metavar="TIME", help="runs created then or later")
        parser.add_argument(
            "--end-time", type=to_time, metavar="TIME", help="runs created until then; a date includes its whole day"
        )
        parser.add_argument("--summary-only", action="store_true", help="only State and UserCount, for all four states")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        runs = Run.objects.filter(tenant=tenant)
        if options["user"] is not None:
            runs = runs.filter(user=self.user(tenant, options["user"]))
        if options["state"]:
            runs = runs.filter(state=options["state"])
        if options["migration_type"]:
            runs = runs.filter(migration_type=options["migration_type"])
        if options["start_time"]:
            runs = runs.filter(created__gte=options["start_time"])
        if options["end_time"]:
            runs = runs.filter(created__lte=options["end_time"])
        if options["summary_only"]:
            found = dict(runs.filter(is_latest=True).order_by().values_list("state").annotate(Count("pk")))
            rows = [{"State": state, "UserCount": found.get(state, 0)} for state in Run.State.values]
            self.list_rows(rows, options, ["State", "UserCount"])
            return
        self.list_rows(
            map(run_record, runs.select_related("user", "undoes").iterator()),
            options,
            list(RUN_FIELDS),
            in_table=IN_TABLE,
            when_empty=_("There are no such runs."),
        )
