from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.models import Run
from migrations_app.runs.out_of_date import count_out_of_date
from tenants_app.changes.tenants import change_tenant
from tenants_app.management.arguments import truth
from tenants_app.management.base import AdministratorCommand
from tenants_app.records import tenant_record
from tenants_app.wording import counted


class Command(AdministratorCommand):
    help = "Switch the service on or off for the tenant; while it is off, pending runs wait and none is requested."
    example = "--meeting-migration-enabled false"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--meeting-migration-enabled", required=True, type=truth, metavar="true|false")

    def handle(self, *args: Any, **options: Any) -> None:
        before = self.tenant(options)
        is_on = options["meeting_migration_enabled"]
        after = change_tenant(before, self.actor, meeting_migration_enabled=is_on)
        self.tell_changes(after.name, tenant_record(before), tenant_record(after))
        pending = Run.objects.filter(tenant=after, state=Run.State.PENDING).count()
        if pending:
            what = "going on now" if is_on else "waiting until the service is switched on again"
            self.stdout.write(f"{after.name}: {counted(pending, 'pending run')}, {what}.")
        found = count_out_of_date(after)
        if is_on and found.need_a_start:
            self.stdout.write(
                f"{after.name}: {found.sentence} Start their runs with start_meeting_migration --out-of-date."
            )
