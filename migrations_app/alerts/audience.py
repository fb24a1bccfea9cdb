"""For whom an alert is: the tenant's administrators, or the people of a rollout (R92).

Both say with the same names where they are told: ``addresses``, ``webhook_url``, ``has_webhook``, ``webhook_off_at``,
and the password that signs.
"""

from __future__ import annotations

from django.db.models import QuerySet

from migrations_app.models import Alert, AlertDelivery, AlertSettings, Rollout

Audience = AlertSettings | Rollout

ABOUT_TENANT, ABOUT_ROLLOUT = "alert", "rollout"
"""What a webhook's ``MMS-Event`` says of either."""


def audience_of(alert: Alert) -> Audience:
    """Whoever gets it, as they stand now."""
    event = alert.rollout_event
    return AlertSettings.of(alert.tenant) if event is None else event.rollout


def event_of(alert: Alert) -> str:
    """What it is called to a webhook."""
    return ABOUT_TENANT if alert.rollout_event_id is None else ABOUT_ROLLOUT


def deliveries_to(audience: Audience) -> QuerySet[AlertDelivery]:
    """All that is or was on its way to them."""
    deliveries = AlertDelivery.objects.filter(alert__tenant=audience.tenant_id)
    if isinstance(audience, Rollout):
        return deliveries.filter(alert__rollout_event__rollout=audience)
    return deliveries.filter(alert__rollout_event=None)
