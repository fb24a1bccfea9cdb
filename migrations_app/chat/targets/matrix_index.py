"""Which of our messages are in a room, read from its end, once; in a file that is gone with the process (R111)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator


class WrittenKeys:
    """Keys by room. The homeserver is asked only for what came after the last time; memory does not grow."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # a file that nobody else sees
        self._rows.execute("PRAGMA temp_store = FILE")
        self._rows.execute("CREATE TABLE keys (room TEXT, key TEXT, PRIMARY KEY (room, key)) WITHOUT ROWID")
        self._newest: dict[str, str] = {}
        """By room, the id of the last event that was read; empty where the room was, too."""

    def close(self) -> None:
        self._rows.close()

    def knows(self, room: str) -> bool:
        """Whether the room was read."""
        return room in self._newest

    def has(self, room: str, key: str) -> bool:
        return bool(self._rows.execute("SELECT 1 FROM keys WHERE room = ? AND key = ?", (room, key)).fetchone())

    def add(self, room: str, key: str) -> None:
        """Say that a message was certainly written, or read."""
        self._rows.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (room, key))

    def forget(self, room: str) -> None:
        self._newest.pop(room, None)
        self._rows.execute("DELETE FROM keys WHERE room = ?", (room,))

    def read(self, room: str, backwards: Callable[[], Iterator[Iterable[tuple[str, str]]]]) -> None:
        """Read what is new: pages of (id of the event, our key or nothing), from the newest on.

        Only when all of it was read does it count as read, so that a page that fails leaves no gap.
        """
        known = self._newest.get(room)
        newest = ""
        for page in backwards():
            reached = False
            for event, key in page:
                newest = newest or event
                if event == known:
                    reached = True
                    break
                if key:
                    self.add(room, key)
            if reached:
                break
        self._newest[room] = newest or known or ""
