"""What saving settings of the tenant leads to, told before it is saved (R36). Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrations_app.preview.foretold import Totals, foretell_all
from migrations_app.preview.plans import TenantSettings, is_small, planned_now
from migrations_app.runs.out_of_date import count_out_of_date
from tenants_app import fingerprints
from tenants_app.changes.tenants import foresee_tenant
from tenants_app.models import Tenant
from tenants_app.sentences import sentence, sentence_plural


@dataclass(frozen=True, slots=True)
class SettingsForesight:
    """How many users are out of date before and after, and what their next runs would do where that is looked at."""

    before: int
    after: int
    totals: Totals | None

    def is_seen(self, posted: Mapping[str, str]) -> bool:
        """Whether the page that was posted has said how many users are out of date afterwards."""
        return posted.get("confirmed") == str(self.after)

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        if self.after == self.before:
            return sentence("No run, and nobody becomes out of date: no invitation shows what changes.")
        more = self.after - self.before
        if more < 0:
            return sentence_plural(
                "No run. %(n)s user would be up to date again.", "No run. %(n)s users would be up to date again.", -more
            )
        return sentence_plural(
            "No run, because settings of all start none: %(n)s more user is out of date until the next run, %(all)s in "
            "all.",
            "No run, because settings of all start none: %(n)s more users are out of date until the next run, %(all)s "
            "in all.",
            more,
            all=self.after,
        )


def foresee_settings(tenant: Tenant, values: Mapping[str, Any]) -> SettingsForesight:
    """What saving ``values``, fields of the tenant, would lead to. Raises ``ValidationError`` as saving would."""
    before = count_out_of_date(tenant).users
    after = fingerprints.count_out_of_date_after(foresee_tenant(tenant, values))
    plan = TenantSettings.of(tenant, values)
    totals = foretell_all(planned_now(plan))[1] if after != before and is_small(plan) else None
    return SettingsForesight(before, after, totals)
