"""A copy of the file store of the source, in which posted files lie under GUID names (R119)."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, Self

from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import ChatFile
from tenants_app.sentences import sentence

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

WITHOUT_FILE, OTHER_SIZE, WITHOUT_LINK = "link-without-file", "other-size", "file-without-link"


class Listed(NamedTuple):
    """A row of what does not fit together."""

    what: str
    """``link-without-file``, ``other-size``, or ``file-without-link``."""
    room: str
    name: str
    """As people see it; of a file without link, where it lies in the store."""
    store_name: str
    bytes: int
    """Of what lies in the store."""


class FileStore:
    """A folder, at whatever depth its files lie. What is known of them lies outside memory.

    Links in it are not followed. Raises ``Unusable`` where it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise Unusable([Problem(folder.name, None, sentence("There is no such folder with posted files."))])
        self._folder = folder
        self._database = sqlite3.connect("", isolation_level=None)
        try:
            self._database.execute("pragma synchronous = off")
            self._database.execute("pragma journal_mode = off")
            self._database.execute(
                "create table lying (path blob primary key, name text, guid text, bytes integer, used integer)"
            )
            self._database.execute("create table listed (what text, room text, name text, store text, bytes integer)")
            self._database.execute("begin")
            self._look()
            self._database.execute("create index by_name on lying (name)")
            self._database.execute("create index by_guid on lying (guid)")
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        """The octets of a posted file; None where the store has none of its name, or only of another size."""
        name = store_name_of(file)
        rows = self._named(name)
        fitting = [row for row in rows if not file.bytes or row[1] == file.bytes]
        if not fitting:
            what = OTHER_SIZE if rows else WITHOUT_FILE
            self._list(what, file.room, file.name, name, rows[0][1] if rows else 0)
        for path, _ in rows:
            self._database.execute("update lying set used = 1 where path = ?", (path,))
        return self._open(fitting[0][0]) if fitting else None

    def differences(self) -> Iterator[Listed]:
        """Links without a file, files of another size, and files that nobody asked for."""
        for row in self._database.execute("select what, room, name, store, bytes from listed order by rowid"):
            yield Listed(*row)
        unused = "select path, name, bytes from lying where used = 0 order by path"
        for path, name, size in self._database.execute(unused):
            yield Listed(WITHOUT_LINK, "", _shown(path), name, size)

    def counts(self) -> dict[str, int]:
        """How many there are of each of these, and how many files the store has."""
        found = dict(self._database.execute("select what, count(*) from listed group by what"))
        files, unused = self._database.execute("select count(*), coalesce(sum(used = 0), 0) from lying").fetchone()
        return {
            "files": files,
            WITHOUT_FILE: found.get(WITHOUT_FILE, 0),
            OTHER_SIZE: found.get(OTHER_SIZE, 0),
            WITHOUT_LINK: unused,
        }

    def _look(self) -> None:
        try:
            for folder, _, names in os.walk(self._folder, onerror=_raise):
                for name in names:
                    path = Path(folder) / name
                    facts = path.lstat()
                    if stat.S_ISREG(facts.st_mode):
                        self._add(path, facts.st_size)
        except OSError as error:
            raise Unusable(
                [
                    Problem(
                        self._folder.name,
                        None,
                        sentence(
                            "The folder with posted files cannot be read: %(what)s.", what=error.strerror or str(error)
                        ),
                    )
                ]
            ) from None

    def _add(self, path: Path, size: int) -> None:
        name = path.name.lower()
        guid = _GUID.match(name)
        self._database.execute(
            "insert into lying values (?, ?, ?, ?, 0)",
            (os.fsencode(path.relative_to(self._folder)), _shown(os.fsencode(name)), guid[0] if guid else None, size),
        )

    def _named(self, name: str) -> list[tuple[bytes, int]]:
        """By the whole name; else by the GUID, as an extension is sometimes lost."""
        select = "select path, bytes from lying where"
        rows = self._database.execute(f"{select} name = ? order by path", (name,)).fetchall()
        if not rows and (guid := _GUID.match(name)):
            rows = self._database.execute(f"{select} guid = ? order by path", (guid[0],)).fetchall()
        return rows

    def _open(self, place: bytes) -> IO[bytes] | None:
        try:
            handle = os.open(self._folder / os.fsdecode(place), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise Unusable(
                [
                    Problem(
                        _shown(place), None, sentence("The file cannot be read: %(what)s.", what=error.strerror or "")
                    )
                ]
            ) from None
        return open(handle, "rb")

    def _list(self, what: str, room: str, name: str, store_name: str, size: int) -> None:
        self._database.execute("insert into listed values (?, ?, ?, ?, ?)", (what, room, name, store_name, size))


def store_name_of(file: ChatFile) -> str:
    """Under what name the store has it: what the link says, or the id of the file where sources have no other."""
    return str(file.more.get("store_name") or file.id).rsplit("/", 1)[-1].lower()


def _shown(octets: bytes) -> str:
    """The name of a file, whatever its octets are."""
    return octets.decode("utf-8", "backslashreplace")


def _raise(error: OSError) -> None:
    raise error
