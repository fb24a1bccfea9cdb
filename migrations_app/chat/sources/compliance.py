"""``compliance-xml``: what the compliance service of Persistent Chat has written, one file or many (R105)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Message,
    MessageKind,
    Principal,
    Privacy,
    RoleName,
    Room,
)
from migrations_app.chat.sources import markup, ticks
from migrations_app.chat.sources.compliance_events import Events
from migrations_app.chat.sources.compliance_rooms import FILE_NAME, RoomSettings, ids_of, read_settings
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.scratch import Scratch
from migrations_app.chat.sources.table_nodes import with_counts
from tenants_app.sentences import sentence, sentence_plural


class ComplianceSource:
    """One file, or a folder of such files with or without ``rooms.csv``. Raises ``Unusable`` with every problem.

    ``leave_out`` names rooms, by id, name or address, that are left out with whatever is wrong about them (R101).
    ``scratch`` is a folder with room for the messages, which are sorted there.
    """

    kind = "compliance-xml"

    def __init__(
        self, path: Path, *, name: str = "", scratch: Path | None = None, leave_out: Collection[str] = ()
    ) -> None:
        self.name = name or path.name
        self._scratch = Scratch(scratch)
        try:
            self._open(path, frozenset(leave_out))
        except BaseException:
            self._scratch.remove()
            raise

    def _open(self, path: Path, leave_out: frozenset[str]) -> None:
        reported = Reported()
        files, settings_file = _files_of(path)
        self._settings: dict[str, RoomSettings] = {}
        if settings_file is not None:
            self._settings = read_settings(settings_file, self._scratch.folder, reported)
        left_out = leave_out | {
            uri for uri, each in self._settings.items() if leave_out & {each.name, ids_of([uri])[uri]}
        }
        self._events = Events(self._scratch, left_out, reported)
        for file in files:
            self._events.read(file)
        self._events.sort()
        reported.stop_if_any()
        uris = {*self._events.rooms, *(uri for uri in self._settings if uri not in left_out)}
        self._ids = ids_of(uris)
        self._uris = {id_: uri for uri, id_ in self._ids.items()}
        self._categories = self._named_categories()
        for each in self._settings.values():
            self._events.senders.find([*each.managers, *each.members])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._scratch.remove()

    def principals(self) -> Iterator[Principal]:
        return self._events.senders.principals()

    def categories(self) -> Iterator[Category]:
        for name, id_ in self._categories.items():
            yield Category(id_, name)

    def rooms(self) -> Iterator[Room]:
        for uri, id_ in self._ids.items():
            settings = self._settings.get(uri)
            heard = self._events.rooms.get(uri)
            name = (settings.name if settings else "") or (heard.name if heard else "") or uri
            room = Room(
                id=id_,
                category=self._categories[self._category_of(uri)],
                name=name,
                privacy=settings.privacy if settings else Privacy.PRIVATE,
                roles=tuple(self._roles(uri, settings)),
                more={"uri": uri},
            )
            yield with_counts(room, heard.sum.count, heard.sum.first[1], heard.sum.last[1]) if heard else room

    def messages(self, room: str) -> Iterator[Message]:
        heard = self._events.rooms.get(self._uris[room])
        if heard is None:
            return
        for n, id_, at, sender, content, is_upload in self._events.of_room(heard.number):
            time = ticks.time_of(at)
            if time is None:  # as was checked
                continue
            if is_upload:
                file = self._events.files.id_of(markup.store_name(content), heard.number)
                yield Message(n, time, sender, MessageKind.FILE, file=file, ticks=at)
                continue
            files = [self._events.files.id_of(each, heard.number) for each, _ in markup.files_in(content)]
            more: dict[str, object] = {"source_id": id_}
            if len(files) > 1:
                more["files"] = files
            yield Message(
                n, time, sender, markup.kind_of(content), content, file=files[0] if files else "", ticks=at, more=more
            )

    def files(self) -> Iterator[ChatFile]:
        numbers = {heard.number: self._ids[uri] for uri, heard in self._events.rooms.items()}
        return self._events.files.records(numbers)

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        """Never: they lie in the file store (R119)."""
        return None

    @property
    def notes(self) -> Sequence[str]:
        made_up = sum(1 for uri in self._ids if not self._says_who(self._settings.get(uri)))
        private = sum(1 for uri in self._ids if uri not in self._settings)
        notes: list[str] = [
            sentence("Compliance files hold only what happened since compliance was switched on."),
            sentence("Compliance files do not say which messages were alerts: all are ordinary ones."),
        ]
        if private:
            notes.append(
                sentence_plural(
                    "Nothing says what the settings of %(n)s room are: it is private.",
                    "Nothing says what the settings of %(n)s rooms are: they are private.",
                    private,
                )
            )
        if made_up:
            notes.append(
                sentence_plural(
                    "Nothing says who belongs to %(n)s room: its members are those who wrote in it.",
                    "Nothing says who belongs to %(n)s rooms: their members are those who wrote in them.",
                    made_up,
                )
            )
        for kind, count in self._events.unknown.items():
            notes.append(
                sentence_plural(
                    "%(n)s entry is of the type %(kind)s, which MMS does not know: it was counted, not taken.",
                    "%(n)s entries are of the type %(kind)s, which MMS does not know: they were counted, not taken.",
                    count,
                    kind=kind,
                )
            )
        return notes

    @property
    def ignored(self) -> Mapping[str, int]:
        return {**self._events.ignored, **self._events.unknown}

    def _roles(self, uri: str, settings: RoomSettings | None) -> Iterator[Grant]:
        people = self._events.senders
        if settings and self._says_who(settings):
            for manager in people.find(settings.managers):
                yield Grant(manager, RoleName.MANAGER)
            for member in people.find(settings.members):
                yield Grant(member, RoleName.MEMBER)
        elif uri in self._events.rooms:
            for writer in sorted(self._events.rooms[uri].writers):
                yield Grant(writer, RoleName.MEMBER)

    @staticmethod
    def _says_who(settings: RoomSettings | None) -> bool:
        return settings is not None and bool(settings.managers or settings.members)

    def _category_of(self, uri: str) -> str:
        settings = self._settings.get(uri)
        return (settings.category if settings else "") or uri.split("://", 1)[-1].split("/", 1)[0] or uri

    def _named_categories(self) -> dict[str, str]:
        """The id of each by its name: those that the CSV names; else the host in the address of the room."""
        names = sorted({self._category_of(uri) for uri in self._ids})
        return {name: f"category-{number}" for number, name in enumerate(names, 1)}


def _files_of(path: Path) -> tuple[list[Path], Path | None]:
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file() and each.suffix.casefold() == ".xml")
        settings = [each for each in path.iterdir() if each.is_file() and each.name.casefold() == FILE_NAME]
        if files:
            return files, settings[0] if settings else None
        raise Unusable([Problem(path.name, None, sentence("The folder has no XML file of the compliance service."))])
    if path.is_file():
        beside = path.with_name(FILE_NAME)
        return [path], beside if beside.is_file() else None
    raise Unusable([Problem(path.name, None, sentence("There is no such file or folder."))])
