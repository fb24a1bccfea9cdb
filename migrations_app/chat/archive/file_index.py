"""Posted files by their ids, outside memory: an archive may have millions of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


class FileIndex:
    """Where the line of each posted file is, and of which room it is. It lies in a file that goes with it."""

    def __init__(self) -> None:
        # An empty name is a database of its own in a temporary file, which is removed when it is closed.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("pragma synchronous = off")
        self._database.execute("pragma journal_mode = off")
        self._database.execute(
            "create table file (id text primary key, room text, start integer, sha256 text) without rowid"
        )
        self._database.execute("begin")

    def add(self, file: str, room: str, start: int, sha256: str = "") -> bool:
        """Returns whether there was none of this id yet."""
        added = self._database.execute("insert or ignore into file values (?, ?, ?, ?)", (file, room, start, sha256))
        return added.rowcount > 0

    def room_of(self, file: str) -> str | None:
        """Of which room the file is; None where there is none of this id."""
        found = self._database.execute("select room from file where id = ?", (file,)).fetchone()
        return None if found is None else found[0]

    def start_of(self, file: str) -> int | None:
        """Where its line begins."""
        found = self._database.execute("select start from file where id = ?", (file,)).fetchone()
        return None if found is None else found[0]

    def starts_of(self, room: str) -> Iterator[int]:
        """Where the lines of the files of a room begin."""
        self._database.execute("create index if not exists by_room on file (room, start)")
        for (start,) in self._database.execute("select start from file where room = ? order by start", (room,)):
            yield start

    def close(self) -> None:
        self._database.close()
