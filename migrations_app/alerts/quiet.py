"""Quiet hours: when a tenant's administrators do not want to be told."""

from __future__ import annotations

from datetime import datetime

from migrations_app.models import AlertSettings

_SATURDAY = 5


def is_quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether it is quiet where the tenant is."""
    zone = settings.tenant.zone
    if settings.quiet_weekends and now.astimezone(zone).weekday() >= _SATURDAY:
        return True
    window = settings.quiet_hours
    return window is not None and window.next_opening(zone, now)[0] <= now
