"""What every source of chat answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Protocol, Self

from migrations_app.chat.archive.records import Category, ChatFile, Message, Principal, Room


class Source(Protocol):
    """A system's chat, opened for reading; nothing is ever written to it.

    Opening checks all of it, every line, and raises ``archive.problems.Unusable`` with all problems at once, so that
    whoever reads afterwards meets none. Everything is read by stream: what is held in memory grows with principals,
    categories and rooms, never with messages or files. Each of the iterators can be taken any number of times.
    """

    kind: str
    """``mms-chat``, ``mgc-tables`` or ``compliance-xml``."""
    name: str
    """What it is called by whoever gave it, such as the name of its folder."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None:
        """Close what is open, and remove what was made beside it to sort by."""

    def principals(self) -> Iterator[Principal]: ...

    def categories(self) -> Iterator[Category]:
        """Parents before their children."""
        ...

    def rooms(self) -> Iterator[Room]:
        """With the number, the first and the last of the messages that :meth:`messages` gives."""
        ...

    def messages(self, room: str) -> Iterator[Message]:
        """Those of the room with that id, by number."""
        ...

    def files(self) -> Iterator[ChatFile]:
        """The files that messages show. ``is_missing`` where the source itself does not hold the octets."""
        ...

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        """The file itself; None where the source does not hold it (R119: a folder of the file store may)."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the report: what this source does not know, or what was made up (R105)."""
        ...

    @property
    def ignored(self) -> Mapping[str, int]:
        """What was counted and not taken, by its name at the source, such as ``JOIN`` (R105)."""
        ...
