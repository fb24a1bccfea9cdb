"""Whom MMS cannot serve (R15 to R17), asked of the database; the rules are those of ``triggers``."""

from __future__ import annotations

from django.db.models import Q

from migrations_app.triggers.rules import OBSTACLES
from tenants_app.models import Deployment, MailboxConnection

_COLUMNS = {"bridge_provider": "bridge__provider"}
"""Settings that are no columns of the user's own."""

_NOT_THERE = set(MailboxConnection.Kind) - {*MailboxConnection.REACH_ON_PREMISES}
_WITHOUT = {
    "is_mailbox_connected": Q(mailbox__kind__in=_NOT_THERE)
    | Q(mailbox=None, tenant__mailbox=None)
    | Q(mailbox=None, tenant__mailbox__kind__in=_NOT_THERE),
    "is_on_new_deployment": Q(deployment=None) | Q(deployment__role=Deployment.Role.LEGACY),
}
"""Users for whom a setting that takes an obstacle out of the way is not true."""

OWN_SETTINGS = tuple(obstacle.setting for obstacle in OBSTACLES if obstacle.setting not in _COLUMNS)
"""Settings of a user that decide, beside the bridge, whether MMS can migrate their meetings."""


def not_served() -> Q:
    """Users whom ``why_not_served`` gives a reason."""
    condition = Q()
    for obstacle in OBSTACLES:
        column = _COLUMNS.get(obstacle.setting, obstacle.setting)
        # Greater than the empty text, so that it is not met by those who have no bridge.
        met = Q(**{column: obstacle.value}) if obstacle.value else Q(**{f"{column}__gt": ""})
        condition |= met & _WITHOUT[obstacle.unless] if obstacle.unless else met
    return condition
