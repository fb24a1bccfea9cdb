"""What every target of chat does: look, begin a room, write, finish it, read it back (R121).

A target holds no state of its own between two calls that would be lost with the process: whoever is killed begins
again with :meth:`Target.begin_room`, which finds what is there by our own keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, ClassVar, Protocol, Self, runtime_checkable

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal
from migrations_app.chat.conversion.findings import Finding
from migrations_app.chat.conversion.outgoing import (
    Found,
    Joining,
    Limits,
    OutgoingCategory,
    OutgoingMessage,
    OutgoingRoom,
)

Octets = Callable[[ChatFile], IO[bytes]]
"""Opens a file of the archive."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """What an administrator said of a target, and where it may keep what it makes."""

    name: str
    kind: str
    address: str = ""
    """The URL of its server, where it has one."""
    account: str = ""
    secret: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    """What only this kind has, by the names of ``OPTIONS`` of its module."""
    folder: Path = Path()
    """Its own, for what is made of files; there is nothing else in it."""
    allowed_hosts: Sequence[str] = ()
    """Private hosts to which it may connect (``MMS_ALLOWED_MAIL_HOSTS``)."""
    microsoft_endpoints: Sequence[str] = ()
    """Where the operator has Microsoft's sign-in and Graph (``MMS_MICROSOFT_ENDPOINTS``); empty: where they are."""
    language: str = "en"
    """For what is written for people to read."""
    seen: Path | None = None
    """Of a kind that MMS does not write to (``pchat``): the folder of the archive that was made of its tables, which is
    the stored archive that the option ``archive`` names."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting that only one kind of target has."""

    name: str
    label: str
    help: str
    is_required: bool = False
    is_secret: bool = False


class TargetProblem(Exception):
    """The target refused something, or cannot do it. ``sentence`` says what and what to do."""

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        is_of_room: bool = True,
        retry_after: float | None = None,
        waits: bool = False,
    ) -> None:
        self.code = code
        """One of the ``chat-…`` codes of ``failures.py``."""
        self.sentence = sentence
        self.is_of_room = is_of_room
        """Whether other rooms may go on."""
        self.retry_after = retry_after
        """Seconds that the target asks to wait; None where it does not say."""
        self.waits = waits
        """Whether trying again later may help."""
        super().__init__(sentence)


class Unanswered(Exception):
    """A write was sent and nobody knows whether it was done: :meth:`Target.written` tells (R111)."""


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """A message as the target has it."""

    key: str
    """Ours, empty where the target keeps none or somebody else wrote it."""
    at: datetime | None
    author: str
    """The account, or the name that is shown where it has none."""
    text: str
    kind: MessageKind = MessageKind.MESSAGE
    file_name: str = ""
    file_bytes: int | None = None
    file_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ReadRoom:
    """The settings and people of a room as the target has them; None where the target does not tell."""

    id: str
    name: str
    category: str
    description: str | None = None
    joining: Joining | None = None
    is_auditorium: bool | None = None
    is_read_only: bool | None = None
    allows_invitations: bool | None = None
    members: frozenset[str] | None = None
    managers: frozenset[str] | None = None
    presenters: frozenset[str] | None = None


class Target(Protocol):
    """A target that is open. Each method may raise ``TargetProblem``; those that write may raise ``Unanswered``."""

    KIND: ClassVar[str]
    OPTIONS: ClassVar[Sequence[Option]]
    WRITES: ClassVar[bool]
    """False where its own tools copy and MMS plans, guides and verifies (``pchat``)."""
    limits: Limits

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def look(self) -> Found:
        """What is there now; changes nothing."""
        ...

    def findings(self) -> Sequence[Finding]:
        """What whoever plans should know of this target as a whole: fees, old clients, what cannot be asked."""
        ...

    def account_of(self, principal: Principal) -> str | None:
        """What the target calls this person, or would call them; None where they have no account there. Asks the
        target at most once for many (it may look all of them up at the first)."""
        ...

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        """Under what a message of theirs in this room is read back: their account, one that was made for authors, or
        the name that is shown. Who does not belong to the room any more need not come in again for their old messages:
        they could read all of it (R122)."""
        ...

    def begin_category(self, category: OutgoingCategory) -> str:
        """Make the category, or find the one that was made for it. Returns the target's own id of it."""
        ...

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        """Make the room, closed to writers where the target can, or find the one that was made for it. Returns the
        target's own id of it. May be called again at any time."""
        ...

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        """Write these messages, in their order; those with a file, with its octets. One that is there already (by its
        key, as far as the target can tell without asking) is not written twice."""
        ...

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        """The keys of those among these messages that are in the room, read from the target."""
        ...

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        """Give members, managers and presenters their rights, then open the room, or leave it read-only (R112)."""
        ...

    def finish(self) -> None:
        """After the last room of an import: what is made of all rooms together. May be called again."""
        ...

    def read_room(self, room: str) -> ReadRoom:
        """Its settings and people."""
        ...

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        """All messages of the room, oldest first, by stream; files with checksums of their octets as they are there."""
        ...


@runtime_checkable
class MakesFiles(Protocol):
    """A target that makes files for people to take away (``archive``, ``mattermost``)."""

    def products(self) -> Sequence[Path]:
        """The files that are ready, each whole: made by ``finish``, replaced at once when it is called again."""
        ...


@runtime_checkable
class KeepsArchives(Protocol):
    """A target beside which the MMS archive itself is kept (``archive``)."""

    def keep_archive(self, name: str, pack: Callable[[Path], object]) -> None:
        """Keep an archive as ``<name>.zip``, written by ``pack`` to the path that it is given. Called before
        ``finish``; one of that name is replaced."""
        ...
