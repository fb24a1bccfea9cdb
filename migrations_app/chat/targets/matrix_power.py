"""Who may do what in a Matrix room, by power levels (R122).

100 and more have only the service account, as the creator, and whom the homeserver's administrators give it. It is
needed for what would widen a room or make it unreadable: history, who joins, encryption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrations_app.chat.conversion.outgoing import OutgoingRoom

JSON = dict[str, Any]
EVERYBODY = 0
PRESENTER = 25
MANAGER = 50
PRESENTING_MANAGER = 51
"""A manager who is named as presenter too, so that both can be read back."""
NOBODY = 100
_ONLY_THE_SERVICE = (
    "m.room.encryption",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
    "m.room.server_acl",
    "m.room.tombstone",
    "mms.opened",
    "mms.room",
)


def at_first() -> JSON:
    """Of a new room: those who are in it while it is imported write, and nobody brings in others.

    Without ``users``: in current room versions the creator may not be listed, and the homeserver knows what else is to
    stand there.
    """
    return {
        "events_default": EVERYBODY,
        "state_default": MANAGER,
        "invite": MANAGER,
        "kick": MANAGER,
        "ban": MANAGER,
        "redact": MANAGER,
        "events": {
            "m.room.avatar": MANAGER,
            "m.room.canonical_alias": MANAGER,
            "m.room.name": MANAGER,
            "m.room.pinned_events": MANAGER,
            "m.room.power_levels": MANAGER,
            "m.room.topic": MANAGER,
            "m.space.parent": NOBODY,
            **dict.fromkeys(_ONLY_THE_SERVICE, NOBODY),
        },
    }


def of_space() -> JSON:
    """Of a space, whose rooms only the service account arranges."""
    return {"events_default": NOBODY, "state_default": NOBODY, "invite": NOBODY, "users_default": EVERYBODY}


def finished(levels: Mapping[str, Any], room: OutgoingRoom, sender: str) -> JSON:
    """Of a room that is imported; of what stands there now the creator's own level is kept."""
    users = {who: level for who, level in users_of(levels).items() if who == sender}
    for person in room.presenters:
        users[person] = PRESENTER
    for person in room.managers:
        users[person] = PRESENTING_MANAGER if person in room.presenters else MANAGER
    default = NOBODY if room.is_read_only else PRESENTER if room.is_auditorium else EVERYBODY
    return {**levels, "users": users, "users_default": EVERYBODY, "events_default": default}


def merged(levels: Mapping[str, Any], room: OutgoingRoom, events_default: int) -> JSON:
    """Of a room of others into which one is merged: nobody loses anything, and who may write stays as it was."""
    users = dict(users_of(levels))
    for people, level in ((room.presenters, PRESENTER), (room.managers, MANAGER)):
        for person in people:
            users[person] = max(users.get(person, level_of(levels, "users_default", EVERYBODY)), level)
    return {**levels, "users": users, "events_default": events_default}


def users_of(levels: Mapping[str, Any]) -> dict[str, int]:
    users = levels.get("users")
    return {str(who): _number(level, EVERYBODY) for who, level in users.items()} if isinstance(users, dict) else {}


def level_of(levels: Mapping[str, Any], name: str, default: int) -> int:
    return _number(levels.get(name), default)


def _number(value: Any, default: int) -> int:
    """Old room versions have numbers as strings too."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
