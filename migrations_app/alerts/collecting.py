"""What has happened since it was looked last, as rows of events.

Nothing else writes them: they follow from the rows of runs, meetings, connections and jobs. Each occurrence has one
row, by a database constraint, and each look goes back further than the one before ended, so that what was committed
late is found too. Nothing is lost, and nothing is told twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from migrations_app.alerts import kinds
from migrations_app.alerts.kinds import Thing
from migrations_app.models import (
    AlertEvent,
    AlertSettings,
    BulkAction,
    ChatPlan,
    LeftMeeting,
    NumberRelease,
    Preview,
    RolloutEvent,
    UserImport,
    WorkerSilence,
)
from migrations_app.monitoring import clock
from migrations_app.runs.failed import failed_runs
from tenants_app.bulk import batched, insert
from tenants_app.models import WARN_BEFORE, MailboxConnection, Tenant

OVERLAP = timedelta(hours=1)
"""How far a look goes back behind the one before: no transaction lasts as long."""

Found = Callable[[Tenant], tuple[QuerySet[Any], str]]
"""The rows of a tenant that stand for something that happened, and the field that says when."""


def _runs(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return failed_runs(tenant).filter(accepted_at=None), "finished_at"


def _left(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return LeftMeeting.objects.filter(tenant=tenant, state=LeftMeeting.State.OPEN), "created"


def _silences(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return WorkerSilence.objects.all(), "ended"


def _bulk_actions(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return BulkAction.objects.filter(tenant=tenant, state=BulkAction.State.DONE), "finished_at"


def _imports(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    ended = [UserImport.State.APPLIED, UserImport.State.REFUSED]
    return UserImport.objects.filter(tenant=tenant, state__in=ended), "finished_at"


def _releases(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return NumberRelease.objects.filter(tenant=tenant, state=NumberRelease.State.RELEASED), "finished_at"


def _previews(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return Preview.objects.filter(tenant=tenant).exclude(state=Preview.State.LOOKING), "finished_at"


def _stops(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return RolloutEvent.objects.filter(rollout__tenant=tenant, kind=RolloutEvent.Kind.STOPPED), "at"


def _chat_stops(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return ChatPlan.objects.filter(tenant=tenant, state=ChatPlan.State.STOPPED), "stopped_at"


def _chat_imports(tenant: Tenant) -> tuple[QuerySet[Any], str]:
    return ChatPlan.objects.filter(tenant=tenant, state=ChatPlan.State.IMPORTED), "finished_at"


_FOUND: Mapping[AlertEvent.Thing, Found] = {
    Thing.RUN: _runs,
    Thing.LEFT_MEETING: _left,
    Thing.SILENCE: _silences,
    Thing.BULK_ACTION: _bulk_actions,
    Thing.USER_IMPORT: _imports,
    Thing.NUMBER_RELEASE: _releases,
    Thing.PREVIEW: _previews,
    Thing.WAVE_STOP: _stops,
    Thing.CHAT_STOP: _chat_stops,
    Thing.CHAT_IMPORT: _chat_imports,
}
"""What is found by the time that it happened at. What a person has ended, stopped or cancelled is told to nobody."""


def collect(settings: AlertSettings) -> None:
    """Note what has happened. In the caller's transaction, which holds the row of the settings."""
    now = clock.now()
    looked_at = min(settings.looked_at or now, now)  # one to come was written before the clock was set back
    for thing, name in kinds.KIND_OF.items():
        if (since := since_when(settings, name)) is None:
            continue
        if thing == Thing.CONNECTION:
            _note_connections(settings.tenant, now)
        elif thing == Thing.CREDENTIAL:
            _note_secrets(settings.tenant, now)
        else:
            _note(settings.tenant, thing, max(since, looked_at - OVERLAP), now)
    settings.looked_at = now
    settings.save(update_fields=["looked_at"])


def since_when(settings: AlertSettings, kind: str) -> datetime | None:
    """Since when it is watched for; None where it is not."""
    since = settings.watched.get(kind)
    return datetime.fromisoformat(since) if since else None


def _note(tenant: Tenant, thing: AlertEvent.Thing, since: datetime, now: datetime) -> None:
    rows, moment = _FOUND[thing](tenant)
    known = AlertEvent.objects.filter(tenant=tenant, thing=thing, object_id=OuterRef("pk"), at=OuterRef(moment))
    new = rows.filter(~Exists(known), **{f"{moment}__gte": since}).order_by("pk").values_list("pk", moment)
    events = [AlertEvent(tenant=tenant, thing=thing, object_id=pk, at=at, noted_at=now) for pk, at in new]
    for some in batched(events):
        insert(some, unless_there=True)


def _note_connections(tenant: Tenant, now: datetime) -> None:
    """Connections that are refused, whenever that began, since it lasts; and those that are not any more."""
    refused = MailboxConnection.objects.filter(tenant=tenant, problem_since__isnull=False).exclude(problem_code="")
    _insert_connections(tenant, refused, now)
    same = refused.filter(pk=OuterRef("object_id"), problem_since=OuterRef("at"))
    lasting = AlertEvent.objects.filter(tenant=tenant, thing=Thing.CONNECTION, ended_at=None)
    lasting.filter(~Exists(same)).update(ended_at=now, noted_at=now)


def _insert_connections(tenant: Tenant, refused: Iterable[MailboxConnection], now: datetime) -> None:
    events = [
        AlertEvent(
            tenant=tenant,
            thing=Thing.CONNECTION,
            object_id=each.pk,
            at=each.problem_since,
            noted_at=now,
            facts=_facts(each),
        )
        for each in refused
        if each.problem_since
    ]
    insert(events, unless_there=True)


def _note_secrets(tenant: Tenant, now: datetime) -> None:
    """Secrets that end soon, whenever that began, since it lasts until somebody renews them; each end once."""
    events = [
        AlertEvent(tenant=tenant, thing=Thing.CREDENTIAL, object_id=each.pk, at=each.secret_expires_at, noted_at=now)
        for each in ending_secrets(tenant, now)
        if each.secret_expires_at
    ]
    known = AlertEvent.objects.filter(tenant=tenant, thing=Thing.CREDENTIAL).values_list("object_id", "at")
    told = set(known) if events else set()
    insert([event for event in events if (event.object_id, event.at) not in told], unless_there=True)


def ending_secrets(tenant: Tenant, now: datetime) -> QuerySet[MailboxConnection]:
    """Connections whose secret is to be renewed, or has ended already."""
    return MailboxConnection.objects.filter(tenant=tenant, secret_expires_at__lte=now + WARN_BEFORE)


def _facts(connection: MailboxConnection) -> dict[str, str]:
    return {"name": connection.name, "code": connection.problem_code, "detail": connection.problem_detail}


def untold(tenant: Tenant) -> QuerySet[AlertEvent]:
    """What happened, or was over, and is still to be told; a partial index has these alone."""
    to_tell = Q(told_at=None) | Q(end_told_at=None, ended_at__isnull=False)
    return AlertEvent.objects.filter(to_tell, tenant=tenant)


def mark_told(events: QuerySet[AlertEvent], now: datetime) -> None:
    """These went into an alert, or need none any more; what lasts is told once more when it is over."""
    for some in batched(list(events.values_list("pk", flat=True))):
        rows = AlertEvent.objects.filter(pk__in=some)
        rows.filter(ended_at__isnull=False).update(end_told_at=now)
        rows.filter(told_at=None).update(told_at=now)


def forget(tenant: Tenant, things: Collection[str]) -> None:
    """What nobody wants to be told any more, and what lasts of it."""
    unwanted = Q(told_at=None) | Q(end_told_at=None, thing=Thing.CONNECTION)
    AlertEvent.objects.filter(unwanted, tenant=tenant, thing__in=things).delete()
