"""What the commands share that show or change settings of a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import IntegerField
from django.utils.translation import gettext as _

from tenants_app.catalogue import TenantSetting
from tenants_app.changes.tenants import change_tenant
from tenants_app.management.arguments import MEETING_SERVICES, add_format, at_least, meeting_service, truth
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.mailbox_options import connection_named
from tenants_app.models import MailboxConnection, Tenant
from tenants_app.records import settings_record, tenant_record


class GetSettingsCommand(AdministratorCommand):
    """Shows some settings of a tenant."""

    settings: Sequence[TenantSetting]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        self.show_record({"Tenant": tenant.slug, **settings_record(tenant, self.settings)}, options)


class SetSettingsCommand(AdministratorCommand):
    """Changes some settings of a tenant; only what is given changes."""

    settings: Sequence[TenantSetting]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for setting in self.settings:
            option = f"--{setting.field.replace('_', '-')}"
            if setting.is_switch:
                parser.add_argument(option, metavar="true|false", type=truth, help=setting.does)
            elif isinstance(setting.model_field, IntegerField):
                parser.add_argument(option, metavar="N", type=at_least(0), help=setting.does)
            elif setting.model_field.is_relation:
                parser.add_argument(option, metavar="NAME|none", help=setting.does)
            elif setting.model_field.choices:
                parser.add_argument(option, metavar=MEETING_SERVICES, type=meeting_service, help=setting.does)
            else:
                parser.add_argument(option, metavar="TEXT", help=setting.does)

    def handle(self, *args: Any, **options: Any) -> None:
        values = {each.field: options[each.field] for each in self.settings if options[each.field] is not None}
        if not values:
            raise wrong_usage(
                _("Give at least one setting to change, such as %(example)s.") % {"example": self.example}
            )
        before = self.tenant(options)
        for each in self.settings:
            if each.model_field.is_relation and each.field in values:
                values[each.field] = _connection(before, values[each.field])
        after = change_tenant(before, self.actor, **values)
        self.tell_changes(after.name, tenant_record(before), tenant_record(after))
        self.tell_what_follows(before, after, values)

    def tell_what_follows(self, before: Tenant, after: Tenant, values: Mapping[str, Any]) -> None:
        """Say what else the change of these settings, by field, leads to."""


def _connection(tenant: Tenant, name: str) -> MailboxConnection | None:
    return None if name.strip().lower() == "none" else connection_named(tenant, name)
