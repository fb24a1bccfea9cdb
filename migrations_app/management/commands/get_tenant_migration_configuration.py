from __future__ import annotations

from tenants_app.catalogue import settings_of
from tenants_app.management.settings_command import GetSettingsCommand


class Command(GetSettingsCommand):
    help = "Show whether the service is switched on for the tenant (MeetingMigrationEnabled)."
    example = "--format json"
    settings = settings_of("tenant_migration_configuration")
