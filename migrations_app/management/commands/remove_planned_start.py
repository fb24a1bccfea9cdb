from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import Plan
from migrations_app.procedures.plans import cancel
from migrations_app.runs.plans import begins_in_words
from tenants_app.management.arguments import at_least
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Cancel what is planned, as far as it has not begun: users who are not done are left out, and runs that were "
        "only started by hand are taken back. What was done stays done."
    )
    example = "17"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("plan", metavar="PLANID", type=at_least(1), help="as get_planned_start lists it")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        plan = Plan.objects.filter(tenant=tenant, pk=options["plan"]).select_related("tenant").first()
        if plan is None:
            raise CommandError(
                _("%(name)s has no plan %(plan)s: get_planned_start lists them.")
                % {"name": tenant.name, "plan": options["plan"]}
            )
        when = begins_in_words(plan)
        if not cancel(plan, self.actor):
            raise CommandError(_("Nothing of it can be cancelled any more: it has begun, or has ended."))
        self.stdout.write(_("Cancelled: what was planned for %(when)s.") % {"when": when})
