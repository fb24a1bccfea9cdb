"""A room as it was planned, as plain values: an import makes what the plan has shown, and decides nothing anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrations_app.chat.archive.records import Room
from migrations_app.chat.conversion.outgoing import Joining, OutgoingCategory, OutgoingRoom

_PEOPLE = ("members", "managers", "presenters")
_PLAIN = ("name", "description", "is_auditorium", "is_read_only", "allows_invitations", "merges_into")
MOVED = "moved"
_OF_CATEGORY = ("id", "guid", "name", "description", "merges_into")


def as_json(room: OutgoingRoom) -> dict[str, Any]:
    """Everything of it but the record of the room itself, which the archive has."""
    return {
        **{name: getattr(room, name) for name in _PLAIN},
        "joining": room.joining.value,
        "category": {name: getattr(room.category, name) for name in _OF_CATEGORY},
        **{name: sorted(getattr(room, name)) for name in _PEOPLE},
        **({MOVED: {str(n): by for n, by in room.moved.items()}} if room.moved else {}),
    }


def outgoing_of(planned: Mapping[str, Any], room: Room) -> OutgoingRoom:
    """The same room again, from what :func:`as_json` made of it and the archive's record."""
    values: dict[str, Any] = {name: planned[name] for name in _PLAIN}
    values |= {name: frozenset(planned[name]) for name in _PEOPLE}
    category = OutgoingCategory(**planned["category"])
    moved = {int(n): int(by) for n, by in planned.get(MOVED, {}).items()}
    return OutgoingRoom(room=room, category=category, joining=Joining(planned["joining"]), moved=moved, **values)
