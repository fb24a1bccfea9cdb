"""The end of a room's import to a homeserver: rights, members, then who may join (R112, R122)."""

from __future__ import annotations

import hashlib
import json

from migrations_app.chat.conversion.outgoing import Joining, OutgoingRoom
from migrations_app.chat.targets import matrix_power as power
from migrations_app.chat.targets.matrix_people import People
from migrations_app.chat.targets.matrix_rooms import OF_ROOM, OPENED, Rooms


class Finishing:
    """Gives rooms what they are to have. Each step may be repeated."""

    def __init__(self, rooms: Rooms, people: People) -> None:
        self._rooms = rooms
        self._people = people
        self._in_spaces: set[tuple[str, str]] = set()

    def finish(self, room: str, planned: OutgoingRoom) -> None:
        at = planned.room.last or planned.room.created
        levels = self._rooms.levels(room)
        if planned.merges_into:
            opened = self._rooms.state(room, OPENED) or {}
            default = opened.get("events_default", power.level_of(levels, "events_default", power.EVERYBODY))
            self._rooms.put(room, "m.room.power_levels", power.merged(levels, planned, int(default)))
            if opened:
                self._rooms.put(room, OPENED, {})
        else:
            self._rooms.put(room, "m.room.power_levels", power.finished(levels, planned, self._rooms.me))
        there = self._rooms.people_of(room)
        for account in sorted(there):
            if self._rooms.is_ghost(account) and there[account] == "join":
                self._people.leave(room, account, at)
        for account in sorted(planned.members):
            self._people.make_member(room, account, there.get(account, ""), at)
        last = self._rooms.last_of(room)
        for account in sorted(planned.members):
            self._people.unmute(room, account, last)
        if planned.merges_into:
            return
        category = str((self._rooms.state(room, OF_ROOM) or {}).get("category", ""))
        if planned.joining is Joining.ORGANIZATION:
            self._rooms.put(room, "m.room.join_rules", {"join_rule": "public"})
        if category:
            self._put_into_space(room, category, planned)

    def _put_into_space(self, room: str, space: str, planned: OutgoingRoom) -> None:
        """Show the room in its space, which its members join. A space stays closed until it has an open room."""
        via = {"via": [self._rooms.server]}
        self._rooms.put(space, "m.space.child", via, room)
        self._rooms.put(room, "m.space.parent", {**via, "canonical": True}, space)
        if planned.joining is Joining.ORGANIZATION:
            rule = (self._rooms.state(space, "m.room.join_rules") or {}).get("join_rule")
            made_for = (self._rooms.state(space, OF_ROOM) or {}).get("made_for")
            if made_for and rule != "public":
                self._rooms.put(space, "m.room.join_rules", {"join_rule": "public"})
        there: dict[str, str] | None = None
        for account in sorted(planned.members):
            if (space, account) not in self._in_spaces:
                there = self._rooms.people_of(space) if there is None else there
                self._people.make_member(space, account, there.get(account, ""), None)
                self._in_spaces.add((space, account))


def digest_of(room: OutgoingRoom) -> str:
    """Of what :meth:`Finishing.finish` gives a room: with the same one it has nothing to do."""
    facts = [
        sorted(room.members),
        sorted(room.managers),
        sorted(room.presenters),
        room.joining.value,
        room.is_auditorium,
        room.is_read_only,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
