"""Reading an archive by stream, its checksums verified at every reading (R101, R102)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from migrations_app.chat.archive import fields
from migrations_app.chat.archive.checking import check_all, room_unless_left_out
from migrations_app.chat.archive.containers import BROKEN, Container, open_container
from migrations_app.chat.archive.file_index import FileIndex
from migrations_app.chat.archive.json_lines import BadLine, lines, object_of
from migrations_app.chat.archive.limits import (
    CATEGORIES,
    FILES,
    GUARDS,
    ROOMS,
    USERS,
    Guards,
    messages_entry,
    octets_entry,
)
from migrations_app.chat.archive.manifests import read_manifest
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import Category, ChatFile, Manifest, Message, Principal, Room
from tenants_app.sentences import sentence

_CHUNK = 256 * 1024
_Record = TypeVar("_Record")


class Archive:
    """An archive that is open. Its iterators may be taken any number of times.

    The checksum of an entry is verified before the first of its lines is given, once for each opening; where it fails,
    ``Unusable`` is raised.
    """

    def __init__(
        self, container: Container, manifest: Manifest, digest: str, name: str, leave_out: frozenset[str]
    ) -> None:
        self.manifest = manifest
        self.digest = digest
        """SHA-256 of ``manifest.json``, and so of all of the archive."""
        self.name = name
        self._container = container
        self._leave_out = leave_out
        self._entries = {entry.path: entry for entry in manifest.entries}
        self._verified: set[str] = set()
        self._index: FileIndex | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()
        if self._index is not None:
            self._index.close()
            self._index = None

    def principals(self) -> Iterator[Principal]:
        for principal, _ in self._records(USERS, fields.principal_of):
            yield principal

    def categories(self) -> Iterator[Category]:
        """Parents before their children; those of one parent in the order in which they stand there."""
        below: dict[str | None, list[Category]] = {}
        for category, _ in self._records(CATEGORIES, fields.category_of):
            below.setdefault(category.parent, []).append(category)
        waiting = list(reversed(below.get(None, [])))
        while waiting:
            category = waiting.pop()
            yield category
            waiting += reversed(below.get(category.id, []))

    def rooms(self) -> Iterator[Room]:
        """Those that are not left out."""
        for room, _ in self._records(ROOMS, room_unless_left_out(self._leave_out)):
            if room.id not in self._leave_out:
                yield room

    def messages(self, room: str) -> Iterator[Message]:
        """Those of a room, by their numbers."""
        for message, _ in self.messages_from(room, 0):
            yield message

    def messages_from(self, room: str, offset: int) -> Iterator[tuple[Message, int]]:
        """The messages of a room from the line on that begins at ``offset``, each with where the next one begins."""
        if room in self._leave_out:
            return iter(())
        return self._records(messages_entry(room), fields.message_of, offset)

    def files(self) -> Iterator[ChatFile]:
        for file, _ in self._records(FILES, fields.file_of):
            if file.room not in self._leave_out:
                yield file

    def files_of(self, room: str) -> Iterator[ChatFile]:
        """Those that were posted in this room."""
        for start in self._files().starts_of(room):
            yield self._file_at(start)

    def file(self, file: str) -> ChatFile | None:
        """The file with this id, as messages name it; None where there is none."""
        start = self._files().start_of(file)
        return None if start is None else self._file_at(start)

    def octets(self, file: ChatFile) -> IO[bytes]:
        """The octets of a file that is not missing."""
        entry = octets_entry(file.sha256)
        if file.is_missing or entry not in self._entries:
            raise FileNotFoundError(entry)
        self._verify(entry)
        return self._container.open(entry)

    def size_of(self, entry: str) -> int:
        """The octets of an entry, 0 where there is none of this name."""
        return self._entries[entry].bytes if entry in self._entries else 0

    def _records(
        self, entry: str, made: Callable[[dict[str, Any]], _Record], offset: int = 0
    ) -> Iterator[tuple[_Record, int]]:
        if entry not in self._entries:
            return
        self._verify(entry)
        with self._container.open(entry) as stream:
            if offset:
                stream.seek(offset)
            for line in lines(stream, offset=offset):
                try:
                    yield made(object_of(line.octets)), line.end
                except BadLine as bad:
                    number = line.number if not offset else None
                    raise Unusable([Problem(entry, number, bad.reason)]) from None

    def _verify(self, entry: str) -> None:
        if entry in self._verified:
            return
        digest = hashlib.sha256()
        try:
            with self._container.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except BROKEN:
            raise Unusable([Problem(entry, None, sentence("The entry is damaged."))]) from None
        if digest.hexdigest() != self._entries[entry].sha256:
            raise Unusable([Problem(entry, None, sentence("Its checksum is not the one that the manifest has."))])
        self._verified.add(entry)

    def _files(self) -> FileIndex:
        if self._index is None:
            index, start = FileIndex(), 0
            try:
                for file, end in self._records(FILES, fields.file_of):
                    if file.room not in self._leave_out:
                        index.add(file.id, file.room, start)
                    start = end
            except BaseException:
                index.close()
                raise
            self._index = index
        return self._index

    def _file_at(self, start: int) -> ChatFile:
        file, _ = next(self._records(FILES, fields.file_of, start))
        return file


def open_archive(
    path: Path, *, check: bool = True, leave_out: frozenset[str] = frozenset(), guards: Guards = GUARDS
) -> Archive:
    """Open the archive at this path, a ZIP file or a folder.

    ``check`` reads all of it first: each checksum, and each line with what it refers to; whatever is wrong is
    raised at once as ``Unusable``. Without it an entry is verified when it is read. Rooms in ``leave_out`` are passed
    over, with whatever is wrong with them.
    """
    container = open_container(path, guards)
    try:
        manifest, digest = read_manifest(container, path.name)
        archive = Archive(container, manifest, digest, path.name, leave_out)
        if check:
            archive._verified.update(check_all(container, manifest, leave_out))
        return archive
    except BaseException:
        container.close()
        raise
