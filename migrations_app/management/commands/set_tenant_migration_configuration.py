from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.models import Run
from migrations_app.runs.out_of_date import count_out_of_date
from tenants_app.catalogue import settings_of
from tenants_app.management.settings_command import SetSettingsCommand
from tenants_app.models import Tenant
from tenants_app.wording import grouped


class Command(SetSettingsCommand):
    help = "Switch the service on or off for the tenant; while it is off, pending runs wait and none is requested."
    example = "--meeting-migration-enabled false"
    settings = settings_of("tenant_migration_configuration")

    def tell_what_follows(self, before: Tenant, after: Tenant, values: Mapping[str, Any]) -> None:
        is_on = after.meeting_migration_enabled
        pending = Run.objects.filter(tenant=after, state=Run.State.PENDING).count()
        if pending:
            sentence = (
                ngettext(
                    "%(tenant)s: %(count)s pending run, going on now.",
                    "%(tenant)s: %(count)s pending runs, going on now.",
                    pending,
                )
                if is_on
                else ngettext(
                    "%(tenant)s: %(count)s pending run, waiting until the service is switched on again.",
                    "%(tenant)s: %(count)s pending runs, waiting until the service is switched on again.",
                    pending,
                )
            )
            self.stdout.write(sentence % {"tenant": after.name, "count": grouped(pending)})
        found = count_out_of_date(after)
        if is_on and found.need_a_start:
            self.stdout.write(
                _("%(name)s: %(sentence)s Start their runs with start_meeting_migration --out-of-date.")
                % {"name": after.name, "sentence": found.sentence}
            )
