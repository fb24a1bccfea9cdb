"""All of an archive checked before any of it is used: each checksum and each line (R101, R102).

What is held in memory grows with people, categories and rooms, never with messages or files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import IO, Any, NoReturn, TypeVar

from migrations_app.chat.archive import fields
from migrations_app.chat.archive.containers import BROKEN, Container
from migrations_app.chat.archive.file_index import FileIndex
from migrations_app.chat.archive.json_lines import BadLine, lines, object_of
from migrations_app.chat.archive.limits import (
    CATEGORIES,
    DEEPEST_CATEGORY,
    FILES,
    MOST_LINES,
    OF_LIST,
    ROOMS,
    USERS,
    octets_entry,
    room_of,
    sha256_of,
)
from migrations_app.chat.archive.problems import LISTED, Problem, Unusable
from migrations_app.chat.archive.records import Category, Entry, Level, Manifest, Message, Room
from tenants_app.sentences import sentence

_CHUNK = 256 * 1024
_Record = TypeVar("_Record")


def check_all(container: Container, manifest: Manifest, leave_out: frozenset[str] = frozenset()) -> set[str]:
    """Returns the entries, all of which are as the manifest has them. Raises ``Unusable`` with all that is wrong.

    Where checksums fail, only these are told: what stands in the lines is then no matter.
    """
    with closing(FileIndex()) as files:
        return _Check(container, manifest, leave_out, files).done()


def room_unless_left_out(leave_out: frozenset[str]) -> Callable[[dict[str, Any]], Room]:
    """How lines of rooms are read, where some are left out whatever is wrong with them."""
    if not leave_out:
        return fields.room_of

    def read(given: dict[str, Any]) -> Room:
        room = given.get("id")
        if isinstance(room, str) and room in leave_out:
            return Room(room, category="", name=room)
        return fields.room_of(given)

    return read


class _Hashed(io.RawIOBase):
    """A stream that is hashed as it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        self.digest.update(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Check:
    def __init__(self, container: Container, manifest: Manifest, leave_out: frozenset[str], files: FileIndex) -> None:
        self._container = container
        self._manifest = manifest
        self._leave_out = leave_out
        self._files = files
        self._entries = {entry.path: entry for entry in manifest.entries}
        self._broken: list[Problem] = []
        self._problems: list[Problem] = []
        self._count = 0
        self._principals: set[str] = set()
        self._categories: dict[str, str | None] = {}
        self._rooms: dict[str, Room] = {}

    def done(self) -> set[str]:
        self._people()
        self._folders()
        self._all_rooms()
        self._all_files()
        for entry in self._manifest.entries:
            if room := room_of(entry.path):
                self._messages(entry, room)
            elif sha256_of(entry.path):
                self._octets(entry)
        if self._broken:
            raise Unusable(self._broken)
        for name, number in self._numbers().items():
            listed = self._manifest.counts.get(name, number)
            if listed != number:
                self._wrong(
                    "manifest.json",
                    None,
                    sentence(
                        "It counts %(listed)s of “%(name)s”, and there are %(found)s.",
                        listed=listed,
                        name=name,
                        found=number,
                    ),
                )
        if self._count:
            raise Unusable(self._problems, count=self._count)
        return set(self._entries)

    def _numbers(self) -> dict[str, int]:
        """How many lines there are of each kind, those of rooms that are left out among them."""
        lines = {path: entry.lines for path, entry in self._entries.items()}
        of_lists = {name: lines.get(path, 0) for path, name in OF_LIST.items()}
        return of_lists | {"messages": sum(count for path, count in lines.items() if room_of(path))}

    def _wrong(self, entry: str, line: int | None, reason: str) -> None:
        self._count += 1
        if len(self._problems) < LISTED:
            self._problems.append(Problem(entry, line, reason))

    def _each(
        self, path: str, made: Callable[[dict[str, Any]], _Record], *, told: bool = True
    ) -> Iterator[tuple[int, int, _Record]]:
        """The records of an entry, each with the number of its line and where the line begins; bad lines are told."""
        entry = self._entries.get(path)
        if entry is None:
            return
        try:
            with self._container.open(path) as stream:
                hashed = _Hashed(stream)
                number = start = 0
                for number, end, octets in lines(io.BufferedReader(hashed, _CHUNK)):
                    if number > MOST_LINES.get(path, number):
                        self._stop_at_too_many(path)
                    try:
                        yield number, start, made(object_of(octets))
                    except BadLine as bad:
                        if told:
                            self._wrong(path, number, bad.reason)
                    start = end
        except BROKEN:
            self._broken.append(Problem(path, None, sentence("The entry is damaged.")))
            return
        self._compare(entry, hashed.digest.hexdigest(), number)

    def _stop_at_too_many(self, path: str) -> NoReturn:
        raise Unusable([Problem(path, None, sentence("It has more than %(most)s lines.", most=MOST_LINES[path]))])

    def _compare(self, entry: Entry, sha256: str, count: int) -> None:
        if sha256 != entry.sha256:
            self._broken.append(
                Problem(entry.path, None, sentence("Its checksum is not the one that the manifest has."))
            )
        elif count != entry.lines:
            self._broken.append(
                Problem(
                    entry.path,
                    None,
                    sentence(
                        "It has %(found)s lines, and %(listed)s by the manifest.", found=count, listed=entry.lines
                    ),
                )
            )

    def _octets(self, entry: Entry) -> None:
        digest = hashlib.sha256()
        try:
            with self._container.open(entry.path) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except BROKEN:
            self._broken.append(Problem(entry.path, None, sentence("The entry is damaged.")))
            return
        self._compare(entry, digest.hexdigest(), entry.lines)

    def _people(self) -> None:
        members: list[tuple[int, tuple[str, ...]]] = []
        for line, _, principal in self._each(USERS, fields.principal_of):
            if principal.id in self._principals:
                self._wrong(USERS, line, _twice(principal.id))
            self._principals.add(principal.id)
            if principal.members:
                members.append((line, principal.members))
        for line, ids in members:
            self._known(USERS, line, ids)

    def _known(self, entry: str, line: int, ids: tuple[str, ...]) -> None:
        for unknown in sorted(set(ids) - self._principals):
            self._wrong(entry, line, _nobody(unknown))

    def _folders(self) -> None:
        at: dict[str, int] = {}
        for line, _, category in self._each(CATEGORIES, fields.category_of):
            if category.id in self._categories:
                self._wrong(CATEGORIES, line, _twice(category.id))
                continue
            self._categories[category.id] = category.parent
            at[category.id] = line
            self._people_of(CATEGORIES, line, category)
            self._known(CATEGORIES, line, category.allowed + category.denied)
        for category_id, line in at.items():
            parent, seen = self._categories[category_id], {category_id}
            while (
                parent is not None
                and parent in self._categories
                and parent not in seen
                and len(seen) <= DEEPEST_CATEGORY
            ):
                seen.add(parent)
                parent = self._categories[parent]
            if len(seen) > DEEPEST_CATEGORY:
                self._wrong(
                    CATEGORIES,
                    line,
                    sentence("The category is nested more than %(n)s levels deep.", n=DEEPEST_CATEGORY),
                )
            elif parent in seen:
                self._wrong(CATEGORIES, line, sentence("The category is below itself."))
            elif parent is not None and self._categories[category_id] == parent:
                self._wrong(
                    CATEGORIES, line, sentence("There is no category with the id “%(id)s” for its parent.", id=parent)
                )

    def _people_of(self, entry: str, line: int, of: Category | Room) -> None:
        self._known(entry, line, tuple(grant.principal for grant in of.roles))

    def _all_rooms(self) -> None:
        seen: set[str] = set()
        for line, _, room in self._each(ROOMS, room_unless_left_out(self._leave_out)):
            if room.id.casefold() in seen:
                self._wrong(ROOMS, line, _twice(room.id))
                continue
            seen.add(room.id.casefold())
            self._rooms[room.id] = room
            if room.id in self._leave_out:
                continue
            self._people_of(ROOMS, line, room)
            if room.category not in self._categories and self._manifest.level is not Level.CONTENT:
                self._wrong(
                    ROOMS, line, sentence("There is no category with the id “%(id)s” for the room.", id=room.category)
                )
            entry = f"messages/{room.id}.jsonl"
            if room.messages and entry not in self._entries:
                self._wrong(
                    ROOMS,
                    line,
                    sentence("The room has %(n)s messages, and there is no %(entry)s.", n=room.messages, entry=entry),
                )

        for unknown in sorted(self._leave_out - self._rooms.keys()):
            self._wrong(ROOMS, None, sentence("There is no room with the id “%(id)s” to leave out.", id=unknown))

    def _all_files(self) -> None:
        for line, start, file in self._each(FILES, fields.file_of):
            if not self._files.add(file.id, file.room, start):
                self._wrong(FILES, line, _twice(file.id))
            if file.room in self._leave_out:
                continue
            if file.room not in self._rooms:
                self._wrong(FILES, line, sentence("There is no room with the id “%(id)s”.", id=file.room))
            if file.uploader:
                self._known(FILES, line, (file.uploader,))
            if file.is_missing:
                continue
            entry = self._entries.get(octets_entry(file.sha256))
            if entry is None:
                self._wrong(
                    FILES, line, sentence("There is no entry with its octets, and it is not said to be missing.")
                )
            elif entry.bytes != file.bytes:
                self._wrong(
                    FILES,
                    line,
                    sentence("It has %(found)s octets, and its entry %(entry)s.", found=file.bytes, entry=entry.bytes),
                )

    def _messages(self, entry: Entry, room_id: str) -> None:
        told = room_id not in self._leave_out
        room = self._rooms.get(room_id)
        if room is None:
            self._wrong(entry.path, None, sentence("There is no room with the id “%(id)s”.", id=room_id))
        last_n = count = 0
        first: datetime | None = None
        last: datetime | None = None
        for line, _, message in self._each(entry.path, fields.message_of, told=told):
            count += 1
            if told:
                if message.n <= last_n:
                    self._wrong(
                        entry.path,
                        line,
                        sentence(
                            "The number %(n)s does not follow the number %(before)s.",
                            n=str(message.n),
                            before=str(last_n),
                        ),
                    )
                if message.author not in self._principals:
                    self._wrong(entry.path, line, _nobody(message.author))
                if message.file:
                    self._file_of(entry.path, line, message, room_id)
            last_n, last, first = message.n, message.at, first or message.at
        if not told:
            return
        if room is not None and entry.lines != room.messages:
            self._wrong(
                entry.path,
                None,
                sentence(
                    "It has %(found)s messages, and %(listed)s by rooms.jsonl.",
                    found=entry.lines,
                    listed=room.messages,
                ),
            )
        elif room is not None and count == entry.lines and (room.first, room.last) != (first, last):
            self._wrong(
                entry.path,
                None,
                sentence("The times of its first and its last message are not those of rooms.jsonl."),
            )

    def _file_of(self, entry: str, line: int, message: Message, room: str) -> None:
        found = self._files.room_of(message.file)
        if found is None:
            self._wrong(entry, line, sentence("There is no file with the id “%(id)s”.", id=message.file))
        elif found != room:
            self._wrong(
                entry,
                line,
                sentence("The file “%(id)s” belongs to another room, %(room)s.", id=message.file, room=found),
            )


def _twice(what: str) -> str:
    return sentence("The id “%(id)s” stands there twice.", id=what)


def _nobody(principal: str) -> str:
    return sentence("There is nobody with the id “%(id)s” in users.jsonl.", id=principal)
