"""Quiet hours: when a tenant's administrators do not want to be told."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from migrations_app.models import AlertSettings
from tenants_app.models import Tenant

_SATURDAY = 5


def zone_of(tenant: Tenant) -> ZoneInfo:
    """The tenant's time zone."""
    return ZoneInfo(tenant.time_zone)


def is_quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether it is quiet where the tenant is.

    On days on which clocks are changed, a time that is shown twice counts when it is shown first, and one that is left
    out counts as many minutes after midnight as on other days.
    """
    zone = zone_of(settings.tenant)
    local = now.astimezone(zone)
    if settings.quiet_weekends and local.weekday() >= _SATURDAY:
        return True
    if settings.quiet_from is None or settings.quiet_until is None:
        return False
    return _last(settings.quiet_from, local, zone) > _last(settings.quiet_until, local, zone)


def _last(at: time, local: datetime, zone: ZoneInfo) -> datetime:
    """When it was this time last, in UTC: times of one zone would be compared by what the clock shows."""
    days = (local.date() - timedelta(days=ago) for ago in range(2, -1, -1))
    moments = [datetime.combine(day, at, zone).astimezone(UTC) for day in days]
    return max(moment for moment in moments if moment <= local.astimezone(UTC))
