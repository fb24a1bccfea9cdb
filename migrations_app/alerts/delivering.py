"""Delivering alerts: claim, hand over, note; repeatable, and stopped anywhere.

A claim is for a lease. Who dies between handing over and noting it leaves a row that is claimed again, and what is
handed over then is the same: its delivery ID, its Message-ID and its content stand in the row. So an alert may come
twice, and whoever gets it can tell.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import datetime, timedelta

from django.conf import settings as site
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from migrations_app.alerts import by_mail, webhook
from migrations_app.alerts.actions import stop_webhook
from migrations_app.failures import Failure
from migrations_app.mail.servers import Connections
from migrations_app.models import AlertDelivery, AlertSettings
from migrations_app.monitoring import clock
from migrations_app.retries import RETRY_WINDOW, pause_before_retry
from tenants_app.sealing import NoSecretsKey, UnopenableSecret

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=8)
"""Longer than a mail server may take for a message; whoever has claimed one hands over nothing else meanwhile."""
EVENT = "alert"

Channel, State = AlertDelivery.Channel, AlertDelivery.State
_MOST_DOUBLINGS = 9
_GIVEN_UP = {Channel.MAIL: "mail_given_up_at", Channel.WEBHOOK: "webhook_given_up_at"}


def due(now: datetime) -> QuerySet[AlertDelivery]:
    """What is to be tried and nobody has claimed."""
    free = Q(lease_until=None) | clock.lease_is_over(now, LEASE)
    to_come = Q(due_at__gt=now + RETRY_WINDOW + clock.TOLERANCE)  # by a clock that has been set back since
    return AlertDelivery.objects.filter(free, Q(due_at__lte=now) | to_come, state=State.QUEUED)


def deliver(until: datetime, connections: Connections) -> None:
    """Deliver what is due, but begin nothing after ``until``."""
    while timezone.now() < until and (delivery := _claim()):
        _deliver(delivery, connections)


@transaction.atomic
def _claim() -> AlertDelivery | None:
    now = clock.now()
    rows = due(now).order_by("due_at", "pk").select_for_update(skip_locked=True)
    pk = rows.values_list("pk", flat=True).first()
    if pk is None:
        return None
    AlertDelivery.objects.filter(pk=pk).update(
        lease_token=uuid.uuid4(), lease_until=now + LEASE, attempts=F("attempts") + 1
    )
    return AlertDelivery.objects.select_related("alert__tenant").get(pk=pk)


def _deliver(delivery: AlertDelivery, connections: Connections) -> None:
    settings = AlertSettings.of(delivery.alert.tenant)
    try:
        if delivery.channel == Channel.WEBHOOK:
            _post(delivery, settings)
        elif delivery.recipient in settings.addresses:
            by_mail.send(delivery, connections)
        else:
            raise Failure("alert-not-wanted")
    except by_mail.NotNow as not_now:
        _put_off(delivery, not_now)
    except Failure as failure:
        _note_failure(delivery, settings, failure)
    except Exception:
        log.exception("alert %s could not be handed over", delivery.delivery_id)
        _note_failure(delivery, settings, Failure("internal-error", f"reference {delivery.delivery_id}"))
    else:
        _note(delivery, State.SENT)
        _let_others_go(delivery)
        AlertSettings.objects.filter(tenant=delivery.alert.tenant_id).update(**{_GIVEN_UP[_channel(delivery)]: None})


def _channel(delivery: AlertDelivery) -> AlertDelivery.Channel:
    return Channel(delivery.channel)


def _post(delivery: AlertDelivery, settings: AlertSettings) -> None:
    if not settings.has_webhook:
        raise Failure("alert-not-wanted")
    body = body_of(delivery.alert.content | {"id": str(delivery.delivery_id), "event": EVENT})
    webhook.post(
        settings.webhook_url,
        secret_of(settings),
        EVENT,
        delivery.delivery_id,
        body,
        site.MMS_ALLOWED_WEBHOOK_HOSTS,
    )


def body_of(document: dict[str, object]) -> bytes:
    """The octets that are signed and posted: the same for the same document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def secret_of(settings: AlertSettings) -> str:
    """The secret that signs the webhook. Raises ``Failure``."""
    try:
        return settings.password
    except (NoSecretsKey, UnopenableSecret) as error:
        raise Failure("webhook-without-secret") from error


def _put_off(delivery: AlertDelivery, not_now: by_mail.NotNow) -> None:
    changes = {"due_at": not_now.until, "attempts": F("attempts") - 1}
    if delivery.queued_at < clock.now() - RETRY_WINDOW:
        _give_up(delivery, not_now.failure)
    else:
        _mine(delivery).update(**_ended_claim(not_now.failure), **changes)


def _note_failure(delivery: AlertDelivery, settings: AlertSettings, failure: Failure) -> None:
    log.warning("alert %s not delivered: %s %s", delivery.delivery_id, failure.code, failure.detail)
    now = clock.now()
    if failure.code == "webhook-gone":
        with transaction.atomic():
            stop_webhook(settings, failure)
            _note(delivery, State.FAILED, failure)
    elif failure.code == "alert-not-wanted":
        _note(delivery, State.FAILED, failure)
    elif not failure.cures_by_waiting:
        _note(delivery, State.FAILED, failure)
        _mark_given_up(delivery, now)
    elif delivery.queued_at <= now - RETRY_WINDOW:
        _give_up(delivery, failure)
    else:
        pause = pause_before_retry(min(delivery.attempts, _MOST_DOUBLINGS))
        ends = delivery.queued_at + RETRY_WINDOW  # the last try is at the end of the day
        due_at = max(min(now + pause, ends), now + (failure.retry_after or timedelta(0)))
        _mine(delivery).update(**_ended_claim(failure), due_at=due_at)
        _let_others_wait(delivery, failure, due_at)


def _let_others_wait(delivery: AlertDelivery, failure: Failure, until: datetime) -> None:
    """What else is to be posted waits for the next try of this one: a server that is away is not asked for each."""
    others = _other_posts(delivery).filter(due_at__lt=until)
    others.update(due_at=until, error_code=failure.code, error_detail=failure.detail)


def _let_others_go(delivery: AlertDelivery) -> None:
    """The server takes alerts again: what waited for that need not wait any longer."""
    _other_posts(delivery).exclude(error_code="").update(due_at=clock.now())


def _other_posts(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    """What else waits to be posted to the tenant's webhook; none for a mail, whose server has a breaker of its own."""
    others = AlertDelivery.objects.filter(
        alert__tenant=delivery.alert.tenant_id, channel=Channel.WEBHOOK, state=State.QUEUED, lease_token=None
    )
    return others.exclude(pk=delivery.pk) if delivery.channel == Channel.WEBHOOK else others.none()


def _give_up(delivery: AlertDelivery, failure: Failure) -> None:
    now = clock.now()
    given_up = Failure("alert-given-up", failure.what)
    _note(delivery, State.FAILED, given_up)
    old = AlertDelivery.objects.filter(
        alert__tenant=delivery.alert.tenant_id,
        channel=delivery.channel,
        recipient=delivery.recipient,
        state=State.QUEUED,
        lease_token=None,
        queued_at__lte=now - RETRY_WINDOW,
    )
    old.update(state=State.FAILED, ended_at=now, error_code=given_up.code, error_detail=given_up.detail)
    _mark_given_up(delivery, now)


def _mark_given_up(delivery: AlertDelivery, now: datetime) -> None:
    AlertSettings.objects.filter(tenant=delivery.alert.tenant_id).update(**{_GIVEN_UP[_channel(delivery)]: now})


def _note(delivery: AlertDelivery, state: AlertDelivery.State, failure: Failure | None = None) -> None:
    _mine(delivery).update(**_ended_claim(failure), state=state, ended_at=clock.now())


def _ended_claim(failure: Failure | None) -> dict[str, object]:
    return {
        "lease_token": None,
        "lease_until": None,
        "error_code": failure.code if failure else "",
        "error_detail": failure.detail if failure else "",
    }


def _mine(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    """The row, while this worker's claim holds."""
    return AlertDelivery.objects.filter(pk=delivery.pk, lease_token=delivery.lease_token)
