from __future__ import annotations

from tenants_app.catalogue import settings_of
from tenants_app.management.settings_command import GetSettingsCommand


class Command(GetSettingsCommand):
    help = "Show what the service does by itself when audio conferencing changes."
    example = "--format json"
    settings = settings_of("dial_in_conferencing_tenant_settings")
