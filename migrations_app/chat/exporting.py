"""From a source to an archive: levels, scope, start date, disabled rooms, posted files (R107 to R109, R119).

Plain Python. What is held in memory grows with people, categories and rooms, never with messages or files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import IO, Any

from migrations_app.chat.archive.file_index import FileIndex
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Level,
    Manifest,
    Message,
    Room,
)
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.chat.sources.base import Source
from migrations_app.chat.sources.file_store import OTHER_SIZE, WITHOUT_FILE, WITHOUT_LINK, FileStore
from tenants_app.sentences import sentence, sentence_plural

WITH_CONTENT = (Level.CONTENT, Level.ALL)
PATH = " / "
"""Between the names of nested categories where people name one."""
DISABLES = "disable_exported"
"""In a manifest: whoever exported it disables the rooms at the source (R109)."""
STORE = "file_store"
"""In a manifest: how many links and files of the file store did not fit (R119)."""


class ExportRefused(Exception):
    """What was asked for makes no sense; ``sentence`` says why. Nothing was written."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be exported."""

    level: Level = Level.ALL
    scope: Sequence[str] = ()
    """Names of categories, or their paths such as “A / B”; empty: all."""
    start_date: date | None = None
    include_disabled: bool = False
    disable_exported: bool = False


def export(source: Source, folder: Path, asked: Asked, *, store: FileStore | None = None) -> Manifest:
    """Write an archive into ``folder``, which is empty or does not exist. Raises ``ExportRefused`` before anything is
    written, and ``Unusable`` where something of the source fits into no archive; there is then no manifest."""
    why_not = why_refused(asked)
    if why_not:
        raise ExportRefused(why_not)
    categories = list(source.categories())
    chosen = _chosen(categories, asked.scope)
    with closing(FileIndex()) as shown, ArchiveWriter(folder) as writer:
        return _Export(source, asked, store, categories, chosen, shown, writer).written()


def why_refused(asked: Asked) -> str:
    """Why this cannot be exported, whatever the source; empty where it can (R108)."""
    if asked.start_date is not None and asked.level not in WITH_CONTENT:
        return sentence(
            "A start date chooses messages, and level %(level)s has none: leave the date out, or export level "
            "%(content)s or %(all)s.",
            level=asked.level.value,
            content=Level.CONTENT.value,
            all=Level.ALL.value,
        )
    if asked.scope and asked.level is Level.USER:
        return sentence(
            "A scope chooses categories, and level %(level)s has none: leave the scope out, or export another level.",
            level=asked.level.value,
        )
    return ""


class _Export:
    def __init__(
        self,
        source: Source,
        asked: Asked,
        store: FileStore | None,
        categories: Sequence[Category],
        chosen: Collection[str],
        shown: FileIndex,
        writer: ArchiveWriter,
    ) -> None:
        self._source = source
        self._asked = asked
        self._store = store
        self._categories = {category.id: category for category in categories}
        self._chosen = chosen
        self._shown = shown
        self._writer = writer
        self._named: set[str] = set()
        self._rooms: set[str] = set()
        self._disabled = 0
        self._from = None if asked.start_date is None else datetime.combine(asked.start_date, time.min, tzinfo=UTC)

    def written(self) -> Manifest:
        level = self._asked.level
        if level in (Level.CATEGORY, Level.ROOM_DIRECTORY, Level.ALL):
            self._write_categories()
        if level in (Level.ROOM_DIRECTORY, Level.CONTENT, Level.ALL):
            for room in self._source.rooms():
                self._write_room(room)
        if level in WITH_CONTENT:
            self._write_files()
        self._write_people()
        more: dict[str, Any] = {DISABLES: True} if self._asked.disable_exported else {}
        if self._store is not None:
            more[STORE] = self._store.counts()
        return self._writer.finish(
            source=f"{self._source.kind}: {self._source.name}",
            level=level,
            scope=self._asked.scope,
            start_date=self._asked.start_date,
            ignored=self._source.ignored if level in WITH_CONTENT else None,
            notes=list(self._notes()),
            more=more,
        )

    def _write_categories(self) -> None:
        """Those that were chosen, and their parents, which name the place where they are."""
        needed = {place for chosen in self._chosen for place in self._path(chosen)}
        for category in self._categories.values():
            if category.id in needed:
                self._name(category.roles)
                self._named.update(category.allowed, category.denied)
                self._writer.category(category)

    def _write_room(self, room: Room) -> None:
        if room.category not in self._chosen:
            return
        if self._is_disabled(room) and not self._asked.include_disabled:
            self._disabled += 1
            return
        self._rooms.add(room.id)
        if self._asked.level is Level.ROOM_DIRECTORY:
            self._name(room.roles)
            self._writer.room(replace(room, messages=0, first=None, last=None))
            return
        left_out = _Count()
        written = self._writer.messages(room.id, self._messages(room.id, left_out))
        left_out.count += room.left_out
        if self._asked.level is Level.CONTENT:
            # Of a room that whoever reads it knows already: by which it is known, and what is counted.
            room = Room(room.id, room.category, room.name, guid=room.guid)
        self._name(room.roles)
        self._writer.room(
            replace(room, left_out=left_out.count, messages=written.messages, first=written.first, last=written.last)
        )

    def _is_disabled(self, room: Room) -> bool:
        places = (self._categories[place] for place in self._path(room.category))
        return room.is_disabled or any(place.is_disabled for place in places)

    def _path(self, category: str) -> Iterator[str]:
        """The category, and what is around it."""
        place: str | None = category
        while place is not None and place in self._categories:
            yield place
            place = self._categories[place].parent

    def _messages(self, room: str, left_out: _Count) -> Iterator[Message]:
        for message in self._source.messages(room):
            if self._from is not None and message.at < self._from:
                left_out.count += 1
                continue
            self._named.add(message.author)
            for file in _files_of(message):
                self._shown.add(file, room, 0)
            yield message

    def _write_files(self) -> None:
        for file in self._source.files():
            is_shown = self._shown.room_of(file.id) is not None
            if file.room not in self._rooms or (self._from is not None and not is_shown):
                continue
            if file.uploader:
                self._named.add(file.uploader)
            self._writer.file(self._stored(file))

    def _stored(self, file: ChatFile) -> ChatFile:
        octets = self._octets(file)
        if octets is None:
            return replace(file, is_missing=True, sha256="")
        with octets:
            sha256, count = self._writer.octets(octets)
        return replace(file, is_missing=False, sha256=sha256, bytes=count)

    def _octets(self, file: ChatFile) -> IO[bytes] | None:
        octets = self._source.octets(file)
        if octets is None and self._store is not None:
            return self._store.octets(file)
        return octets

    def _write_people(self) -> None:
        """All there are; of a scope, and of content alone, those who are named, and the members of named groups."""
        is_whole = not self._asked.scope and self._asked.level is not Level.CONTENT
        people = None if is_whole else self._with_members()
        for principal in self._source.principals():
            if people is None or principal.id in people:
                self._writer.principal(principal)

    def _with_members(self) -> set[str]:
        groups = {each.id: each.members for each in self._source.principals() if each.members}
        people, waiting = set(self._named), list(self._named)
        while waiting:
            for member in groups.get(waiting.pop(), ()):
                if member not in people:
                    people.add(member)
                    waiting.append(member)
        return people

    def _name(self, grants: Iterable[Grant]) -> None:
        self._named.update(grant.principal for grant in grants)

    def _notes(self) -> Iterator[str]:
        yield from self._source.notes
        if self._disabled:
            yield sentence_plural(
                "%(n)s room that is disabled at the source was left out.",
                "%(n)s rooms that are disabled at the source were left out.",
                self._disabled,
            )
        if self._asked.disable_exported:
            yield sentence("The exported rooms are to be disabled at the source: whoever exported them has the lines.")
        yield from self._notes_of_store()

    def _notes_of_store(self) -> Iterator[str]:
        counts = {} if self._store is None else self._store.counts()
        if counts.get(WITHOUT_FILE):
            yield sentence_plural(
                "The copy of the file store has no file for %(n)s link.",
                "The copy of the file store has no file for %(n)s links.",
                counts[WITHOUT_FILE],
            )
        if counts.get(OTHER_SIZE):
            yield sentence_plural(
                "%(n)s file in the copy of the file store has another size than the source says, and was not taken.",
                "%(n)s files in the copy of the file store have another size than the source says, and were not taken.",
                counts[OTHER_SIZE],
            )
        if counts.get(WITHOUT_LINK):
            yield sentence_plural(
                "The copy of the file store has %(n)s file that no exported message links to.",
                "The copy of the file store has %(n)s files that no exported message links to.",
                counts[WITHOUT_LINK],
            )


@dataclass(slots=True)
class _Count:
    count: int = 0


def _files_of(message: Message) -> Iterator[str]:
    if message.file:
        yield message.file
    further = message.more.get("files")
    if isinstance(further, list):
        yield from (file for file in further if isinstance(file, str))


def _chosen(categories: Sequence[Category], scope: Sequence[str]) -> set[str]:
    """The categories whose rooms are exported: those of the scope, with what is nested in them."""
    if not scope:
        return {category.id for category in categories}
    paths: dict[str, str] = {}
    for category in categories:
        above = paths.get(category.parent or "", "")
        paths[category.id] = f"{above}{PATH}{category.name}" if above else category.name
    chosen = set()
    for name in scope:
        wanted = _folded(name)
        named = [
            category.id
            for category in categories
            if wanted in (_folded(category.name), _folded(paths[category.id]), _folded(category.guid))
        ]
        if not named:
            raise ExportRefused(_no_such(name, paths))
        if len(named) > 1:
            raise ExportRefused(
                sentence(
                    "Several categories are called “%(name)s”: say which by all of its path, such as %(paths)s.",
                    name=name,
                    paths="; ".join(f"“{paths[each]}”" for each in named[:3]),
                )
            )
        chosen.add(named[0])
    for category in categories:  # parents come before their children
        if category.parent in chosen:
            chosen.add(category.id)
    return chosen


def _no_such(name: str, paths: dict[str, str]) -> str:
    return sentence(
        "The source has no category “%(name)s”. It has: %(names)s.",
        name=name,
        names="; ".join(sorted(paths.values())[:10]),
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()
