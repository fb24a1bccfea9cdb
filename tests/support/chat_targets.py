"""An archive carried to a target as an import does it, and what the target should then hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.conversion.conflicts import Choices
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planning import plan_rooms
from migrations_app.chat.targets import teams_graph
from migrations_app.chat.targets.base import ReadMessage, Target, TargetSettings
from migrations_app.chat.targets.of_kind import open_target
from migrations_app.microsoft import sign_in
from tests.support import teams_chat_stand_in
from tests.support.graph_stand_in import GraphStandIn
from tests.support.matrix_stand_in import in_matrix

Settings = Callable[[Path], AbstractContextManager[TargetSettings]]
"""What opens targets of a kind in a test; a kind that needs a server starts a stand-in for it."""


def in_files(kind: str) -> Settings:
    return lambda folder: nullcontext(TargetSettings("Test", kind, folder=folder))


@contextmanager
def in_teams(folder: Path) -> Iterator[TargetSettings]:
    """Contoso's Teams, for as long as it lasts; waiting for it takes no time."""
    with GraphStandIn() as graph, pytest.MonkeyPatch.context() as patch:
        graph.application.roles = teams_chat_stand_in.ROLES
        names = ("root", "off", "noa", "o'neil+chat", *(f"user{number}" for number in range(511, 600)))
        accounts = (teams_chat_stand_in.OWNER, teams_chat_stand_in.STAND_IN)
        for upn in (*accounts, *(f"{name}@contoso.com" for name in names)):
            graph.add_mailbox(upn)
        patch.setattr(teams_graph, "WAIT", graph.clock.advance)
        patch.setattr(teams_graph, "CLOCK", lambda: graph.clock.now().timestamp())
        sign_in._tokens.clear()
        yield teams_chat_stand_in.settings_at(graph)


WRITTEN: dict[str, Settings] = {
    **{kind: in_files(kind) for kind in ("archive", "mattermost")},
    "teams": in_teams,
    "matrix": in_matrix,
}
"""Every kind to which MMS writes."""


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


def open_written(kind: str, folder: Path) -> Target:
    return open_target(TargetSettings("Test", kind, folder=folder))
