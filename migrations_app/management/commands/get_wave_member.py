from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.models import WaveMember
from migrations_app.rollouts.naming import find_rollout, find_wave
from tenants_app.bulk import BULK
from tenants_app.management.arguments import add_format, one_of
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    "Rollout",
    "Wave",
    "UserPrincipalName",
    "State",
    "Batch",
    "Source",
    "Reason",
    "ClientVersion",
    "Attempts",
    "MoveDate",
    "CorrelationId",
    "RunState",
    "Decision",
    "Message",
    "AddDate",
    "AddedBy",
)
IN_TABLE = ("Wave", "UserPrincipalName", "State", "Batch", "RunState", "Message")


class Command(AdministratorCommand):
    help = "List the members of waves: their states, batches and runs, and why one failed or was excluded."
    example = "--wave Pilot --state Failed"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--rollout", metavar="ROLLOUT", help="only those of this rollout")
        parser.add_argument("--wave", metavar="WAVE", help="only those of this wave, by its name or as ROLLOUT/WAVE")
        parser.add_argument(
            "--state",
            type=one_of(WaveMember.State.values, gettext_noop("a state of members")),
            metavar="STATE",
            help=f"only those in this state: {', '.join(WaveMember.State.values)}",
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        members = WaveMember.objects.filter(wave__rollout__tenant=tenant)
        if options["rollout"] is not None:
            members = members.filter(wave__rollout=find_rollout(tenant, options["rollout"]))
        if options["wave"] is not None:
            members = members.filter(wave=find_wave(tenant, options["wave"]))
        if options["state"] is not None:
            members = members.filter(state=options["state"])
        self.list_rows(_rows(members), options, list(COLUMNS), list(IN_TABLE), _("No member is listed."))


def _rows(members: QuerySet[WaveMember]) -> Iterator[dict[str, Any]]:
    found = members.select_related("wave__rollout", "user", "run").order_by("wave__rollout", "wave__position", "pk")
    for member in found.iterator(chunk_size=BULK):
        yield {
            "Rollout": member.wave.rollout.name,
            "Wave": member.wave.name,
            "UserPrincipalName": member.user.upn,
            "State": member.state,
            "Batch": member.batch,
            "Source": member.source,
            "Reason": member.reason,
            "ClientVersion": member.client_version,
            "Attempts": member.attempts,
            "MoveDate": member.moved_at,
            "CorrelationId": member.run.correlation_id if member.run else None,
            "RunState": member.run.state if member.run else None,
            "Decision": member.decision,
            "Message": member.failure,
            "AddDate": member.added_at,
            "AddedBy": member.added_by,
        }
