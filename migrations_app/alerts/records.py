"""A tenant's alerts as commands print them."""

from __future__ import annotations

from typing import Any

from migrations_app.alerts.actions import server_of
from migrations_app.alerts.audience import deliveries_to
from migrations_app.alerts.kinds import KINDS
from migrations_app.models import AlertDelivery, AlertSettings


def alert_record(settings: AlertSettings) -> dict[str, Any]:
    """The settings, without what is secret, and what waits."""
    deliveries = deliveries_to(settings)
    return {
        "Recipients": ", ".join(settings.addresses),
        "Webhook": server_of(settings.webhook_url),
        "HasSecret": bool(settings.sealed_password),
        "WebhookOffSince": settings.webhook_off_at,
        "Kinds": ", ".join(kind for kind in KINDS if kind in settings.watched),
        "PauseMinutes": settings.pause_minutes,
        "QuietFrom": f"{settings.quiet_from:%H:%M}" if settings.quiet_from else "",
        "QuietUntil": f"{settings.quiet_until:%H:%M}" if settings.quiet_until else "",
        "QuietWeekends": settings.quiet_weekends,
        "BreaksQuiet": settings.breaks_quiet,
        "LastAlert": settings.last_alert_at,
        "Waiting": deliveries.filter(state=AlertDelivery.State.QUEUED).count(),
        "MailGivenUp": settings.mail_given_up_at,
        "WebhookGivenUp": settings.webhook_given_up_at,
    }
