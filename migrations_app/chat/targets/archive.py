"""Kind ``archive``: pages for people, which read well in any browser without a server, and the files beside them.

The folder of a target has ``spool.sqlite3``, which is written first (``spool``); ``site/``, which is made of it
(``archive_site``) and which people get; and ``chat-archive.zip``, the same to take away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

from migrations_app.chat.archive.records import Principal
from migrations_app.chat.conversion.findings import Finding
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, Limits, OutgoingCategory, OutgoingMessage, OutgoingRoom
from migrations_app.chat.targets import archive_reading
from migrations_app.chat.targets.archive_files import FOLDER, path_of, safe_name
from migrations_app.chat.targets.archive_markup import cleaned
from migrations_app.chat.targets.archive_site import Site, folder_of
from migrations_app.chat.targets.base import (
    Octets,
    Option,
    ReadMessage,
    ReadRoom,
    Target,
    TargetProblem,
    TargetSettings,
)
from migrations_app.chat.targets.in_files import address_of, as_read, everybody_in, found_in, room_in
from migrations_app.chat.targets.spool import Prepared, Spool, SpooledPerson, SpooledRoom
from migrations_app.chat.targets.whole_files import keep_octets, private_folder, remove_unfinished
from tenants_app.sentences import sentence

PRODUCT = "chat-archive.zip"


class ArchiveTarget(Target):
    """Static pages: one for each room, or several for a long one."""

    KIND: ClassVar[str] = "archive"
    OPTIONS: ClassVar[Sequence[Option]] = (
        Option(
            "title",
            sentence("Title"),
            sentence("What stands above the list of rooms. Empty: “Archive of persistent chat”."),
        ),
    )
    WRITES: ClassVar[bool] = True
    limits = Limits(
        category_is="folder",
        rooms_at_once=1,
        room_names_within_category=True,
        messages_per_second=5_000,
        files_per_second=100,
    )

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._top = settings.folder / "site"
        self._people: dict[str, SpooledPerson] = {}

    def __enter__(self) -> Self:
        self._spool = Spool(self._folder, folded)
        title = self._settings.options.get("title", "").strip() or sentence("Archive of persistent chat")
        self._site = Site(self._top, self._spool, self._settings.language, title)
        return self

    def __exit__(self, *exception: object) -> None:
        self._spool.close()

    # --- planning ---------------------------------------------------------------------------------------

    def look(self) -> Found:
        return found_in(self._spool)

    def findings(self) -> Sequence[Finding]:
        return ()

    def account_of(self, principal: Principal) -> str | None:
        account = address_of(principal)
        self._people[account] = SpooledPerson(account, principal.name or account)
        return account

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return address_of(principal)

    # --- writing ----------------------------------------------------------------------------------------

    def begin_category(self, category: OutgoingCategory) -> str:
        return str(self._spool.category(category))

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        return str(self._spool.room(room, int(category)))

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        key = int(room)
        self._spool.add(key, [self._prepared(key, each, octets) for each in messages])

    def _prepared(self, room: int, message: OutgoingMessage, octets: Octets) -> Prepared:
        address = address_of(message.author.principal)
        author = SpooledPerson(address, message.author.shown)
        shown = cleaned(message.html, message.text)
        file = message.file
        if file is None or file.is_missing or self._spool.has(room, message):
            return Prepared(message, author, shown=shown)
        with octets(file) as stream:
            sha256, size = keep_octets(
                stream, self._top / FOLDER, lambda sha256: self._top / path_of(sha256, file.name)
            )
        return Prepared(message, author, sha256, size, shown)

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        return {each.key for each in messages if self._spool.has(int(room), each)}

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        self._spool.keep_people(self._people[each] for each in sorted(everybody_in(as_planned) & self._people.keys()))
        self._spool.finish_room(int(room), as_planned)
        self._site.write_room(int(room))

    def finish(self) -> None:
        remove_unfinished(self._folder)
        self._site.write_top(path.name for path in self._top.glob("*.zip"))
        self._site.pack(self._folder / PRODUCT)

    # --- what people get --------------------------------------------------------------------------------

    def keep_archive(self, name: str, pack: Callable[[Path], object]) -> None:
        private_folder(self._top)
        beside = self._top / ".new-archive.zip"
        beside.unlink(missing_ok=True)
        pack(beside)
        beside.replace(self._top / f"{safe_name(name).removesuffix('.zip')}.zip")

    def products(self) -> Sequence[Path]:
        path = self._folder / PRODUCT
        return [path] if path.is_file() else []

    # --- reading back -----------------------------------------------------------------------------------

    def read_room(self, room: str) -> ReadRoom:
        spooled = self._room(room)
        if not spooled.is_finished:
            return ReadRoom(id=room, name=spooled.name, category=spooled.category.name)
        try:
            return archive_reading.read_room(self._top / folder_of(spooled), room)
        except archive_reading.Unreadable as error:
            raise _unreadable(spooled, error) from error

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        """From the pages; while they are not made yet, from what they will be made of."""
        spooled = self._room(room)
        if not spooled.is_finished:
            yield from map(as_read, self._spool.messages(int(room)))
            return
        try:
            yield from archive_reading.read_messages(self._top / folder_of(spooled), self._top)
        except archive_reading.Unreadable as error:
            raise _unreadable(spooled, error) from error

    def _room(self, room: str) -> SpooledRoom:
        return room_in(self._spool, room)


def _unreadable(room: SpooledRoom, error: archive_reading.Unreadable) -> TargetProblem:
    return TargetProblem(
        "chat-made-unreadable",
        sentence(
            "The page %(page)s of the room “%(room)s” is not there, or cannot be read. Import the room again.",
            page=str(error),
            room=room.name,
        ),
    )
