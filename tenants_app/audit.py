"""Who acts and through what, and the entries that say so, written in the transaction of what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst

from tenants_app.bulk import insert
from tenants_app.models import AuditEntry, Tenant

Channel = AuditEntry.Channel

_actions: dict[str, list[str]] = {}
"""The actions, by what they are about. Kept as a list, because to collect them from millions of entries takes long."""


def register_actions(group: str, *actions: str) -> None:
    """Say, when an app starts, which actions it writes into the audit; they are added to those of the group."""
    known = _actions.setdefault(group, [])
    known += [action for action in actions if action not in known]


def action_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every action with how it reads, by group, as the choices of a form."""
    return [(group, [(action, capfirst(action)) for action in actions]) for group, actions in _actions.items()]


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
    """An entry that is still to be saved; ``before`` and ``after`` hold what differs, as plain values.

    Raises ``ValueError`` for an action that no app has registered: nobody could filter the audit by it.
    """
    if not any(action in actions for actions in _actions.values()):
        raise ValueError(f"{action!r} is not an action of the audit: add it to the register_actions of its app.")
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
