"""Another tenant beside Contoso with rows of every kind, and everything that is stored, to see that nothing changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection
from django.db.models import Model

from migrations_app.models import Activity
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import create_user
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR


@dataclass(frozen=True, slots=True)
class Fabrikam:
    """The other tenant's bridge with its numbers, and its one user."""

    tenant: Tenant
    bridge: Bridge
    toll: ServiceNumber
    toll_free: ServiceNumber
    user: ConferencingUser


def furnish(tenant: Tenant) -> Fabrikam:
    """Give the other tenant a name, a bridge, numbers and a user, none of which stands anywhere in Contoso."""
    tenant = change_tenant(tenant, ACTOR, name="Harbour Trading")
    bridge = set_bridge(tenant, "Harbour bridge", ACTOR, make_default=True)
    toll = register_number(bridge, "+12065550147", "toll", ACTOR, country="United States", city="Seattle")
    toll_free = register_number(bridge, "+18005550147", "toll-free", ACTOR, country="United States")
    user = create_user(
        tenant,
        ACTOR,
        upn="frank.moor@fabrikam.com",
        display_name="Frank Moor",
        audio_conferencing_license=True,
        audio_conferencing_enabled=True,
        bridge=bridge,
    )
    return Fabrikam(tenant, bridge, toll, toll_free, user)


OWNER = {
    "Tenant": "pk",
    "ConferenceId": "bridge__tenant",
    "FormerConferenceId": "user__tenant",
    "InvitedNumber": "user__tenant",
    "ShownMeeting": "user__tenant",
    "UntoldNumber": "number__tenant",
    "CalendarObject": "user__tenant",
    "IndexedMeeting": "user__tenant",
    "IntendedWrite": "user__tenant",
    "MailboxCredential": "user__tenant",
    "MailboxScan": "user__tenant",
    "MeetingResult": "run__tenant",
    "TeamsLook": "user__tenant",
    "PreviewedMeeting": "preview__tenant",
    "PreviewedUser": "preview__tenant",
    "Update": "result__run__tenant",
    "BulkActionUser": "action__tenant",
    "AlertDelivery": "alert__tenant",
    "UpdateText": "update__result__run__tenant",
    "BridgeMapping": "rollout__tenant",
    "NumberMapping": "rollout__tenant",
    "Wave": "rollout__tenant",
    "WaveMember": "wave__rollout__tenant",
    "RolloutEvent": "rollout__tenant",
    "Rollback": "wave__rollout__tenant",
    "FoundMeeting": "user__tenant",
    "UnreadMailbox": "user__tenant",
    "AcceptedMeeting": "deployment__tenant",
    "TakenListing": "deployment__tenant",
    "Retirement": "deployment__tenant",
    "RolloutCheck": "rollout__tenant",
    "CheckResult": "rollout_check__rollout__tenant",
    "CheckAnswer": "rollout_check__rollout__tenant",
    "GateOpening": "rollout__tenant",
    "AcceptedItem": "wave__rollout__tenant",
    "ChatRoom": "plan__tenant",
    "ChatFinding": "plan__tenant",
    "ChatQuestion": "plan__tenant",
    "ChatStep": "plan__tenant",
    "ChatShift": "room__plan__tenant",
    "ChatDifference": "room__plan__tenant",
}
"""How rows that do not name their tenant themselves lead to it."""
OF_NO_TENANT = {
    *("AccountEvent", "Heartbeat", "ListLayout", "Machine", "MailServer", "Preferences", "SentLately", "WorkerSilence"),
}


def _models() -> list[type[Model]]:
    models = (model for app in ("tenants_app", "migrations_app") for model in apps.get_app_config(app).get_models())
    return [model for model in models if model is not Activity]  # that something has changed; what, the others say


def everything_stored() -> dict[str, list[dict[str, Any]]]:
    """All rows of the project's own models, as the database has them: tests compare everything at many moments."""
    stored = {}
    with connection.cursor() as cursor:
        for meta in (model._meta for model in _models()):
            cursor.execute(f'SELECT * FROM "{meta.db_table}" ORDER BY "{meta.pk.column}"')  # noqa: S608 - our own names
            names = [column[0] for column in cursor.description]
            stored[meta.object_name] = [dict(zip(names, row, strict=True)) for row in cursor]
    return stored


def stored_of(tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
    """The tenant's rows of the project's own models."""
    return {
        model.__name__: list(
            model._base_manager.filter(**{OWNER.get(model.__name__, "tenant"): tenant.pk}).order_by("pk").values()
        )
        for model in _models()
        if model.__name__ not in OF_NO_TENANT
    }
