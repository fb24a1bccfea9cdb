"""Rooms, people and messages for what is converted and compared, and a target that holds messages in a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Message,
    Principal,
    PrincipalKind,
    PrincipalState,
    Room,
)
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import Limits, OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets.base import ReadMessage, ReadRoom

BEGIN = datetime(2014, 3, 2, 10, 0, tzinfo=UTC)


def person(id_: str, name: str = "", *, account: str | None = "", **values: object) -> Person:
    """Somebody with an account at the target, unless it is said that they have none."""
    name = name or id_.capitalize()
    principal = Principal(id_, name=name, **values)  # type: ignore[arg-type]
    marks = {PrincipalState.DISABLED: " (disabled)", PrincipalState.DELETED: " (deleted)"}
    return Person(principal, f"@{id_}" if account == "" else account, name + marks.get(principal.state, ""))


def group(id_: str, members: tuple[str, ...] | None, kind: PrincipalKind = PrincipalKind.GROUP) -> Person:
    principal = Principal(id_, kind=kind, name=id_, members=members)
    return Person(principal, None, id_)


PEOPLE = {one.principal.id: one for one in (person("ann"), person("bob"), person("cleo"))}


def outgoing(room: Room | None = None, **values: object) -> OutgoingRoom:
    room = room or Room("r1", "c1", "Canteen")
    return replace(OutgoingRoom(room, OutgoingCategory("c1", "House"), room.name), **values)  # type: ignore[arg-type]


def message(n: int, text: str = "", *, seconds: float | None = None, author: str = "ann", **values: object) -> Message:
    """Message n, so many seconds after the beginning; a second for each where nothing is said."""
    at = BEGIN + timedelta(seconds=n if seconds is None else seconds)
    return Message(n, at, author, text=text or f"message {n}", **values)  # type: ignore[arg-type]


def converted(*messages: Message, limits: Limits | None = None, **values: object) -> list[OutgoingMessage]:
    converter = Converter(outgoing(), PEOPLE, limits or Limits(), **values)  # type: ignore[arg-type]
    return [made for each in messages for made in converter.convert(each)]


@dataclass
class InMemory:
    """An archive as planning and comparing want it."""

    categories_: Sequence[Category] = ()
    rooms_: Sequence[Room] = ()
    messages_: dict[str, Sequence[Message]] = field(default_factory=dict)
    files_: Sequence[ChatFile] = ()
    principals_: Sequence[Principal] = ()

    def principals(self) -> Iterator[Principal]:
        return iter(self.principals_)

    def categories(self) -> Iterator[Category]:
        return iter(self.categories_)

    def rooms(self) -> Iterator[Room]:
        return iter(self.rooms_)

    def messages(self, room: str) -> Iterator[Message]:
        return iter(self.messages_.get(room, ()))

    def files(self) -> Iterator[ChatFile]:
        return iter(self.files_)


@dataclass
class Held:
    """A target that holds what it was given, and gives it back."""

    room: OutgoingRoom
    messages: list[ReadMessage] = field(default_factory=list)
    read: ReadRoom | None = None

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return f"@{principal.id}"

    def read_room(self, room: str) -> ReadRoom:
        return self.read or as_planned(self.room)

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        return iter(self.messages)


def as_planned(room: OutgoingRoom) -> ReadRoom:
    """A room at the target just as it was planned."""
    return ReadRoom(
        id="!1",
        name=room.name,
        category=room.category.name,
        description=room.description,
        joining=room.joining,
        is_auditorium=room.is_auditorium,
        is_read_only=room.is_read_only,
        allows_invitations=room.allows_invitations,
        members=room.members,
        managers=room.managers,
        presenters=room.presenters,
    )


def as_read(message: OutgoingMessage, *, with_key: bool = True) -> ReadMessage:
    """A message read back just as it was written."""
    file = message.file
    return ReadMessage(
        key=message.key if with_key else "",
        at=message.at,
        author=f"@{message.author.principal.id}",
        text=message.text,
        kind=message.kind,
        file_name=file.name if file else "",
        file_bytes=file.bytes if file else None,
        file_sha256=file.sha256 if file else "",
    )
