"""An archive of MMS as a source (R103)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Category, ChatFile, Message, Principal, Room

IGNORED = "ignored:"
"""Before the names of what an earlier export counted and did not take, among the counts of a manifest."""


class ArchiveSource:
    """A ZIP file or a folder in the format of R100, all of which was checked when this is made.

    It needs no ``scratch``; rooms in ``leave_out``, by their ids, are passed over with what is wrong with them (R101).
    """

    kind = "mms-chat"

    def __init__(
        self, path: Path, *, name: str = "", scratch: Path | None = None, leave_out: Collection[str] = ()
    ) -> None:
        del scratch
        self.name = name or path.name
        self._archive = open_archive(path, leave_out=frozenset(leave_out))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def principals(self) -> Iterator[Principal]:
        return self._archive.principals()

    def categories(self) -> Iterator[Category]:
        return self._archive.categories()

    def rooms(self) -> Iterator[Room]:
        return self._archive.rooms()

    def messages(self, room: str) -> Iterator[Message]:
        return self._archive.messages(room)

    def files(self) -> Iterator[ChatFile]:
        return self._archive.files()

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        return None if file.is_missing else self._archive.octets(file)

    @property
    def notes(self) -> Sequence[str]:
        return self._archive.manifest.notes

    @property
    def ignored(self) -> Mapping[str, int]:
        return {
            name.removeprefix(IGNORED): count
            for name, count in self._archive.manifest.counts.items()
            if name.startswith(IGNORED)
        }
