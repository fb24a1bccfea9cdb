"""What administrators do about meetings that need a person; assigning them is a matter of mail."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from migrations_app.models import LeftMeeting
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import update
from tenants_app.models import Tenant

State = LeftMeeting.State
MARKED = ("state", "note", "by", "at")
"""What an action notes in a row."""


def locked(tenant: Tenant, pks: Iterable[int]) -> list[LeftMeeting]:
    """These of the tenant's rows, for a change in the caller's transaction; in the order in which everybody locks."""
    rows = LeftMeeting.objects.filter(tenant=tenant, pk__in=list(pks)).select_for_update(of=("self",))
    return list(rows.select_related("user", "request").order_by("pk"))


@transaction.atomic
def deal_with(tenant: Tenant, pks: Iterable[int], actor: Actor, note: str = "") -> int:
    """Note that a person has seen to these meetings; how many were not dealt with before."""
    rows = [row for row in locked(tenant, pks) if row.state != State.DEALT_WITH]
    states = [(row, *marked(row, actor, State.DEALT_WITH, note[:500])) for row in rows]
    record(entry(tenant, actor, "meeting dealt with", row.user.upn, old, new) for row, old, new in states)
    update(rows, MARKED)
    return len(rows)


@transaction.atomic
def open_again(tenant: Tenant, pks: Iterable[int], actor: Actor) -> int:
    """Take back what was noted about these meetings; how many need somebody again."""
    rows = [row for row in locked(tenant, pks) if row.state != State.OPEN]
    states = [(row, *marked(row, actor, State.OPEN)) for row in rows]
    record(entry(tenant, actor, "open meeting again", row.user.upn, old, new) for row, old, new in states)
    update(rows, MARKED)
    return len(rows)


def marked(
    row: LeftMeeting, actor: Actor, state: LeftMeeting.State, note: str = ""
) -> tuple[dict[str, str], dict[str, str]]:
    """Set :data:`MARKED` of the row, still to be saved; what the audit says was before and is after."""
    before = {"State": row.state}
    row.state, row.note, row.by, row.at = state, note, actor.name, timezone.now()
    return before, {"Meeting": str(row), "State": state.value, **({"Note": note} if note else {})}
