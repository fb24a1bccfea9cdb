from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import NumberRelease, Plan, Run
from migrations_app.procedures.plans import job_in_words, job_of
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    *("PlanId", "What", "UserCount", "State", "NotBefore", "Window", "OpensDate", "ClosesDate"),
    *("PendingRuns", "RequestedBy", "CreateDate", "CancelledBy", "FinishDate"),
)


class Command(AdministratorCommand):
    help = "List what begins at a time that was planned, or has begun so: runs, moves and numbers taken off (R37)."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="also what has ended or was cancelled")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        plans = Plan.objects.filter(tenant=tenant).select_related("tenant")
        plans = plans.prefetch_related("bulk_actions", "number_releases").order_by("opens_at", "pk")
        if not options["all"]:
            plans = plans.filter(state__in=Plan.OPEN)
        in_table = ["PlanId", "What", "UserCount", "State", "OpensDate", "Window", "RequestedBy"]
        self.list_rows(map(_row, plans), options, COLUMNS, in_table, when_empty=_("Nothing is planned."))


def _row(plan: Plan) -> dict[str, Any]:
    job = job_of(plan)
    waiting = Run.objects.filter(plan=plan, state=Run.State.PENDING)
    return {
        "PlanId": plan.pk,
        "What": job_in_words(job),
        # Whom taking a number off is about is known once it has begun.
        "UserCount": None if isinstance(job, NumberRelease) else job.user_count,
        "State": plan.state,
        "NotBefore": plan.not_before,
        "Window": str(plan.window) if plan.window else None,
        "OpensDate": plan.opens_at,
        "ClosesDate": plan.closes_at,
        "PendingRuns": waiting.count(),
        "RequestedBy": plan.requested_by,
        "CreateDate": plan.created,
        "CancelledBy": plan.cancelled_by or None,
        "FinishDate": plan.finished_at,
    }
