"""Users whose latest run failed: grouped by what failed, and starting them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet, Sum

from migrations_app.cures import Place, place_of
from migrations_app.models import Run
from migrations_app.runs import actions
from migrations_app.runs.out_of_date import CHUNK
from tenants_app.audit import Actor
from tenants_app.bulk import batched
from tenants_app.models import Tenant

UNKNOWN = "internal-error"
"""Stands for a run that failed without a code, as none does today."""


def failed_runs(tenant: Tenant, code: str = "") -> QuerySet[Run]:
    """The tenant's users' latest runs, where they failed; with ``code`` those that it has to be cured of."""
    runs = Run.objects.filter(tenant=tenant, is_latest=True, state=Run.State.FAILED)
    if not code:
        return runs
    own = Q(last_error_code=code) | (Q(last_error_code="") if code == UNKNOWN else Q())
    return runs.filter(Q(last_error_cause=code) | (Q(last_error_cause="") & own))


def accept(tenant: Tenant, runs: QuerySet[Run], note: str, actor: Actor) -> int:
    """Accept the failures of these runs, some in each transaction; how many are new. See ``actions``."""
    return sum(
        actions.accept_failures(tenant, some, note, actor) for some in batched(list(runs.only("user_id")), CHUNK)
    )


def take_back(tenant: Tenant, runs: QuerySet[Run], actor: Actor) -> int:
    """Let the failures of these runs count again, some in each transaction; how many were accepted."""
    return sum(actions.take_back_acceptance(tenant, some, actor) for some in batched(list(runs.only("user_id")), CHUNK))


@dataclass(frozen=True, slots=True)
class Thing:
    """A bridge or a connection on whose page what failed is put right."""

    key: int
    name: str


@dataclass(slots=True)
class Group:
    """Users whose latest run failed by the same thing."""

    code: str
    users: int = 0
    accepted: int = 0
    failed_meetings: int = 0
    blind: int = 0
    """Users whose run ended before it looked at any meeting."""
    things: dict[Thing, int] = field(default_factory=dict)
    """Where it is put right, with the number of users, most first; empty where that is no bridge or connection."""

    @property
    def to_see_to(self) -> int:
        """Users whose failure nobody has accepted."""
        return self.users - self.accepted


def groups(tenant: Tenant) -> Sequence[Group]:
    """The tenant's failures by what is to be cured, the most users first; one question to the database.

    ``tenant.mailbox`` should be loaded already.
    """
    connection = tenant.mailbox if tenant.mailbox_id else None
    rows = (
        failed_runs(tenant)
        .order_by()
        .values_list(
            *("last_error_code", "last_error_cause", "user__bridge", "user__bridge__name"),
            *("user__mailbox", "user__mailbox__name"),
        )
        .annotate(
            users=Count("pk"),
            accepted=Count("accepted_at"),
            meetings=Sum("failed_meetings"),
            blind=Count("pk", filter=Q(total_meetings=0)),
        )
    )
    found: dict[str, Group] = {}
    for code, cause, bridge, bridge_name, mailbox, mailbox_name, users, accepted, meetings, blind in rows:
        key = cause or code or UNKNOWN
        group = found.setdefault(key, Group(key))
        group.users += users
        group.accepted += accepted
        group.failed_meetings += meetings
        group.blind += blind
        thing = None
        if place_of(key) == Place.BRIDGE and bridge:
            thing = Thing(bridge, bridge_name)
        elif place_of(key) == Place.CONNECTION and (mailbox or connection):
            thing = Thing(mailbox, mailbox_name) if mailbox else Thing(connection.pk, connection.name)  # type: ignore[union-attr]
        if thing:
            group.things[thing] = group.things.get(thing, 0) + users
    for group in found.values():
        group.things = dict(sorted(group.things.items(), key=lambda item: (-item[1], item[0].name)))
    return sorted(found.values(), key=lambda group: (-group.to_see_to, -group.users, group.code))
