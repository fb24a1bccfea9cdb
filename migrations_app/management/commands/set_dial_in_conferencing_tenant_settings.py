from __future__ import annotations

from tenants_app.catalogue import settings_of
from tenants_app.management.settings_command import SetSettingsCommand


class Command(SetSettingsCommand):
    help = "Say what the service does by itself when audio conferencing changes; only what is given changes."
    example = "--automatically-migrate-user-meetings false"
    settings = settings_of("dial_in_conferencing_tenant_settings")
