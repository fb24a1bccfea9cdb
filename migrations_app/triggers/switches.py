"""A tenant's switches, as the decision table reads them (R12 to R14)."""

from __future__ import annotations

from migrations_app.triggers.rules import Switches
from tenants_app.models import Tenant


def switches_of(tenant: Tenant) -> Switches:
    """The switches that the decision table reads (R12 to R14)."""
    return Switches(
        tenant.meeting_migration_enabled,
        tenant.automatically_migrate_user_meetings,
        tenant.automatically_replace_acp_provider,
    )
