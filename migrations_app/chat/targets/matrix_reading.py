"""Reading a homeserver's rooms back: settings, people, messages, and files with their checksums (R123)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import Joining
from migrations_app.chat.targets import matrix_power as power
from migrations_app.chat.targets.base import ReadMessage, ReadRoom
from migrations_app.chat.targets.matrix_client import JSON, MatrixClient, Refused
from migrations_app.chat.targets.matrix_people import EPOCH, MILLISECOND
from migrations_app.chat.targets.matrix_rooms import OF_ROOM, Rooms

OURS = "mms.message"
"""Of an event's content: our key and what kind of message it was."""
_PART = 1 << 20
_JOINING = {"invite": Joining.INVITED, "public": Joining.ORGANIZATION, "restricted": Joining.ORGANIZATION}


class Reading:
    """Reads; changes nothing."""

    def __init__(self, client: MatrixClient, rooms: Rooms) -> None:
        self._client = client
        self._rooms = rooms

    def room(self, room: str) -> ReadRoom:
        levels = self._rooms.levels(room)
        default = power.level_of(levels, "events_default", power.EVERYBODY)
        users = {who: level for who, level in power.users_of(levels).items() if self._rooms.is_person(who)}
        there = self._rooms.people_of(room)
        rule = (self._rooms.state(room, "m.room.join_rules") or {}).get("join_rule")
        is_closed = (self._rooms.state(room, "m.room.create") or {}).get("m.federate") is False
        space = str((self._rooms.state(room, OF_ROOM) or {}).get("category", ""))
        is_read_only = default >= power.NOBODY
        return ReadRoom(
            id=room,
            name=str((self._rooms.state(room, "m.room.name") or {}).get("name", "")),
            category=str((self._rooms.state(space, "m.room.name") or {}).get("name", "")) if space else "",
            description=str((self._rooms.state(room, "m.room.topic") or {}).get("topic", "")),
            joining=_JOINING.get(str(rule)) if is_closed or rule == "invite" else None,
            is_auditorium=None if is_read_only else default >= power.PRESENTER,
            is_read_only=is_read_only,
            members=frozenset(who for who in there if self._rooms.is_person(who)),
            managers=frozenset(who for who, level in users.items() if level >= power.MANAGER),
            presenters=frozenset(
                who for who, level in users.items() if level in (power.PRESENTER, power.PRESENTING_MANAGER)
            ),
        )

    def messages(self, room: str) -> Iterator[ReadMessage]:
        for page in self._rooms.pages(room, "f"):
            for event in page:
                content = event.get("content")
                # What is left of a message that somebody removed, and the new text of one that was edited, are none.
                if isinstance(content, dict) and content and "m.new_content" not in content:
                    yield self._message_of(event, content)

    def _message_of(self, event: JSON, content: JSON) -> ReadMessage:
        ours = ours_of(event)
        text, name, size, checksum = str(content.get("body", "")), "", None, ""
        uri = content.get("url")
        if isinstance(uri, str) and uri.startswith("mxc://"):
            name = str(content.get("filename") or text)
            size, checksum = self._octets_of(uri)
            if not ours.get("has_text", "filename" in content):
                text = ""
        kind = ours.get("kind")
        at = event.get("origin_server_ts")
        return ReadMessage(
            key=str(ours.get("key", "")),
            at=EPOCH + int(at) * MILLISECOND if isinstance(at, int) else None,
            author=str(event.get("sender", "")),
            text=text,
            kind=MessageKind(kind) if kind in set(MessageKind) else MessageKind.FILE if name else MessageKind.MESSAGE,
            file_name=name,
            file_bytes=size,
            file_sha256=checksum,
        )

    def _octets_of(self, uri: str) -> tuple[int | None, str]:
        """Size and checksum of a file as it is there; nothing where it is not."""
        try:
            file: IO[bytes] = self._client.download(uri)
        except Refused:
            return None, ""
        with file:
            checksum, size = hashlib.sha256(), 0
            while part := file.read(_PART):
                checksum.update(part)
                size += len(part)
        return size, checksum.hexdigest()


def ours_of(event: JSON) -> JSON:
    """What we have put into an event; nothing where it is somebody else's."""
    content = event.get("content")
    ours = content.get(OURS) if isinstance(content, dict) else None
    return ours if isinstance(ours, dict) else {}
