"""Who acts and through what, and the entries that say so, written in the transaction of what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tenants_app.bulk import insert
from tenants_app.models import AuditEntry, Tenant

Channel = AuditEntry.Channel


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by the name that the audit shows, and through what."""

    name: str
    channel: AuditEntry.Channel

    def through(self, channel: AuditEntry.Channel) -> Actor:
        """The same person, acting through something else."""
        return Actor(self.name, channel)


def entry(
    tenant: Tenant,
    actor: Actor,
    action: str,
    target: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    consequence: str = "",
) -> AuditEntry:
    """An entry that is still to be saved; ``before`` and ``after`` hold what differs, as plain values."""
    return AuditEntry(
        tenant=tenant,
        actor=actor.name,
        channel=actor.channel,
        action=action,
        target=target,
        before=before or {},
        after=after or {},
        consequence=consequence[:500],
    )


def record(entries: Iterable[AuditEntry]) -> None:
    """Save the entries."""
    insert(list(entries))
