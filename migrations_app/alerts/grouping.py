"""When what happened is told, and as how many messages: one, however much it is.

A message waits until nothing has happened any more since the look before, but no longer than the tenant's pause, and
follows the one before no sooner than that. So a thousand failures in a row are one message, a connection that comes and
goes is told of once in a pause, and during quiet hours all is held back for one message at their end.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet

from migrations_app.alerts.audience import Audience, deliveries_to
from migrations_app.alerts.collecting import collect, mark_told, untold
from migrations_app.alerts.composing import compose
from migrations_app.alerts.kinds import Thing
from migrations_app.alerts.quiet import is_quiet
from migrations_app.models import Alert, AlertDelivery, AlertEvent, AlertSettings
from migrations_app.monitoring import clock

GATHER = timedelta(seconds=40)
"""Shorter than the minute between two looks of a cluster that has nothing else to do."""
LOOK_EVERY = timedelta(seconds=30)
"""How often it is looked what has happened."""

Channel = AlertDelivery.Channel


def due(now: datetime) -> QuerySet[AlertSettings]:
    """The tenants for whom it is to be looked. A time to come was written by a clock that has been set back since."""
    recent = Q(looked_at__gt=now - LOOK_EVERY, looked_at__lte=now + clock.TOLERANCE)
    wants_any = ~Q(watched={}) & (~Q(recipients="") | (~Q(webhook_url="") & Q(webhook_off_at=None)))
    return AlertSettings.objects.filter(wants_any).exclude(recent)


@transaction.atomic
def look(pk: int) -> Alert | None:
    """Note what has happened for one tenant, unless another worker is at it; the alert, where it is time for one."""
    found = due(clock.now()).filter(pk=pk).select_related("tenant")
    settings = found.select_for_update(of=["self"], skip_locked=True).first()
    if settings is None:
        return None
    collect(settings)
    return _tell(settings)


def _tell(settings: AlertSettings) -> Alert | None:
    now = clock.now()
    events = untold(settings.tenant)
    if is_quiet(settings, now):
        if settings.breaks_quiet != settings.BreaksQuiet.SILENCE:
            return None
        events = events.filter(thing=Thing.SILENCE)
    if not _is_time(settings, events, now):
        return None
    content = compose(settings.tenant, events)
    mark_told(events, now)
    if content is None:
        return None
    settings.last_alert_at = now
    settings.save(update_fields=["last_alert_at"])
    alert = Alert.objects.create(tenant=settings.tenant, created=now, content=content | {"created": now.isoformat()})
    deliver(alert, settings, now)
    return alert


def _is_time(settings: AlertSettings, events: QuerySet[AlertEvent], now: datetime) -> bool:
    noted = events.aggregate(first=Min("noted_at"), last=Max("noted_at"))
    if noted["first"] is None:
        return False
    pause = timedelta(minutes=settings.pause_minutes)
    last = settings.last_alert_at
    if last is not None and last <= now < last + pause:
        return False
    return bool(noted["last"] <= now - GATHER or noted["first"] <= now - pause)


def deliver(alert: Alert, audience: Audience, now: datetime) -> None:
    """Queue the alert for each way that leads to whoever it is for."""
    ways = [{"channel": Channel.MAIL, "recipient": address} for address in audience.addresses]
    made = [AlertDelivery(alert=alert, queued_at=now, due_at=now, **way) for way in ways]
    if audience.has_webhook:
        # Behind those that its server has not taken: it is not asked for each of them.
        failing = deliveries_to(audience).filter(
            channel=Channel.WEBHOOK, state=AlertDelivery.State.QUEUED, attempts__gt=0
        )
        due_at = max(failing.aggregate(due_at=Max("due_at"))["due_at"] or now, now)
        made.append(AlertDelivery(alert=alert, queued_at=now, due_at=due_at, channel=Channel.WEBHOOK))
    AlertDelivery.objects.bulk_create(made)
