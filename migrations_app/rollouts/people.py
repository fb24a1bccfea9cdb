"""Whom a rollout tells (R92): their mail addresses, and a webhook that gets the same, signed."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from migrations_app.alerts.actions import clean_recipients, clean_webhook, hide_path, keep_secret, new_secret
from migrations_app.models import Rollout
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values, lock


@transaction.atomic
def change_people(
    rollout: Rollout,
    actor: Actor,
    *,
    people: str | None = None,
    webhook_url: str | None = None,
    secret: str | None = None,
) -> tuple[Rollout, str]:
    """Change what is given: addresses, each on a line of its own; where it is posted to; what signs it.

    Returns the rollout, and the secret where one was made because a webhook needs one: it is shown this once. Giving an
    address posts to it again, though it was gone. Raises ``ValidationError``.
    """
    lock(rollout.tenant)
    rollout = Rollout.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=rollout.pk)
    values: dict[str, Any] = {}
    if people is not None:
        values["people"] = clean_recipients(people, "people")
    if webhook_url is not None:
        values["webhook_url"] = clean_webhook(webhook_url)
    before, after = apply_values(rollout, values)
    hide_path(before, after)
    if webhook_url is not None and rollout.webhook_off_at is not None:
        rollout.webhook_off_at = None
        after["webhook"] = "on again"
    if not after and secret is None:
        return rollout, ""
    if secret is not None and not rollout.webhook_url:
        raise ValidationError({"webhook_url": _("The secret is for a webhook: enter its address too.")})
    is_needed = bool(rollout.webhook_url) and not rollout.sealed_password
    made = secret if secret is not None else new_secret() if is_needed else ""
    if made or secret is not None:
        keep_secret(rollout, made)
        after["secret"] = "made" if secret is None else "changed"
    rollout.full_clean()
    rollout.save(update_fields=["people", "webhook_url", "webhook_off_at", "sealed_password"])
    entry(rollout.tenant, actor, "change rollout people", rollout.name, before, after).save()
    return rollout, "" if secret is not None else made


@transaction.atomic
def renew_secret(rollout: Rollout, actor: Actor) -> str:
    """Make a new secret of the webhook, which is shown this once. From then on nothing is signed with the old one."""
    lock(rollout.tenant)
    rollout = Rollout.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=rollout.pk)
    if not rollout.webhook_url:
        raise ValidationError(_("There is no webhook that would need a secret: enter its address first."))
    secret = new_secret()
    keep_secret(rollout, secret)
    entry(rollout.tenant, actor, "renew rollout secret", rollout.name).save()
    return secret
