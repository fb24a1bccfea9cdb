from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.catalogue import TENANT_SETTINGS
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import Tenant
from tenants_app.records import tenant_record

_TENANTS = Tenant.objects.select_related("teams_connection").order_by("slug")


class Command(AdministratorCommand):
    help = "List the organizations with their settings, or show one."
    example = "--tenant contoso"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", metavar="SLUG", help="show this one only")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = [self.tenant(options)] if options["tenant"] is not None else list(_TENANTS.all())
        if len(tenants) == 1 and options["format"] == "table":
            self.show_record(tenant_record(tenants[0]), options)
            return
        self.list_rows(
            map(tenant_record, tenants),
            options,
            ["Slug", *(setting.name for setting in TENANT_SETTINGS)],
            in_table=["Slug", "Name", "Domain", "MeetingUrl", "MeetingMigrationEnabled", "SettlingTime"],
            when_empty=_("There is no tenant yet: make one with new_tenant."),
        )
