"""A target of chat in memory, which tests look into, and which fails wherever a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, ClassVar, Self

from migrations_app.chat.archive.records import Principal, PrincipalState
from migrations_app.chat.conversion.findings import Finding
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, Limits, OutgoingCategory, OutgoingMessage, OutgoingRoom
from migrations_app.chat.targets.base import Octets, Option, ReadMessage, ReadRoom, TargetSettings


@dataclass
class FakeRoom:
    """A room as the target has it."""

    id: str
    key: str
    name: str
    category: str
    is_open: bool = False
    messages: list[OutgoingMessage] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    finished_as: OutgoingRoom | None = None

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.messages]


@dataclass
class FakeServer:
    """What is at the target, over all processes that open it."""

    rooms: dict[str, FakeRoom] = field(default_factory=dict)
    categories: dict[str, str] = field(default_factory=dict)
    """The names of categories, by their ids there."""
    our_categories: dict[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    retention_days: int | None = None
    retention_is_known: bool = True
    calls: list[tuple[str, str]] = field(default_factory=list)
    """What was asked, in order: the step, and the room or category that it was about."""
    at: Callable[[str, str], None] = lambda step, about: None
    """Called before each step as ``begin_room`` and, once it is done, as ``begin_room done``; raises what it likes."""
    repeats: bool = False
    """Whether a message of a key that is there is written once more, as targets do that cannot tell by themselves."""
    settings: TargetSettings | None = None
    finished: int = 0
    options: Sequence[Option] = (
        Option("space", "Space", "Where rooms are."),
        Option("token", "Token", "Of the service.", is_secret=True),
    )

    def step(self, step: str, about: str, do: Callable[[], Any]) -> Any:
        self.at(step, about)
        self.calls.append((step, about))
        found = do()
        self.at(f"{step} done", about)
        return found

    def asked(self, step: str) -> list[str]:
        """What it was asked about, of one step, in order."""
        return [about for name, about in self.calls if name == step]

    def there(self, name: str) -> FakeRoom:
        """The room of that name."""
        return next(room for room in self.rooms.values() if room.name == name)

    def add(self, name: str) -> FakeRoom:
        """A room that nobody has imported."""
        room = FakeRoom(f"theirs-{len(self.rooms)}", "", name, "Theirs", is_open=True)
        self.rooms[room.id] = room
        return room


class FakeTarget:
    """The target, opened."""

    KIND: ClassVar[str] = "archive"
    OPTIONS: ClassVar[Sequence[Option]] = ()
    WRITES: ClassVar[bool] = True
    server: ClassVar[FakeServer]

    def __init__(self, settings: TargetSettings) -> None:
        self.server.settings = settings
        self.limits = self.server.limits

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def look(self) -> Found:
        return self.server.step("look", "", self._found)

    def _found(self) -> Found:
        server = self.server
        theirs = {folded(room.name): room.id for room in server.rooms.values() if not room.key}
        return Found(
            rooms={folded(room.name): room.id for room in server.rooms.values()},
            categories={folded(name): id_ for id_, name in server.categories.items()},
            ours={room.key: room.id for room in server.rooms.values() if room.key},
            our_categories=dict(server.our_categories),
            retention_days=server.retention_days,
            retention_is_known=server.retention_is_known,
            digest=repr(sorted(theirs)),
        )

    def findings(self) -> Sequence[Finding]:
        return ()

    def account_of(self, principal: Principal) -> str | None:
        return principal.sip if principal.state is PrincipalState.ACTIVE and principal.sip else None

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return self.account_of(principal) or principal.name

    def begin_category(self, category: OutgoingCategory) -> str:
        def make() -> str:
            there = {name: id_ for id_, name in self.server.categories.items()}
            id_ = category.merges_into or there.get(category.name) or f"category-{len(there)}"
            self.server.categories[id_] = category.name
            self.server.our_categories[category.guid or category.id] = id_
            return id_

        return self.server.step("begin_category", category.name, make)

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        key = room.room.guid or room.room.id

        def make() -> str:
            rooms = self.server.rooms
            if room.merges_into:
                return room.merges_into
            ours = next((each for each in rooms.values() if each.key == key), None)
            if ours is None:
                ours = FakeRoom(f"room-{len(rooms)}", key, room.name, category)
                rooms[ours.id] = ours
            return ours.id

        return self.server.step("begin_room", room.name, make)

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        there = self.server.rooms[room]
        self.server.at("write", there.name)
        self.server.calls.append(("write", there.name))
        for message in messages:
            self.server.at("write one", message.key)
            if self.server.repeats or message.key not in there.keys:
                there.messages.append(message)
                if message.file is not None:
                    with octets(message.file) as stream:
                        there.files[message.key] = stream.read()
        self.server.at("write done", there.name)

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        there = self.server.rooms[room]
        keys = set(there.keys)
        return self.server.step("written", there.name, lambda: {each.key for each in messages if each.key in keys})

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        def finish() -> None:
            self.server.rooms[room].finished_as = as_planned
            self.server.rooms[room].is_open = True

        self.server.step("finish_room", self.server.rooms[room].name, finish)

    def finish(self) -> None:
        def finish() -> None:
            self.server.finished += 1

        self.server.step("finish", "", finish)

    def read_room(self, room: str) -> ReadRoom:
        there = self.server.rooms[room]
        read = ReadRoom(there.id, there.name, self.server.categories.get(there.category, there.category))
        return self.server.step("read_room", room, lambda: read)

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        there = self.server.rooms[room]
        self.server.step("read_messages", room, lambda: None)
        for message in there.messages:
            octets = there.files.get(message.key)
            yield ReadMessage(
                message.key,
                message.at,
                message.author.account or message.author.shown,
                message.text,
                message.kind,
                message.file.name if message.file and octets is not None else "",
                None if octets is None else len(octets),
                "" if octets is None else sha256(octets).hexdigest(),
            )


def fake_class(server: FakeServer) -> type[FakeTarget]:
    """The class of targets that all open this server."""
    return type("FakeTarget", (FakeTarget,), {"server": server, "OPTIONS": server.options})


def limits(server: FakeServer, **values: Any) -> None:
    """Let the target say these limits."""
    server.limits = replace(server.limits, **values)
