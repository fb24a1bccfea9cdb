from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from migrations_app.failures import CATALOGUE
from migrations_app.models import LeftMeeting
from migrations_app.runs.history import LEFT_FIELDS, left_record
from migrations_app.runs.left import unmigrated
from tenants_app.management.arguments import add_format, one_of
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped

IN_TABLE = ["UserPrincipalName", "Subject", "StartDate", "Attendees", "Reason", "State", "CorrelationId"]


class Command(AdministratorCommand):
    help = (
        "List the meetings to come that need a person: left as they are by a run, failed, or with attendees who could "
        "not be told. Those that were dealt with are left out. Those that are assigned to their organizers are listed, "
        "though check_migrations and the dashboard count only those that nobody has seen to."
    )
    example = "--reason needs-review --format csv"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN", help="of this organizer only")
        parser.add_argument(
            "--reason",
            type=one_of(list(CATALOGUE), gettext_noop("a reason")),
            metavar="CODE",
            help="for this reason only, such as needs-review; docs/errors.md has all codes",
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        rows = unmigrated(tenant)
        if options["user"] is not None:
            rows = rows.filter(user=self.user(tenant, options["user"]))
        if reason := options["reason"]:
            rows = rows.filter(code=reason)
        self.list_rows(
            ({**left_record(row), "State": row.state} for row in rows.iterator()),
            options,
            [*LEFT_FIELDS, "State"],
            in_table=IN_TABLE,
            when_empty=_("No meeting needs a person."),
        )
        if options["format"] == "table":
            self._tell_count(rows)

    def _tell_count(self, rows: QuerySet[LeftMeeting]) -> None:
        """The number that the dashboard and check_migrations show, and what is listed beside it."""
        states = Counter(rows.order_by().values_list("state", flat=True))
        if assigned := states[LeftMeeting.State.ASSIGNED]:
            count = states[LeftMeeting.State.OPEN]
            self.stdout.write(
                ngettext(
                    "%(count)s meeting open, as the dashboard counts;",
                    "%(count)s meetings open, as the dashboard counts;",
                    count,
                )
                % {"count": grouped(count)}
                + " "
                + ngettext("%(count)s assigned to its organizer.", "%(count)s assigned to their organizers.", assigned)
                % {"count": grouped(assigned)}
            )
