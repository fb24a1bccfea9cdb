from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrations_app.models import Run
from migrations_app.runs.out_of_date import count_out_of_date
from tenants_app.catalogue import settings_of
from tenants_app.management.settings_command import SetSettingsCommand
from tenants_app.models import Tenant
from tenants_app.wording import counted


class Command(SetSettingsCommand):
    help = "Switch the service on or off for the tenant; while it is off, pending runs wait and none is requested."
    example = "--meeting-migration-enabled false"
    settings = settings_of("tenant_migration_configuration")

    def tell_what_follows(self, before: Tenant, after: Tenant, values: Mapping[str, Any]) -> None:
        is_on = after.meeting_migration_enabled
        pending = Run.objects.filter(tenant=after, state=Run.State.PENDING).count()
        if pending:
            what = "going on now" if is_on else "waiting until the service is switched on again"
            self.stdout.write(f"{after.name}: {counted(pending, 'pending run')}, {what}.")
        found = count_out_of_date(after)
        if is_on and found.need_a_start:
            self.stdout.write(
                f"{after.name}: {found.sentence} Start their runs with start_meeting_migration --out-of-date."
            )
