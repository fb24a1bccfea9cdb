"""The rooms of a homeserver as an application service sees them: what they are, who is in them, what is said there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from migrations_app.chat.targets import matrix_power as power
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.chat.targets.matrix_client import (
    JSON,
    MatrixClient,
    Refused,
    Unknown,
    segment,
    unavailable,
    unusable,
)
from tenants_app.sentences import sentence

OF_ROOM = "mms.room"
"""The state of a room or a space that says what it was made for, and whether it is finished."""
OPENED = "mms.opened"
"""The state of a room of others that says who might write before it was opened for a merge."""
_PAGE = "100"
"""Events of a page: 64 KiB each at most, so that a page is never larger than answers may be."""
_MOST_PAGES = 1_000_000
_MOST_ROOMS = 100_000
_LOOKS = 10
_BETWEEN_LOOKS = 0.5
"""Seconds. A homeserver takes about one to make a room."""
_MESSAGES = json.dumps({"types": ["m.room.message"]})


class Rooms:
    """Rooms and spaces of one homeserver, and what our own user, accounts and aliases are called there."""

    def __init__(self, client: MatrixClient, server: str, prefix: str, sender: str) -> None:
        self._client = client
        self.server = server
        self._prefix = prefix
        self.me = self.id(sender)

    def id(self, local: str) -> str:
        """An account by its local part."""
        return f"@{local}:{self.server}"

    def is_ghost(self, account: str) -> bool:
        """Whether we have made it for an author."""
        return account.startswith(f"@{self._prefix}") and account.endswith(f":{self.server}")

    def is_person(self, account: str) -> bool:
        """Whether it is somebody's own, and neither ours nor one that was made."""
        return account != self.me and not self.is_ghost(account)

    def known(self) -> Iterator[tuple[str, str, bool, str]]:
        """Id, name, whether it is a space, and what it was made for by MMS: the rooms we are in, those of the
        directory, and all where this account is an administrator's."""
        joined = self._client.get("joined_rooms").get("joined_rooms", [])
        seen: set[str] = set()
        for room in [str(each) for each in joined][:_MOST_ROOMS]:
            seen.add(room)
            name = str((self.state(room, "m.room.name") or {}).get("name", ""))
            created = self.state(room, "m.room.create") or {}
            made_for = str((self.state(room, OF_ROOM) or {}).get("made_for", ""))
            if name:
                yield room, name, created.get("type") == "m.space", made_for
        for listed in chain(self._directory(), self._administered()):
            room, name = str(listed.get("room_id", "")), str(listed.get("name") or "")
            if room and room not in seen and name:
                seen.add(room)
                yield room, name, listed.get("room_type") == "m.space", ""

    def _directory(self) -> Iterator[JSON]:
        since: str | None = None
        for _ in range(_MOST_ROOMS // 100):
            page = self._client.find("publicRooms", {"limit": "100", **({"since": since} if since else {})})
            yield from objects((page or {}).get("chunk"))
            since = (page or {}).get("next_batch")
            if not since:
                return

    def _administered(self) -> Iterator[JSON]:
        begin: Any = 0
        for _ in range(_MOST_ROOMS // 500):
            page = self._client.administration("v1/rooms", {"limit": "500", "from": str(begin)})
            yield from objects((page or {}).get("rooms"))
            begin = (page or {}).get("next_batch")
            if not begin:
                return

    def state(self, room: str, kind: str, key: str = "") -> JSON | None:
        """A state as it is now; None where it was never set."""
        path = f"rooms/{segment(room)}/state/{kind}" + (f"/{segment(key)}" if key else "")
        return self._client.find(path)

    def put(self, room: str, kind: str, content: Mapping[str, Any], key: str = "") -> None:
        path = f"rooms/{segment(room)}/state/{kind}" + (f"/{segment(key)}" if key else "")
        self._client.settle("PUT", path, content)

    def levels(self, room: str) -> JSON:
        return self.state(room, "m.room.power_levels") or {}

    def inside(self, room: str) -> set[str]:
        return {who for who, membership in self.people_of(room).items() if membership == "join"}

    def people_of(self, room: str) -> dict[str, str]:
        """Who is in a room, or invited."""
        found = self._client.find(f"rooms/{segment(room)}/members", {"not_membership": "leave"}) or {}
        return {
            str(event.get("state_key")): str(membership)
            for event in objects(found.get("chunk"))
            if (membership := (event.get("content") or {}).get("membership")) in ("join", "invite")
        }

    def pages(self, room: str, direction: str) -> Iterator[Sequence[JSON]]:
        """The messages of a room by pages, from the first on (``f``) or from the newest (``b``)."""
        query = {"dir": direction, "limit": _PAGE, "filter": _MESSAGES}
        for _ in range(_MOST_PAGES):
            page = self._client.get(f"rooms/{segment(room)}/messages", query)
            chunk = list(objects(page.get("chunk")))
            yield chunk
            end = page.get("end")
            if not isinstance(end, str) or not chunk or end == query.get("from"):
                return
            query["from"] = end
        raise unusable(sentence("it lists messages without an end"))

    def last_of(self, room: str) -> str:
        """The id of its newest message; empty where there is none."""
        query = {"dir": "b", "limit": "1", "filter": _MESSAGES}
        page = self._client.get(f"rooms/{segment(room)}/messages", query)
        return next((str(event.get("event_id", "")) for event in objects(page.get("chunk"))), "")

    def made(self, alias: str, body: JSON, made_for: str) -> str:
        """The room of an alias: the one that is there, or a new one. Whether one was made is never left open."""
        address = f"#{alias}:{self.server}"
        body = {**body, "visibility": "private", "room_alias_name": alias}
        why = ""
        for _ in range(3):
            found = self._client.find(f"directory/room/{segment(address)}")
            if found is not None:
                room = str(found.get("room_id", ""))
                if self._comes_to_be(room, made_for):
                    return room
                self.give_up_alias(alias)
            try:
                return str(self._client.once("POST", "createRoom", body)["room_id"])
            except KeyError:
                why = sentence("it does not say which room it made")
            except Unknown as unknown:
                why = unknown.why
            except Refused as refused:
                if refused.errcode != "M_ROOM_IN_USE":
                    raise
                why = refused.errcode
        raise unavailable(why)

    def _comes_to_be(self, room: str, made_for: str) -> bool:
        """Whether the room is whole, or becomes so while another worker makes it."""
        for _ in range(_LOOKS):
            if self._is_whole(room, made_for):
                return True
            self._client.wait(_BETWEEN_LOOKS)
        return False

    def _is_whole(self, room: str, made_for: str) -> bool:
        """Whether the room has come to be. A homeserver that is cut off in ``createRoom`` leaves an alias of a room
        without its creator, or without what is set last; nothing was written to that yet."""
        if self.state(room, "m.room.create") is None or self.state(room, "m.room.name") is None:
            return False
        of_room = self.state(room, OF_ROOM) or {}
        if of_room.get("made_for") != made_for:
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "The room %(room)s has the alias of another one. Remove the alias at the homeserver, then retry.",
                    room=room,
                ),
            )
        return True

    def give_up_alias(self, alias: str) -> None:
        try:
            self._client.settle("DELETE", f"directory/room/{segment(f'#{alias}:{self.server}')}", {})
        except Refused as refused:
            if refused.status != 404:
                raise

    def check_merge(self, room: str) -> None:
        """That we are in a room of others, and may bring in people and let them write."""
        if self.me not in self.inside(room):
            try:
                self._client.settle("POST", f"join/{segment(room)}", {})
            except Refused:
                raise self._not_mergeable(room) from None
        levels = self.levels(room)
        created = self._client.find(f"rooms/{segment(room)}/state/m.room.create", {"format": "event"}) or {}
        mine = power.users_of(levels).get(self.me, power.level_of(levels, "users_default", power.EVERYBODY))
        if created.get("sender") != self.me and mine < power.NOBODY:
            raise self._not_mergeable(room)

    def _not_mergeable(self, room: str) -> TargetProblem:
        return TargetProblem(
            "chat-target-refused",
            sentence(
                "MMS cannot write into the room %(room)s. Invite %(me)s into it and give it the power level 100, then "
                "retry.",
                room=room,
                me=self.me,
            ),
        )


def states(history: str, made_for: JSON) -> list[JSON]:
    """What a new room has from its first moment."""
    return [
        {"type": OF_ROOM, "content": made_for},
        {"type": "m.room.history_visibility", "content": {"history_visibility": history}},
        {"type": "m.room.guest_access", "content": {"guest_access": "forbidden"}},
        {"type": "m.room.join_rules", "content": {"join_rule": "invite"}},
    ]


def objects(values: Any) -> Iterable[JSON]:
    """The JSON objects of what should be a list of them."""
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()
