from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import NumberRelease
from migrations_app.procedures import number_holds, number_looks
from migrations_app.procedures.number_holders import explain, holders_with_why
from tenants_app.bulk import batched
from tenants_app.management.arguments import add_format, e164
from tenants_app.management.base import AdministratorCommand
from tenants_app.sentences import one_after_the_other


class Command(AdministratorCommand):
    help = (
        "List what keeps numbers that are on their way off a bridge: meetings that still show one, wherever it stands "
        "in them, messages to attendees that are unsent, in doubt or given up, mailboxes that could not be looked at, "
        "and users (R35)."
    )
    example = "--number +14255550100 --format csv"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--number", metavar="E164", type=e164, help="only this one")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        releases = NumberRelease.objects.filter(tenant=tenant, state__in=NumberRelease.OPEN).select_related("tenant")
        if options["number"]:
            releases = releases.filter(number=self.service_number(tenant, options["number"]))
            if not releases:
                raise CommandError(
                    _("%(number)s is not on its way off a bridge: unassign_service_number begins with it.")
                    % {"number": options["number"]}
                )
        rows = chain.from_iterable(_rows(release) for release in releases.order_by("e164"))
        columns = list(number_holds.MEETING_FIELDS)
        in_table = ["Number", "HeldBy", "UserPrincipalName", "Subject", "StartDate", "Where", "Message"]
        self.list_rows(rows, options, columns, in_table, when_empty=_("Nothing is known that keeps a number."))


def _rows(release: NumberRelease) -> Iterator[dict[str, Any]]:
    for meeting in number_holds.meetings(release).select_related("release").iterator():
        yield {name: read(meeting) for name, read in number_holds.MEETING_FIELDS.items()}
    for row in number_holds.updates(release).select_related("number").iterator():
        yield {name: read(row) for name, read in number_holds.UPDATE_FIELDS.items()}
    for user in number_looks.refused(release).iterator():
        yield dict.fromkeys(number_holds.MEETING_FIELDS) | {
            "Number": release.e164,
            "HeldBy": "Mailbox",
            "UserPrincipalName": user.upn,
            "Message": number_looks.why(user),
        }
    users = holders_with_why(release).select_related("latest", "bridge", "deployment").order_by("why", "upn")
    for some in batched(users):
        for holder in explain(release, some):
            yield dict.fromkeys(number_holds.MEETING_FIELDS) | {
                "Number": release.e164,
                "HeldBy": "User",
                "UserPrincipalName": holder.user.upn,
                "Message": one_after_the_other(*holder.sentences)
                or (holder.run.last_error_message if holder.run else ""),
                "CorrelationId": str(holder.run.correlation_id) if holder.run else "",
            }
