"""Which of our messages are in a room, read from its end; in a file that is gone with the process (R111)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator

Backwards = Callable[[], Iterator[Iterable[tuple[str, str]]]]
"""Pages of (id of the event, our key or nothing), from the newest on."""


class WrittenKeys:
    """Keys by room. What was read once is not asked for again, and memory does not grow.

    The messages of a room of the archive are written by their number, so reading back ends at the first one whose
    number is smaller than all that are asked for.
    """

    def __init__(self) -> None:
        self._rows = sqlite3.connect("", check_same_thread=False, isolation_level=None)  # a file that nobody else sees
        self._rows.execute("CREATE TABLE keys (room TEXT, key TEXT, PRIMARY KEY (room, key)) WITHOUT ROWID")
        self._newest: dict[str, str] = {}
        """By room, the id of the last event that was read."""
        self._floors: dict[tuple[str, str], int] = {}
        """By room and room of the archive, the number from which on all messages are known."""

    def close(self) -> None:
        self._rows.close()

    def has(self, room: str, key: str) -> bool:
        return bool(self._rows.execute("SELECT 1 FROM keys WHERE room = ? AND key = ?", (room, key)).fetchone())

    def add(self, room: str, key: str) -> None:
        """Say that a message was certainly written, or read."""
        self._rows.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (room, key))

    def covers(self, room: str, key: str) -> bool:
        """Whether all messages from this one on were read once."""
        source, n = _parts(key)
        return n >= self._floors.get((room, source), n + 1)

    def forget(self, room: str) -> None:
        self._newest.pop(room, None)
        self._floors = {place: floor for place, floor in self._floors.items() if place[0] != room}
        self._rows.execute("DELETE FROM keys WHERE room = ?", (room,))

    def read(self, room: str, key: str, backwards: Backwards) -> None:
        """Read what came since the last time, and what is older down to this key.

        Only when all of it was read does it count as read, so that a page that fails leaves no gap.
        """
        source, lowest = _parts(key)
        known = self._newest.get(room) if self.covers(room, key) else None
        newest = ""
        floor = 0
        for page in backwards():
            ended = False
            for event, of_event in page:
                newest = newest or event
                there, n = _parts(of_event)
                if event == known or (of_event and there == source and n < lowest):
                    ended = True
                    floor = lowest
                    break
                if of_event:
                    self.add(room, of_event)
            if ended:
                break
        self._newest[room] = newest or self._newest.get(room, "")
        place = (room, source)
        self._floors[place] = min(floor, self._floors.get(place, floor))


def _parts(key: str) -> tuple[str, int]:
    """The room of the archive and the number of a key such as ``17/4/2``."""
    source, _, rest = key.partition("/")
    n = rest.partition("/")[0]
    return source, int(n) if n.isascii() and n.isdigit() else 0
