"""Quiet hours: when a tenant's administrators do not want to be told."""

from __future__ import annotations

from datetime import datetime

from migrations_app.models import AlertSettings
from tenants_app.local_times import DailyWindow

_SATURDAY = 5


def window_of(settings: AlertSettings) -> DailyWindow | None:
    """The quiet hours of each day; None where there are none."""
    if settings.quiet_from is None or settings.quiet_until is None:
        return None
    return DailyWindow(settings.quiet_from, settings.quiet_until)


def is_quiet(settings: AlertSettings, now: datetime) -> bool:
    """Whether it is quiet where the tenant is."""
    zone = settings.tenant.zone
    if settings.quiet_weekends and now.astimezone(zone).weekday() >= _SATURDAY:
        return True
    window = window_of(settings)
    return window is not None and window.next_opening(zone, now)[0] <= now
