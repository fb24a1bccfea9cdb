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
from django.utils.translation import override

from migrations_app.alerts import by_mail, webhook
from migrations_app.alerts.actions import stop_webhook
from migrations_app.alerts.audience import Audience, audience_of, deliveries_to, event_of
from migrations_app.alerts.composing import begun_large
from migrations_app.failures import Failure
from migrations_app.mail.servers import Connections
from migrations_app.models import AlertDelivery, AlertSettings
from migrations_app.monitoring import clock
from migrations_app.retries import RETRY_WINDOW, pause_before_retry
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tenants_app.sentences import sentence

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=8)
"""Longer than a mail server may take for a message; whoever has claimed one hands over nothing else meanwhile."""

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
    return AlertDelivery.objects.select_related("alert__tenant", "alert__rollout_event__rollout").get(pk=pk)


def _deliver(delivery: AlertDelivery, connections: Connections) -> None:
    audience = audience_of(delivery.alert)
    try:
        if delivery.channel == Channel.WEBHOOK:
            _post(delivery, audience)
        elif delivery.recipient in audience.addresses:
            by_mail.send(delivery, connections)
        else:
            raise Failure("alert-not-wanted")
    except by_mail.NotNow as not_now:
        _put_off(delivery, not_now)
    except Failure as failure:
        _note_failure(delivery, audience, failure)
    except Exception:
        log.exception("alert %s could not be handed over", delivery.delivery_id)
        _note_failure(
            delivery,
            audience,
            Failure("internal-error", sentence("reference %(reference)s", reference=str(delivery.delivery_id))),
        )
    else:
        _note(delivery, State.SENT)
        _let_others_go(delivery)
        _mark_given_up(delivery, None)


def _channel(delivery: AlertDelivery) -> AlertDelivery.Channel:
    return Channel(delivery.channel)


def _post(delivery: AlertDelivery, audience: Audience) -> None:
    if not audience.has_webhook:
        raise Failure("alert-not-wanted")
    event = event_of(delivery.alert)
    body = body_of(delivery.alert.content | {"id": str(delivery.delivery_id), "event": event})
    webhook.post(
        audience.webhook_url,
        secret_of(audience),
        event,
        delivery.delivery_id,
        body,
        site.MMS_ALLOWED_WEBHOOK_HOSTS,
    )


def body_of(document: dict[str, object]) -> bytes:
    """The octets that are signed and posted: the same for the same document. Its sentences are in the language of the
    installation."""
    with override(site.LANGUAGE_CODE):
        said = {name: begun_large(str(each)) if name == "title" else _said(each) for name, each in document.items()}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode("ascii")


def _said(value: object) -> object:
    """The same with its sentences in the language that is active."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items()}
    return [_said(each) for each in value] if isinstance(value, list) else value


def secret_of(audience: Audience) -> str:
    """The secret that signs the webhook. Raises ``Failure``."""
    try:
        return audience.password
    except (NoSecretsKey, UnopenableSecret) as error:
        raise Failure("webhook-without-secret") from error


def _put_off(delivery: AlertDelivery, not_now: by_mail.NotNow) -> None:
    changes = {"due_at": not_now.until, "attempts": F("attempts") - 1}
    if delivery.queued_at < clock.now() - RETRY_WINDOW:
        _give_up(delivery, not_now.failure)
    else:
        _mine(delivery).update(**_ended_claim(not_now.failure), **changes)


def _note_failure(delivery: AlertDelivery, audience: Audience, failure: Failure) -> None:
    log.warning("alert %s not delivered: %s %s", delivery.delivery_id, failure.code, failure.detail)
    now = clock.now()
    if failure.code == "webhook-gone":
        with transaction.atomic():
            stop_webhook(audience, failure)
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
    """What else waits to be posted to the same webhook; none for a mail, whose server has a breaker of its own."""
    others = _same_audience(delivery).filter(channel=Channel.WEBHOOK, state=State.QUEUED, lease_token=None)
    return others.exclude(pk=delivery.pk) if delivery.channel == Channel.WEBHOOK else others.none()


def _give_up(delivery: AlertDelivery, failure: Failure) -> None:
    now = clock.now()
    given_up = Failure("alert-given-up", failure.what)
    _note(delivery, State.FAILED, given_up)
    old = _same_audience(delivery).filter(
        channel=delivery.channel,
        recipient=delivery.recipient,
        state=State.QUEUED,
        lease_token=None,
        queued_at__lte=now - RETRY_WINDOW,
    )
    old.update(state=State.FAILED, ended_at=now, error_code=given_up.code, error_detail=given_up.detail)
    _mark_given_up(delivery, now)


def _mark_given_up(delivery: AlertDelivery, now: datetime | None) -> None:
    """What the dashboard says of the tenant's alerts; of a rollout's it is said beside each."""
    if delivery.alert.rollout_event_id is None:
        AlertSettings.objects.filter(tenant=delivery.alert.tenant_id).update(**{_GIVEN_UP[_channel(delivery)]: now})


def _same_audience(delivery: AlertDelivery) -> QuerySet[AlertDelivery]:
    same = deliveries_to(audience_of(delivery.alert)).values("pk")
    return AlertDelivery.objects.filter(pk__in=same)


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
