"""What administrators change about alerts, and what a webhook changes by itself; each in one transaction, audited."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from django.conf import settings as site
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from migrations_app.alerts import collecting, webhook
from migrations_app.alerts.audience import Audience, deliveries_to
from migrations_app.alerts.kinds import BY_DEFAULT, KINDS
from migrations_app.failures import Failure
from migrations_app.models import AlertDelivery, AlertSettings, Rollout
from migrations_app.monitoring import clock
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import SERVICE, Actor, entry
from tenants_app.changes.locking import apply_values, lock
from tenants_app.changes.passwords import keep_password
from tenants_app.models import Tenant
from tenants_app.validators import validate_address

MOST_RECIPIENTS = 20
SHORTEST_SECRET = 24

State = AlertDelivery.State


@transaction.atomic
def change_alerts(
    tenant: Tenant, actor: Actor, *, kinds: Collection[str] | None = None, secret: str | None = None, **values: Any
) -> tuple[AlertSettings, str]:
    """Change what is given; ``values`` are fields of :class:`AlertSettings`, ``kinds`` what is told.

    Returns the settings, and the secret where one was made because a webhook needs one: it is shown this once. Giving
    an address posts to it again, though it was gone. What happened before somebody wanted to be told is not told.
    """
    settings = _locked(tenant)
    if settings.pk is None:
        if not values and kinds is None and secret is None:
            return settings, ""
        kinds = BY_DEFAULT if kinds is None else kinds
    reached_anybody = settings.reaches_anybody
    was_off = settings.webhook_off_at
    if "recipients" in values:
        values["recipients"] = clean_recipients(values["recipients"])
    if "webhook_url" in values:
        values["webhook_url"] = clean_webhook(values["webhook_url"])
        settings.webhook_off_at = None
    before, after = apply_values(settings, values)
    hide_path(before, after)
    _watch(settings, kinds, before, after, anew=not reached_anybody and settings.reaches_anybody)
    if was_off and not settings.webhook_off_at:
        after["webhook"] = "on again"
    if not after and secret is None:
        return settings, ""
    if "webhook_url" in after:
        settings.webhook_given_up_at = None
    if "recipients" in after:
        settings.mail_given_up_at = None
    _check(settings)
    settings.full_clean()
    settings.save()
    if secret and not settings.webhook_url:
        raise ValidationError({"webhook_url": _("The secret is for a webhook: enter its address too.")})
    made = (
        secret if secret is not None else new_secret() if settings.webhook_url and not settings.sealed_password else ""
    )
    if made:
        keep_secret(settings, made)
        after["secret"] = "changed" if secret else "made"
    if after:
        entry(tenant, actor, "change alerts", tenant.slug, before, after).save()
    return settings, "" if secret else made


@transaction.atomic
def renew_secret(tenant: Tenant, actor: Actor) -> str:
    """Make a new secret of the webhook, which is shown this once. From then on nothing is signed with the old one."""
    settings = _locked(tenant)
    if settings.pk is None or not settings.webhook_url:
        raise ValidationError(_("There is no webhook that would need a secret: enter its address first."))
    secret = new_secret()
    keep_secret(settings, secret)
    entry(tenant, actor, "renew alert secret", tenant.slug).save()
    return secret


@transaction.atomic
def send_again(delivery: AlertDelivery, actor: Actor) -> None:
    """Deliver once more what was given up: the same alert, under the same delivery ID. Raises ``ValidationError``."""
    tenant = delivery.alert.tenant
    event = delivery.alert.rollout_event
    audience = _locked(tenant) if event is None else Rollout.objects.select_for_update().get(pk=event.rollout_id)
    failed = AlertDelivery.objects.select_for_update().filter(pk=delivery.pk, state=State.FAILED).first()
    if failed is None:
        raise ValidationError(_("The alert has arrived meanwhile, or is on its way: nothing was sent again."))
    is_webhook = failed.channel == AlertDelivery.Channel.WEBHOOK
    if is_webhook and not audience.has_webhook:
        raise ValidationError(_("Alerts are not posted anywhere now: enter the address of a webhook first."))
    if not is_webhook and failed.recipient not in audience.addresses:
        raise ValidationError(
            _("Alerts do not go to %(recipient)s any more: enter the address first.") % {"recipient": failed.recipient}
        )
    failed.state, failed.queued_at, failed.due_at, failed.ended_at = State.QUEUED, clock.now(), clock.now(), None
    failed.attempts, failed.error_code, failed.error_detail = 0, "", ""
    failed.save()
    entry(
        tenant, actor, "send alert again", failed.recipient or failed.channel, after={"alert": str(failed.alert)}
    ).save()
    wake_cluster()


@transaction.atomic
def stop_webhook(audience: Audience, failure: Failure) -> None:
    """Post nothing more, because the receiver said that it is gone for good; what waits is not wanted any more."""
    now = clock.now()
    rows: QuerySet[Any] = type(audience)._default_manager.filter(pk=audience.pk)
    if not rows.filter(webhook_url=audience.webhook_url, webhook_off_at=None).update(webhook_off_at=now):
        return
    waiting = deliveries_to(audience).filter(
        channel=AlertDelivery.Channel.WEBHOOK, state=State.QUEUED, lease_token=None
    )
    AlertDelivery.objects.filter(pk__in=waiting.values("pk")).update(
        state=State.FAILED, ended_at=now, error_code=failure.code, error_detail=failure.detail
    )
    about = audience.name if isinstance(audience, Rollout) else audience.tenant.slug
    entry(audience.tenant, SERVICE, "stop alert webhook", about, after={"because": failure.what}).save()


def _locked(tenant: Tenant) -> AlertSettings:
    """The settings, which no look and no other change has meanwhile."""
    tenant = lock(tenant)
    found = AlertSettings.objects.select_for_update().filter(tenant=tenant).first() or AlertSettings()
    found.tenant = tenant
    return found


def new_secret() -> str:
    """One that nobody guesses, for a webhook."""
    return secrets.token_urlsafe(32)


def keep_secret(settings: Audience, secret: str) -> None:
    """Sign the webhook with it from now on. Raises ``ValidationError`` where it is too short."""
    if len(secret) < SHORTEST_SECRET or not secret.isascii() or not secret.isprintable():
        raise ValidationError(
            _(
                "A secret has at least %(shortest_secret)s ASCII characters, such as openssl rand -base64 32 "
                "prints: choose a longer one."
            )
            % {"shortest_secret": SHORTEST_SECRET}
        )
    keep_password(settings, secret)
    settings.save(update_fields=["sealed_password"])


def clean_recipients(text: str, field: str = "recipients") -> str:
    """The addresses, each once and on a line of its own. Raises ``ValidationError`` of the field."""
    found: dict[str, str] = {}
    for address in text.replace(",", " ").replace(";", " ").split():
        try:
            validate_address(address)
        except ValidationError:
            told = _("“%(address)s” is no mail address: write each as alice@contoso.com, on a line of its own.")
            raise ValidationError({field: told % {"address": address[:100]}}) from None
        found.setdefault(address.lower(), address)
    if len(found) > MOST_RECIPIENTS:
        raise ValidationError(
            {
                field: _("Alerts go to at most %(count)s addresses: use a distribution list.")
                % {"count": MOST_RECIPIENTS}
            }
        )
    return "\n".join(found.values())


def clean_webhook(url: str) -> str:
    """The address. Raises ``ValidationError`` where MMS posts nothing to it."""
    url = url.strip()
    if url:
        try:
            webhook.parse(url, site.MMS_ALLOWED_WEBHOOK_HOSTS)
        except Failure as failure:
            raise ValidationError({"webhook_url": failure.told}) from None
    return url


def hide_path(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Of the webhook's address the audit has the server: what follows is often a secret."""
    for values in (before, after):
        if values.get("webhook_url"):
            values["webhook_url"] = server_of(values["webhook_url"])


def server_of(url: str) -> str:
    """Scheme and server of a web address, with a sign that more follows; for those who may not see all of it."""
    return f"{'/'.join(url.split('/')[:3])}/…" if url else ""


def _watch(
    settings: AlertSettings,
    kinds: Collection[str] | None,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    anew: bool,
) -> None:
    if kinds is None and not anew:
        return
    wanted = set(settings.watched) if kinds is None else set(kinds)
    if unknown := wanted - KINDS.keys():
        told = _("There is no kind of alert %(kind)s: choose of %(kinds)s.")
        raise ValidationError({"kinds": told % {"kind": min(unknown), "kinds": ", ".join(KINDS)}})
    now = clock.now().isoformat()
    watched = {kind: now if anew else settings.watched.get(kind, now) for kind in KINDS if kind in wanted}
    if watched.keys() != settings.watched.keys():
        before["kinds"] = ", ".join(sorted(settings.watched))
        after["kinds"] = ", ".join(sorted(watched))
    things = {thing for kind in settings.watched for thing in KINDS[kind].things if kind not in watched or anew}
    if settings.pk and things:
        collecting.forget(settings.tenant, things)
    settings.watched = watched


def _check(settings: AlertSettings) -> None:
    if (settings.quiet_from is None) != (settings.quiet_until is None):
        field = "quiet_until" if settings.quiet_until is None else "quiet_from"
        raise ValidationError({field: _("Quiet hours have a beginning and an end: give both, or neither.")})
    if settings.quiet_from is not None and settings.quiet_from == settings.quiet_until:
        raise ValidationError({"quiet_until": _("Quiet hours end at another time than they begin: choose one.")})
