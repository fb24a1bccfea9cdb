"""Kind ``pchat``: Persistent Chat itself. Its own cmdlets copy; MMS plans, guides, and verifies (R113, R123, R126).

What is there is known from a second set of tables, which is read into an archive like the first one: conflicts of names
before the import, and what became of every room after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import ClassVar, NoReturn, Self

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.archive.records import LONGEST_NAME, Category, ChatFile, Principal, Room, RoomType
from migrations_app.chat.conversion import settings as settings_there
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import (
    Found,
    Limits,
    OutgoingCategory,
    OutgoingMessage,
    OutgoingRoom,
    Person,
)
from migrations_app.chat.conversion.people import people_of, rights_of
from migrations_app.chat.targets.base import (
    Octets,
    Option,
    ReadMessage,
    ReadRoom,
    Target,
    TargetProblem,
    TargetSettings,
)
from migrations_app.chat.targets.in_files import address_of
from tenants_app.sentences import Sentence, sentence


class PersistentChatTarget(Target):
    """A pool of Persistent Chat, as an archive of its tables shows it."""

    KIND: ClassVar[str] = "pchat"
    OPTIONS: ClassVar[Sequence[Option]] = (
        Option(
            "archive",
            sentence("Archive of its tables"),
            sentence(
                "The stored archive that was made of the tables of the new pool: before the import to find conflicts,"
                " after it, made anew, to compare."
            ),
        ),
        Option(
            "pool",
            sentence("Pool"),
            sentence("The full name of the new Persistent Chat pool, such as pcpool.contoso.com (R126)."),
        ),
        Option(
            "lookup",
            sentence("Address of the lookup account"),
            sentence(
                "What old clients are set to, such as sip:ocschat@contoso.com: the new endpoint gets the same (R126)."
            ),
        ),
    )
    WRITES: ClassVar[bool] = False
    limits = Limits(
        room_name=LONGEST_NAME,
        category_name=LONGEST_NAME,
        description=LONGEST_NAME,
        prefixes_rooms=True,
        keeps_keys=False,
        category_is="category",
    )

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._archive: Archive | None = None
        self._open = ExitStack()
        self._known: _Known | None = None

    def __enter__(self) -> Self:
        if self._settings.seen is not None:
            try:
                self._archive = self._open.enter_context(open_archive(self._settings.seen, check=False))
            except (OSError, Unusable) as error:
                raise TargetProblem(
                    "chat-tables-missing",
                    sentence("The archive of the target's tables cannot be read. Make it anew, and name it again."),
                    is_of_room=False,
                ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    # --- planning ---------------------------------------------------------------------------------------

    def look(self) -> Found:
        if self._archive is None:
            return Found()
        known = self._there()
        return Found(
            rooms={folded(room.name): room.id for room in known.rooms.values()},
            categories={folded(category.name): category.id for category in known.categories.values()},
            ours={room.guid: room.id for room in known.rooms.values() if room.guid},
            our_categories={category.guid: category.id for category in known.categories.values() if category.guid},
        )

    def findings(self) -> Sequence[Finding]:
        found = [
            _finding(
                "old-clients",
                sentence(
                    "Clients of Lync 2013 neither show nor post files in rooms; those of Group Chat do. Tell people who"
                    " rely on files before the old clients go."
                ),
            ),
            _finding(
                "source-note",
                sentence(
                    "Rooms are copied by the cmdlets of Persistent Chat into one pool of the same forest, while the"
                    " services are stopped. They overwrite a room whose name exists: answer every conflict first."
                ),
            ),
        ]
        if self._archive is None:
            found.append(
                _finding(
                    "target-not-seen",
                    sentence(
                        "Nothing is known of what the target has: names that exist there are not found. Unless it is"
                        " empty, read its tables into an archive and name that archive in the target."
                    ),
                )
            )
        return found

    def account_of(self, principal: Principal) -> str | None:
        """People keep their addresses: both systems belong to one forest."""
        return None if principal.is_federated else address_of(principal).casefold()

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return address_of(principal).casefold()

    # --- copying is not ours ----------------------------------------------------------------------------

    def begin_category(self, category: OutgoingCategory) -> str:
        """The one of that name that the cmdlets have made."""
        for each in self._there().categories.values():
            if folded(each.name) == folded(category.name):
                return each.id
        raise _not_there(sentence("The target has no category “%(name)s”.", name=category.name))

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        """Likewise."""
        for each in self._there().rooms.values():
            if folded(each.name) == folded(room.name) and each.category == category:
                return each.id
        raise _not_there(sentence("The target has no room “%(name)s” in that category.", name=room.name))

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> NoReturn:
        raise TargetProblem(
            "chat-not-written-by-us",
            sentence("MMS does not write to Persistent Chat: its own cmdlets copy, step by step as the plan shows."),
            is_of_room=False,
        )

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        return set()

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        """Nothing: the cmdlets have done it."""

    def finish(self) -> None:
        """Nothing: the cmdlets have done it."""

    # --- reading back -----------------------------------------------------------------------------------

    def read_room(self, room: str) -> ReadRoom:
        known, there = self._there(), self._room(room)
        category = known.categories.get(there.category, Category(there.category, ""))
        rights = rights_of(there, known.people)
        is_auditorium = there.type is RoomType.AUDITORIUM
        return ReadRoom(
            id=room,
            name=there.name,
            category=category.name,
            description=there.description,
            joining=settings_there.joining_of(there, category, known.people),
            is_auditorium=is_auditorium,
            is_read_only=there.is_disabled,
            allows_invitations=settings_there.allows_invitations(there, category),
            members=frozenset(rights.members),
            managers=frozenset(rights.managers),
            presenters=frozenset(rights.presenters) if is_auditorium else frozenset(),
        )

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        """As the tables have them, said as a message of the source is: both sides are compared word by word."""
        archive, known, there = self._tables(), self._there(), self._room(room)
        files: dict[str, ChatFile] = {file.id: file for file in archive.files_of(room)}
        as_room = OutgoingRoom(there, OutgoingCategory(there.category, ""), there.name)
        converter = Converter(as_room, known.people, self.limits, files=files, language=self._settings.language)
        for message in archive.messages(room):
            for each in converter.convert(message):
                file = each.file
                yield ReadMessage(
                    key="",
                    at=each.at,
                    author=self.author_of(each.author.principal, as_room),
                    text=each.text,
                    kind=each.kind,
                    file_name="" if file is None else file.name,
                    file_bytes=None if file is None or file.is_missing else file.bytes,
                    file_sha256="" if file is None else file.sha256,
                )

    def _room(self, room: str) -> Room:
        found = self._there().rooms.get(room)
        if found is None:
            raise _not_there(sentence("The tables of the target have no room %(room)s.", room=room))
        return found

    def _tables(self) -> Archive:
        if self._archive is None:
            raise TargetProblem(
                "chat-tables-missing",
                sentence(
                    "Nothing is known of what the target has. Read its tables into an archive, name that archive in"
                    " the target, and try again."
                ),
                is_of_room=False,
            )
        return self._archive

    def _there(self) -> _Known:
        if self._known is None:
            self._known = _Known(self._tables(), self)
        return self._known


class _Known:
    """What is held of the target's tables: people, categories and rooms, no messages."""

    def __init__(self, archive: Archive, target: PersistentChatTarget) -> None:
        self.categories: dict[str, Category] = {category.id: category for category in archive.categories()}
        self.rooms: dict[str, Room] = {room.id: room for room in archive.rooms()}
        self.people: dict[str, Person] = people_of(archive, target)


def _finding(code: str, text: Sentence) -> Finding:
    return Finding(CODES[code], code, text)


def _not_there(text: Sentence) -> TargetProblem:
    return TargetProblem("chat-room-gone", text)
