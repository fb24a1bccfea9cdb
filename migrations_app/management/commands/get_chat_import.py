from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _

from migrations_app.chat.plans import plan_numbered
from migrations_app.models import ChatPlan, ChatRoom
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    *("Plan", "Archive", "Target", "State", "Problem", "OnConflict", "Rooms", "Messages", "Files", "Errors"),
    *("Warnings", "Notes", "EstimateSeconds", "RetentionAcceptedBy", "Imported", "Failed", "Written", "Verified"),
    *("CreateDate", "CreatedBy", "StartDate", "StartedBy", "EndDate", "ReplacedBy"),
)
IN_TABLE = ("Plan", "Archive", "Target", "State", "Rooms", "Imported", "Failed", "Errors", "Warnings")


class Command(AdministratorCommand):
    help = "List the plans by which chat is imported: what was found, how far each is, and why one does not go on."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("number", type=int, nargs="?", metavar="NUMBER", help="only this plan")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        plans = ChatPlan.objects.filter(tenant=tenant)
        if options["number"] is not None:
            plans = plans.filter(pk=plan_numbered(tenant, options["number"]).pk)
        imported = Q(rooms__state=ChatRoom.State.IMPORTED)
        counted = plans.select_related("archive", "target", "replaced_by").annotate(
            imported=Count("rooms", filter=imported),
            failed=Count("rooms", filter=Q(rooms__state=ChatRoom.State.FAILED)),
            verified=Count("rooms", filter=Q(rooms__comparison=ChatRoom.Comparison.VERIFIED)),
            written=Sum("rooms__written"),
        )
        self.list_rows(
            (_record(plan) for plan in counted.order_by("number").iterator(500)),
            options,
            COLUMNS,
            IN_TABLE,
            _("There are no plans: plan_chat_import makes one."),
        )


def _record(plan: Any) -> dict[str, Any]:
    return {
        "Plan": plan.number,
        "Archive": plan.archive.name,
        "Target": plan.target.name,
        "State": plan.state,
        "Problem": str(plan.problem),
        "OnConflict": plan.on_conflict,
        "Rooms": plan.room_count,
        "Messages": plan.message_count,
        "Files": plan.file_count,
        "Errors": plan.error_count,
        "Warnings": plan.warning_count,
        "Notes": plan.note_count,
        "EstimateSeconds": plan.estimate_seconds,
        "RetentionAcceptedBy": plan.retention_accepted_by,
        "Imported": plan.imported,
        "Failed": plan.failed,
        "Written": plan.written or 0,
        "Verified": plan.verified,
        "CreateDate": plan.created,
        "CreatedBy": plan.created_by,
        "StartDate": plan.started_at,
        "StartedBy": plan.started_by,
        "EndDate": plan.finished_at,
        "ReplacedBy": plan.replaced_by.number if plan.replaced_by else None,
    }
