"""A tenant's switches, as the decision table reads them (R12 to R14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenants_app.models import Tenant


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of a tenant that decide about runs; the names are those of the tenant's fields."""

    meeting_migration_enabled: bool  # R12
    automatically_migrate_user_meetings: bool  # R13
    automatically_replace_acp_provider: bool  # R14

    @classmethod
    def of(cls, tenant: Tenant) -> Switches:
        """The tenant's switches now."""
        return cls(
            tenant.meeting_migration_enabled,
            tenant.automatically_migrate_user_meetings,
            tenant.automatically_replace_acp_provider,
        )
