"""Writing an archive by stream into a folder: the manifest comes last, so that half an archive is none (R100)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Self

from migrations_app.chat.archive import fields
from migrations_app.chat.archive.json_lines import BadLine, line_of
from migrations_app.chat.archive.limits import (
    CATEGORIES,
    FILES,
    GUARDS,
    LISTS,
    MANIFEST,
    OF_LIST,
    ROOMS,
    USERS,
    is_room_id,
    messages_entry,
    octets_entry,
)
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Entry,
    Level,
    Manifest,
    Message,
    Principal,
    Room,
)
from tenants_app.sentences import sentence

_CHUNK = 256 * 1024
_KEPT_ONE_BY_ONE = 1_000
"""So many posted files are written to the disk one by one; more of them, all at once before the manifest."""


@dataclass(frozen=True, slots=True)
class Written:
    """What :meth:`ArchiveWriter.messages` wrote: the facts that the line of the room repeats."""

    messages: int = 0
    first: datetime | None = None
    last: datetime | None = None


class ArchiveWriter:
    """Writes an archive into a folder, which is made, for its owner only, and must be empty.

    As a context manager: where it is left by an exception, or without :meth:`finish`, there is no manifest, and so no
    archive. What no archive can have, such as a line of more than 1 MiB, raises ``Unusable``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty")
        self._entries: dict[str, Entry] = {}
        self._counts = {"users": 0, "categories": 0, "rooms": 0, "messages": 0, "files": 0, "left_out": 0}
        self._octets_stored = 0
        self._open = ExitStack()
        self._lists: dict[str, _Lines] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def principal(self, principal: Principal) -> None:
        self._line(USERS, fields.fields_of_principal(principal))

    def category(self, category: Category) -> None:
        self._line(CATEGORIES, fields.fields_of_category(category))

    def room(self, room: Room) -> None:
        """Its ``messages``, ``first`` and ``last`` must be what :meth:`messages` returned, if it was called."""
        if not is_room_id(room.id):
            raise Unusable([Problem(ROOMS, None, sentence("“%(id)s” is not the id of a room.", id=room.id))])
        self._counts["left_out"] += room.left_out
        self._line(ROOMS, fields.fields_of_room(room))

    def messages(self, room: str, messages: Iterable[Message]) -> Written:
        """The messages of a room, by their numbers; once for each room."""
        if not is_room_id(room):
            raise Unusable([Problem(ROOMS, None, sentence("“%(id)s” is not the id of a room.", id=room))])
        path = messages_entry(room)
        first: datetime | None = None
        last: datetime | None = None
        lines: _Lines | None = None
        with ExitStack() as stack:
            for message in messages:
                if lines is None:
                    lines = stack.enter_context(_Lines(self.folder, path))
                    first = message.at
                lines.write(fields.fields_of_message(message))
                last = message.at
        if lines is None:
            return Written()
        self._entries[path] = lines.entry
        self._counts["messages"] += lines.count
        return Written(lines.count, _in_milliseconds(first), _in_milliseconds(last))

    def file(self, file: ChatFile) -> None:
        """Its octets were given to :meth:`octets`, or it is missing."""
        self._line(FILES, fields.fields_of_file(file))

    def octets(self, stream: IO[bytes]) -> tuple[str, int]:
        """Store the octets of a posted file. Returns their SHA-256 and how many there are."""
        (self.folder / "files").mkdir(mode=0o700, exist_ok=True)
        temporary = self.folder / "files" / "unfinished"
        digest, count = hashlib.sha256(), 0
        with _open_new(temporary) as file:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                count += len(chunk)
                file.write(chunk)
            self._octets_stored += 1
            if self._octets_stored <= _KEPT_ONE_BY_ONE:
                _keep(file)
        sha256 = digest.hexdigest()
        path = octets_entry(sha256)
        temporary.replace(self.folder / path)
        self._entries[path] = Entry(path, count, 0, sha256)
        return sha256, count

    def finish(
        self,
        *,
        source: str,
        level: Level = Level.ALL,
        scope: Sequence[str] = (),
        start_date: date | None = None,
        created: datetime | None = None,
        ignored: Mapping[str, int] | None = None,
        notes: Sequence[str] = (),
        more: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write the manifest: from now on this is an archive."""
        for path in LISTS:
            self._list(path)
        self._open.close()
        if self._octets_stored > _KEPT_ONE_BY_ONE:
            os.sync()
        self._entries |= {path: lines.entry for path, lines in self._lists.items()}
        manifest = Manifest(
            created=created or datetime.now(UTC),
            source=source,
            level=level,
            scope=tuple(scope),
            start_date=start_date,
            counts=self._counts | {f"ignored:{name}": number for name, number in (ignored or {}).items()},
            entries=tuple(self._entries[path] for path in _in_order(self._entries)),
            notes=tuple(notes),
            more=more or {},
        )
        write_manifest(self.folder, manifest)
        return manifest

    def _list(self, path: str) -> _Lines:
        if path not in self._lists:
            self._lists[path] = self._open.enter_context(_Lines(self.folder, path))
        return self._lists[path]

    def _line(self, path: str, record: dict[str, Any]) -> None:
        self._list(path).write(record)
        self._counts[OF_LIST[path]] += 1


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` so that there is either the whole of it, or none."""
    octets = _manifest_octets(manifest)
    temporary = folder / "unfinished"
    with _open_new(temporary) as file:
        file.write(octets)
        _keep(file)
    temporary.replace(folder / MANIFEST)
    _keep_names(folder)


def _manifest_octets(manifest: Manifest) -> bytes:
    octets = json.dumps(fields.fields_of_manifest(manifest), ensure_ascii=False, indent=1, allow_nan=False).encode()
    if len(octets) > GUARDS.manifest_bytes:
        raise Unusable(
            [
                Problem(
                    MANIFEST,
                    None,
                    sentence(
                        "There are too many rooms and files for one archive. Export some categories at a time "
                        "(--scope)."
                    ),
                )
            ]
        )
    return octets + b"\n"


class _Lines:
    """An entry of lines that is being written."""

    def __init__(self, folder: Path, path: str) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._bytes = 0
        self.count = 0
        whole = folder / path
        whole.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = _open_new(whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._file.closed:
            _keep(self._file)
            self._file.close()

    def write(self, record: dict[str, Any]) -> None:
        self.count += 1
        try:
            octets = line_of(record)
        except BadLine as bad:
            raise Unusable([Problem(self._path, self.count, bad.reason)]) from None
        self._digest.update(octets)
        self._bytes += len(octets)
        self._file.write(octets)

    @property
    def entry(self) -> Entry:
        return Entry(self._path, self._bytes, self.count, self._digest.hexdigest())


def _open_new(path: Path) -> IO[bytes]:
    """A file for its owner only, which was not there before."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=_CHUNK)


def _keep(file: IO[bytes]) -> None:
    """What the manifest promises lies on the disk before the manifest does."""
    file.flush()
    os.fsync(file.fileno())


def _keep_names(folder: Path) -> None:
    for each in (folder / "messages", folder / "files", folder):
        if each.is_dir():
            handle = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _in_order(paths: Iterable[str]) -> list[str]:
    """The lists first, in the order of R100, then messages, then files."""
    lists = {path: position for position, path in enumerate(LISTS)}
    return sorted(paths, key=lambda path: (lists.get(path, len(lists)), not path.startswith("messages/"), path))


def _in_milliseconds(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(microsecond=at.microsecond // 1000 * 1000)
