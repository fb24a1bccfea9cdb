"""An archive carried to a target as an import does it, and what the target should then hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.conversion.conflicts import Choices
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planning import plan_rooms
from migrations_app.chat.targets.base import ReadMessage, Target


@dataclass(frozen=True)
class Carried:
    """A room of the archive, and what it is at the target."""

    outgoing: OutgoingRoom
    id: str


def planned(
    archive: Archive, target: Target, *, choices: Choices | None = None
) -> tuple[list[OutgoingRoom], Mapping[str, Person]]:
    people = people_of(archive, target)
    rooms = plan_rooms(archive, target.limits, target.look(), people, choices or Choices(includes_disabled=True))
    return [room.outgoing for room in rooms if room.outgoing is not None], people


def messages_of(
    archive: Archive, target: Target, room: OutgoingRoom, people: Mapping[str, Person]
) -> Iterator[OutgoingMessage]:
    files = {file.id: file for file in archive.files_of(room.room.id)}
    converter = Converter(room, people, target.limits, files=files)
    for message in archive.messages(room.room.id):
        yield from converter.convert(message)


def carry(
    archive: Archive,
    target: Target,
    *,
    choices: Choices | None = None,
    batch: int = 25,
    only: Callable[[OutgoingRoom], bool] = lambda room: True,
    finishes: bool = True,
) -> dict[str, Carried]:
    """All rooms that can be imported, by their ids in the archive, in the order of R112."""
    carried = {}
    rooms, people = planned(archive, target, choices=choices)
    for room in filter(only, rooms):
        key = target.begin_room(room, target.begin_category(room.category))
        messages = messages_of(archive, target, room, people)
        while part := list(islice(messages, batch)):
            target.write(key, part, archive.octets)
        target.finish_room(key, room)
        carried[room.room.id] = Carried(room, key)
    if finishes:
        target.finish()
    return carried


def expected(
    archive: Archive, target: Target, room: OutgoingRoom, people: Mapping[str, Person]
) -> Iterator[ReadMessage]:
    """The room's messages as they should be read back."""
    for message in messages_of(archive, target, room, people):
        file, octets = message.file, b""
        if file is not None:
            with archive.octets(file) as stream:
                octets = stream.read()
        yield ReadMessage(
            key=message.key,
            at=message.at,
            author=target.author_of(message.author.principal, room),
            text=message.text,
            kind=message.kind,
            file_name="" if file is None else file.name,
            file_bytes=None if file is None else len(octets),
            file_sha256="" if file is None else hashlib.sha256(octets).hexdigest(),
        )
