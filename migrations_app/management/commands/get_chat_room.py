from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.chat.plans import plan_numbered
from migrations_app.models import ChatPlan, ChatRoom
from tenants_app.management.arguments import add_format, one_of
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    *("Plan", "Room", "RoomId", "Category", "Becomes", "BecomesCategory", "State", "OnConflict", "DecidedBy", "Reason"),
    *("Messages", "Written", "Files", "FileBytes", "Errors", "Warnings", "EstimateSeconds", "RetryDate", "ErrorCode"),
    *("ErrorDetail", "StartDate", "EndDate", "Comparison", "CompareDate", "Differences"),
)
IN_TABLE = ("RoomId", "Room", "Category", "State", "Messages", "Written", "Errors", "Comparison", "Differences")


class Command(AdministratorCommand):
    help = "List the rooms of a plan: what each becomes at the target, how far it is, and whether both sides agree."
    example = "--state Failed"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--plan", type=int, metavar="NUMBER", help="of this plan (default: the newest)")
        states = [*ChatRoom.State.values, *filter(None, ChatRoom.Comparison.values)]
        parser.add_argument(
            "--state",
            type=one_of(states, gettext_noop("a state of a room")),
            metavar="STATE",
            help=f"only rooms in this state: {', '.join(states)}",
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["plan"] is not None:
            plan = plan_numbered(tenant, options["plan"])
        else:
            newest = ChatPlan.objects.filter(tenant=tenant).order_by("-number").first()
            if newest is None:
                raise CommandError(_("There are no plans: plan_chat_import makes one."))
            plan = newest
        rooms = plan.rooms.order_by("position")
        if options["state"] is not None:
            is_comparison = options["state"] in ChatRoom.Comparison.values
            rooms = rooms.filter(**{"comparison" if is_comparison else "state": options["state"]})
        self.list_rows(
            (_record(plan, room) for room in rooms.iterator(500)),
            options,
            COLUMNS,
            IN_TABLE,
            _("There are no such rooms."),
        )


def _record(plan: ChatPlan, room: ChatRoom) -> dict[str, Any]:
    return {
        "Plan": plan.number,
        "Room": room.name,
        "RoomId": room.room_id,
        "Category": room.category,
        "Becomes": room.becomes,
        "BecomesCategory": room.becomes_category,
        "State": room.state,
        "OnConflict": room.on_conflict or plan.on_conflict,
        "DecidedBy": room.decided_by,
        "Reason": room.reason,
        "Messages": room.message_count,
        "Written": room.written,
        "Files": room.file_count,
        "FileBytes": room.file_bytes,
        "Errors": room.error_count,
        "Warnings": room.warning_count,
        "EstimateSeconds": room.estimate_seconds,
        "RetryDate": room.retry_at,
        "ErrorCode": room.error_code,
        "ErrorDetail": str(room.error_detail),
        "StartDate": room.started_at,
        "EndDate": room.finished_at,
        "Comparison": room.comparison,
        "CompareDate": room.compared_at,
        "Differences": room.difference_count,
    }
