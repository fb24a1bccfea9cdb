"""Who acts and through what, and the entries that say so, written in the transaction of what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext

from tenants_app.bulk import insert
from tenants_app.models import AuditEntry, Tenant
from tenants_app.sentences import at_most

Channel = AuditEntry.Channel

_actions: dict[str, list[str]] = {}
"""The actions, by what they are about. Kept as a list, because to collect them from millions of entries takes long."""

_to_be_asked: list[tuple[str, Callable[[], Iterable[str]]]] = []
"""Groups with who knows more actions of theirs, and has not been asked yet."""

_values: dict[str, dict[str, Any]] = {}
"""How values read that stand in entries as codes, by the name that they have there."""


def register_actions(group: str, *actions: str) -> None:
    """Say, when an app starts, which actions it writes into the audit; they are added to those of the group."""
    known = _actions.setdefault(group, [])
    known += [action for action in actions if action not in known]


def register_actions_later(group: str, tell: Callable[[], Iterable[str]]) -> None:
    """As :func:`register_actions`, for actions that only somebody knows who takes long to load: asked when needed."""
    register_actions(group)
    _to_be_asked.append((group, tell))


def _ask() -> None:
    while _to_be_asked:
        group, tell = _to_be_asked.pop()
        register_actions(group, *tell())


def _is_known(action: str) -> bool:
    return any(action in actions for actions in _actions.values())


def register_values(name: str, choices: Iterable[tuple[str, Any]]) -> None:
    """Say, when an app starts, how the codes read that entries have under a name, besides those of a field of it."""
    _values.setdefault(name, {}).update(choices)


def values_in_words(name: str) -> Mapping[str, Any]:
    """How the codes under that name read; nothing where it has none."""
    return _values.get(name, {})


def action_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every action with how it reads, by group, as the choices of a form."""
    _ask()
    return [
        (gettext(group), [(action, action_in_words(action)) for action in actions])
        for group, actions in _actions.items()
    ]


def action_in_words(action: str) -> str:
    """How an action of the audit reads: it is kept in English, by which entries are filtered."""
    return str(capfirst(gettext(action)))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by the name that the audit shows, and through what."""

    name: str
    channel: AuditEntry.Channel

    def through(self, channel: AuditEntry.Channel) -> Actor:
        """The same person, acting through something else."""
        return Actor(self.name, channel)


SERVICE = Actor("MMS", Channel.SERVICE)
"""MMS itself."""


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
    if not _is_known(action):
        _ask()
    if not _is_known(action):
        raise ValueError(f"{action!r} is not an action of the audit: add it to the register_actions of its app.")
    return AuditEntry(
        tenant=tenant,
        actor=actor.name,
        channel=actor.channel,
        action=action,
        target=target,
        before=before or {},
        after=after or {},
        consequence=at_most(500, consequence),
    )


def record(entries: Iterable[AuditEntry]) -> None:
    """Save the entries."""
    insert(list(entries))
