"""What was written to a target that is made of files, kept in one SQLite file until that is made (R111).

A batch of messages is one transaction: after a kill it is there as a whole or not at all, and one that comes again is
known by its keys. Nothing is held in memory: rooms are read by stream, in the order in which people read them.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import OutgoingCategory, OutgoingMessage, OutgoingRoom
from migrations_app.chat.targets.whole_files import private_folder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WAITS_SECONDS = 60
"""How long one process waits for another that writes to the same target."""
OF_THE_DISK = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
}
"""What SQLite says of the disk, and what a file would have said."""

TABLES = """
CREATE TABLE IF NOT EXISTS categories (id INTEGER PRIMARY KEY, name TEXT, folded TEXT, description TEXT);
CREATE TABLE IF NOT EXISTS category_origins (marker TEXT PRIMARY KEY, category INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rooms (
    id INTEGER PRIMARY KEY, category INTEGER, name TEXT, folded TEXT, settings TEXT, is_finished INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS origins (
    room INTEGER, marker TEXT, number INTEGER, PRIMARY KEY (marker, room)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY, account TEXT UNIQUE, shown TEXT, address TEXT, is_active INTEGER);
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, room INTEGER, origin INTEGER, key TEXT, at INTEGER, place INTEGER, author INTEGER,
    file TEXT, bytes INTEGER, body TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON messages (room, key, at);
CREATE INDEX IF NOT EXISTS by_place ON messages (room, place, seq, bytes);
CREATE INDEX IF NOT EXISTS with_file ON messages (room, place, seq) WHERE file <> '';
"""


@dataclass(frozen=True, slots=True)
class SpooledCategory:
    id: int
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class SpooledRoom:
    id: int
    category: SpooledCategory
    name: str
    settings: dict[str, Any]
    """As :func:`settings_of` has them; without people until the room was finished."""
    is_finished: bool


@dataclass(frozen=True, slots=True)
class SpooledPerson:
    """Somebody who wrote, or belongs to a room."""

    account: str
    shown: str
    address: str = ""
    """By which they are known at the source, where the account is something else."""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class SpooledMessage:
    """A message as it was written."""

    seq: int
    key: str
    origin: int
    """Which of the rooms that became this one it comes from, from 1 (R120: merged rooms)."""
    n: int
    part: int
    at: datetime
    place: datetime
    """Where it stands among the others: its time, or that of the message before it where that is later."""
    account: str
    author: str
    kind: MessageKind
    text: str
    html: str | None
    """As it may be shown; None where the plain text is."""
    form: str
    """How the plain text follows from the HTML (``archive_markup``)."""
    file_name: str
    file_sha256: str
    """Empty where there is none, or it is missing."""
    file_bytes: int
    file_is_missing: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that is to be kept, with what the target made of it."""

    message: OutgoingMessage
    author: SpooledPerson
    sha256: str = ""
    """Of its file, which is kept already; likewise its size."""
    bytes: int = 0
    shown: tuple[str, str] | None = None
    """HTML that may be shown, and how the plain text follows from it."""


def milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def of_milliseconds(value: int) -> datetime:
    return EPOCH + timedelta(milliseconds=value)


def settings_of(room: OutgoingRoom) -> dict[str, Any]:
    """What is kept of a room besides its name, without people."""
    return {
        "description": room.description,
        "joining": room.joining.value,
        "is_auditorium": room.is_auditorium,
        "is_read_only": room.is_read_only,
        "allows_invitations": room.allows_invitations,
        "members": [],
        "managers": [],
        "presenters": [],
    }


@contextmanager
def _as_files_do() -> Iterator[None]:
    """Raises ``OSError`` where the disk is full, or is not read or written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        of_disk = OF_THE_DISK.get(error.sqlite_errorcode & 0xFF)
        if of_disk is None:
            raise
        raise OSError(of_disk, str(error)) from error


class Spool:
    """The file ``spool.sqlite3`` of a target's folder."""

    def __init__(self, folder: Path, folded: Callable[[str], str]) -> None:
        self._folded = folded
        private_folder(folder)
        path = folder / "spool.sqlite3"
        with _as_files_do():
            self._db = sqlite3.connect(path, timeout=WAITS_SECONDS, isolation_level=None, check_same_thread=False)
            os.chmod(path, 0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            for statement in filter(str.strip, TABLES.split(";")):
                self._db.execute(statement)
        self._accounts: dict[str, int] = {}

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing. Raises ``OSError`` where the disk does not take it."""
        with _as_files_do():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # where the disk is full, SQLite has ended it already
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """By stream: the cursor is one of its own."""
        yield from self._db.cursor().execute(statement, values)

    def _row(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row

    # --- categories and rooms ---------------------------------------------------------------------------

    def category(self, category: OutgoingCategory) -> int:
        """Its id: of the one chosen, of the one of that name, or of a new one."""
        folded = self._folded(_storable(category.name))
        with self._transaction():
            found = (
                (category.merges_into,)
                if category.merges_into is not None
                else self._row("SELECT id FROM categories WHERE folded = ?", folded)
            )
            key = (
                int(found[0])
                if found
                else self._inserted(
                    "INSERT INTO categories (name, folded, description) VALUES (?, ?, ?)",
                    (_storable(category.name), folded, _storable(category.description)),
                )
            )
            marker = _storable(category.guid or category.id)
            self._db.execute("INSERT OR IGNORE INTO category_origins VALUES (?, ?)", (marker, key))
        return key

    def room(self, room: OutgoingRoom, category: int) -> int:
        """Its id, likewise; a room that is merged into another goes on there as a further origin."""
        marker = json.dumps([room.room.id, room.room.guid, room.room.name])
        folded = self._folded(_storable(room.name))
        with self._transaction():
            found = (
                (int(room.merges_into),)
                if room.merges_into is not None
                else self._row(
                    "SELECT id FROM rooms JOIN origins ON origins.room = rooms.id"
                    " WHERE marker = ? AND folded = ? AND category = ?",
                    marker,
                    folded,
                    category,
                )
            )
            if found is None:
                key = self._inserted(
                    "INSERT INTO rooms (category, name, folded, settings) VALUES (?, ?, ?, ?)",
                    (category, _storable(room.name), folded, json.dumps(settings_of(room))),
                )
            else:
                key = int(found[0])
            self._db.execute(
                "INSERT OR IGNORE INTO origins (room, marker, number)"
                " VALUES (?, ?, (SELECT count(*) + 1 FROM origins WHERE room = ?))",
                (key, marker, key),
            )
        return key

    def categories_made_for(self) -> Iterator[tuple[str, str]]:
        """GUID or id of each category of an archive, and the id of the category that was made for it."""
        for marker, category in self._rows("SELECT marker, category FROM category_origins"):
            yield marker, str(category)

    def made_for(self) -> Iterator[tuple[str, str]]:
        """GUID or id of each room of an archive, and the id of the room that was made for it first."""
        for marker, room in self._rows("SELECT marker, room FROM origins WHERE number = 1 ORDER BY room DESC"):
            key, guid, _ = json.loads(marker)
            yield guid or key, str(room)

    def origin(self, room: int, key: str) -> int:
        """The number of the origin whose messages have keys such as this one (``<room id>/<n>``)."""
        wanted = key.partition("/")[0]
        number = 0
        for marker, each in self._rows("SELECT marker, number FROM origins WHERE room = ? ORDER BY number", room):
            if json.loads(marker)[0] == wanted:
                number = int(each)
        return number or 1

    def _inserted(self, statement: str, values: Sequence[object]) -> int:
        key = self._db.execute(statement, values).lastrowid
        assert key is not None  # noqa: S101 - an INSERT has one
        return key

    def finish_room(self, key: int, room: OutgoingRoom) -> None:
        """Set who belongs to it. In a room that others were merged into, members are united (R120) and what people may
        do stays as it was, or becomes less."""
        with self._transaction():
            row = self._row("SELECT settings, is_finished FROM rooms WHERE id = ?", key)
            before = json.loads(row[0]) if row else {}
            now = settings_of(room)
            is_merged = room.merges_into is not None
            for name in ("members", "managers", "presenters"):
                people = set(getattr(room, name))
                now[name] = sorted(people | set(before.get(name, ())) if is_merged else people)
            if is_merged:
                for name in ("description", "joining", "is_auditorium", "is_read_only", "allows_invitations"):
                    now[name] = before.get(name, now[name])
            self._db.execute("UPDATE rooms SET settings = ?, is_finished = 1 WHERE id = ?", (json.dumps(now), key))

    def categories(self) -> Iterator[SpooledCategory]:
        for row in self._rows("SELECT id, name, description FROM categories ORDER BY folded, id"):
            yield SpooledCategory(*row)

    def rooms(self, category: int) -> Iterator[SpooledRoom]:
        for (key,) in list(self._rows("SELECT id FROM rooms WHERE category = ? ORDER BY folded, id", category)):
            yield self.room_of(key)

    def room_of(self, key: int) -> SpooledRoom:
        """``KeyError`` where there is none."""
        row = self._row(
            "SELECT rooms.name, settings, is_finished, categories.id, categories.name, categories.description"
            " FROM rooms JOIN categories ON categories.id = category WHERE rooms.id = ?",
            key,
        )
        if row is None:
            raise KeyError(key)
        name, settings, is_finished, *category = row
        return SpooledRoom(key, SpooledCategory(*category), name, json.loads(settings), bool(is_finished))

    # --- people -----------------------------------------------------------------------------------------

    def keep_people(self, people: Iterable[SpooledPerson]) -> None:
        with self._transaction():
            for person in people:
                self._person(person)

    def person(self, account: str) -> SpooledPerson | None:
        row = self._row("SELECT account, shown, address, is_active FROM people WHERE account = ?", account)
        return SpooledPerson(row[0], row[1], row[2], bool(row[3])) if row else None

    def name_of(self, account: str) -> str:
        person = self.person(account)
        return person.shown if person else ""

    def writers(self) -> Iterator[tuple[str, str, int]]:
        """Account, name and number of messages of everybody who wrote, by name."""
        yield from self._rows(
            "SELECT account, shown, written FROM people JOIN"
            " (SELECT author, count(*) AS written FROM messages GROUP BY author) ON author = people.id"
            " ORDER BY shown COLLATE NOCASE, account"
        )

    def _person(self, person: SpooledPerson) -> int:
        key = self._accounts.get(person.account)
        if key is None:
            self._db.execute(
                "INSERT OR IGNORE INTO people (account, shown, address, is_active) VALUES (?, ?, ?, ?)",
                (person.account, _storable(person.shown), _storable(person.address), person.is_active),
            )
            row = self._row("SELECT id FROM people WHERE account = ?", person.account)
            assert row is not None  # noqa: S101 - just made
            key = self._accounts[person.account] = int(row[0])
        return key

    # --- messages ---------------------------------------------------------------------------------------

    def add(self, room: int, messages: Sequence[Prepared]) -> None:
        """All of them or none; those that are there already are passed over."""
        if not messages:
            return
        origin = self.origin(room, messages[0].message.key)
        known = dict(self._accounts)
        try:
            with self._transaction():
                latest = self._row("SELECT max(place) FROM messages WHERE room = ? AND origin = ?", room, origin)
                place = latest[0] if latest and latest[0] is not None else None
                for each in messages:
                    message = each.message
                    at = milliseconds(message.at)
                    place = at if place is None else max(place, at)
                    body = _body(each)
                    author = self._person(each.author)
                    row = (room, origin, message.key, at, place, author)
                    self._db.execute(
                        "INSERT OR IGNORE INTO messages (room, origin, key, at, place, author, file, bytes, body)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (*row, each.sha256, len(body), body),
                    )
        except BaseException:
            self._accounts = known  # those that were made with it are gone
            raise

    def has(self, room: int, message: OutgoingMessage) -> bool:
        """By key and time: another archive may number its rooms and messages likewise."""
        found = self._row(
            "SELECT 1 FROM messages WHERE room = ? AND key = ? AND at = ?", room, message.key, milliseconds(message.at)
        )
        return found is not None

    def messages(self, room: int, *, after: tuple[int, int] | None = None, count: int = -1) -> Iterator[SpooledMessage]:
        """Those of a room as people read them, beginning behind ``after`` (place and number)."""
        place, seq = after or (-(1 << 62), 0)
        for row in self._rows(
            "SELECT seq, key, origin, at, place, account, shown, file, body FROM messages"
            " JOIN people ON people.id = author"
            " WHERE room = ? AND (place, seq) > (?, ?) ORDER BY place, seq LIMIT ?",
            room,
            place,
            seq,
            count,
        ):
            yield _message(row)

    def with_files(self, room: int) -> Iterator[SpooledMessage]:
        """Those to which a file belongs that is there."""
        for row in self._rows(
            "SELECT seq, key, origin, at, place, account, shown, file, body FROM messages"
            " JOIN people ON people.id = author WHERE room = ? AND file <> '' ORDER BY place, seq",
            room,
        ):
            yield _message(row)

    def places(self, room: int) -> Iterator[tuple[int, int, int]]:
        """Place, number and size of each of its messages, in their order, without their text."""
        yield from self._rows("SELECT place, seq, bytes FROM messages WHERE room = ? ORDER BY place, seq", room)

    def extent(self, room: int) -> tuple[int, int, datetime | None, datetime | None]:
        """How many messages and files it has, and the times of the first and the last."""
        row = self._row("SELECT count(*), min(place), max(place) FROM messages WHERE room = ?", room) or (0, None, None)
        files = self._row("SELECT count(*) FROM messages WHERE room = ? AND file <> ''", room) or (0,)
        first, last = (None if each is None else of_milliseconds(each) for each in row[1:])
        return row[0], files[0], first, last


def _storable(name: str) -> str:
    """A name as UTF-8 can hold it: half characters are replaced. Texts of messages keep theirs."""
    return name.encode("utf-8", "replace").decode()


def _body(prepared: Prepared) -> str:
    message = prepared.message
    file = message.file
    html, form = prepared.shown or (None, "")
    return json.dumps(
        [
            message.n,
            message.part,
            message.kind.value,
            message.text,
            html,
            form,
            "" if file is None else file.name,
            prepared.bytes,
            file is not None and file.is_missing,
        ],
        separators=(",", ":"),
    )


def _message(row: tuple[Any, ...]) -> SpooledMessage:
    seq, key, origin, at, place, account, author, sha256, body = row
    n, part, kind, text, html, form, file_name, size, is_missing = json.loads(body)
    return SpooledMessage(
        seq=seq,
        key=key,
        origin=origin,
        n=n,
        part=part,
        at=of_milliseconds(at),
        place=of_milliseconds(place),
        account=account,
        author=author,
        kind=MessageKind(kind),
        text=text,
        html=html,
        form=form,
        file_name=file_name,
        file_sha256=sha256,
        file_bytes=size,
        file_is_missing=is_missing,
    )
