"""Trying whether alerts arrive, step by step, in words: to whom they would go, or to one address alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.conf import settings as site

from migrations_app.alerts import by_mail, webhook
from migrations_app.alerts.composing import address, head
from migrations_app.alerts.delivering import body_of, secret_of
from migrations_app.failures import Failure
from migrations_app.mail.findings import Finding, Tone
from migrations_app.mail.servers import Connections
from migrations_app.models import Alert, AlertDelivery, AlertSettings
from migrations_app.monitoring import clock
from tenants_app.models import Tenant
from tenants_app.sentences import sentence

EVENT = "test"


def try_mail(tenant: Tenant) -> Iterator[Finding]:
    """Send a test alert to each address; what the mail server says of it. Nothing of it is kept."""
    settings = AlertSettings.of(tenant)
    if not settings.addresses:
        yield Finding(
            sentence("mail"), sentence("No mail address is entered, so nobody gets alerts by mail."), Tone.LOOK
        )
    alert = _test_alert(tenant)
    with Connections() as connections:
        for recipient in settings.addresses:
            delivery = AlertDelivery(alert=alert, channel=AlertDelivery.Channel.MAIL, recipient=recipient)
            try:
                by_mail.send(delivery, connections)
            except by_mail.NotNow as not_now:
                yield Finding(sentence("mail to %(address)s", address=recipient), not_now.failure.told, Tone.BAD)
            except Failure as failure:
                yield Finding(sentence("mail to %(address)s", address=recipient), failure.told, Tone.BAD)
            else:
                yield Finding(
                    sentence("mail to %(address)s", address=recipient), sentence("The test alert is on its way.")
                )


def try_webhook(tenant: Tenant) -> Iterator[Finding]:
    """Post a test alert; ends after the first step without which the next makes no sense."""
    settings = AlertSettings.of(tenant)
    if not settings.webhook_url:
        yield Finding(sentence("webhook"), sentence("No webhook is entered, so alerts are posted nowhere."), Tone.LOOK)
        return
    allowed = site.MMS_ALLOWED_WEBHOOK_HOSTS
    try:
        target = webhook.parse(settings.webhook_url, allowed)
    except Failure as failure:
        yield Finding(sentence("address"), failure.told, Tone.BAD)
        return
    yield Finding(
        sentence("address"),
        sentence(
            "%(scheme)s://%(host)s, port %(port)s.", scheme=target.scheme, host=target.host, port=str(target.port)
        ),
    )
    if not target.is_encrypted:
        yield Finding(
            "TLS", sentence("The connection is not encrypted: whoever is on the way can read along."), Tone.LOOK
        )
    try:
        secret = secret_of(settings)
    except Failure as failure:
        yield Finding(sentence("secret"), failure.told, Tone.BAD)
        return
    delivery_id = uuid.uuid4()
    body = body_of(_test_alert(tenant).content | {"id": str(delivery_id), "event": EVENT})
    try:
        taken = webhook.post(settings.webhook_url, secret, EVENT, delivery_id, body, allowed)
    except Failure as failure:
        yield Finding(sentence("answer"), failure.told, Tone.BAD)
        return
    if shown := taken.certificate:
        yield Finding(
            sentence("certificate"),
            sentence("Of %(issuer)s, valid until %(day)s.", issuer=shown.issuer, day=f"{shown.valid_until:%Y-%m-%d}"),
        )
    yield Finding(
        sentence("answer"),
        sentence(
            "%(host)s took the test alert %(id)s (%(status)s).",
            host=target.host,
            id=str(delivery_id),
            status=taken.status,
        ),
    )
    if settings.webhook_off_at:
        told = sentence(
            "It said before that nobody listens there: save the settings of the alerts to post to it again."
        )
        yield Finding(sentence("state"), told, Tone.LOOK)


def _test_alert(tenant: Tenant) -> Alert:
    """An alert that is stored nowhere, and says nothing of anything."""
    now = clock.now()
    content = head(tenant) | {
        "title": sentence("Test alert"),
        "sentence": sentence(
            "This shows that alerts of %(tenant)s arrive. An administrator has asked for it; nothing has happened.",
            tenant=tenant.name,
        ),
        "created": now.isoformat(),
        "url": address("alerts", tenant.slug),
    }
    return Alert(tenant=tenant, created=now, content=content)
