"""The files that messages of a source show, and what they are called in the archive (R119)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrations_app.chat.archive.records import ChatFile
from migrations_app.chat.sources import ticks
from migrations_app.chat.sources.scratch import Batched, Scratch

STORE_NAME = "store_name"
"""In ``ChatFile.more`` the name that the file has in the file store of the source, in small letters."""


class ShownFiles:
    """Kept in scratch tables. A file that a second room shows is there once more, with the room in its id."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        scratch.run("CREATE TABLE shown (store TEXT, room INTEGER, n INTEGER, ticks INTEGER, by TEXT, name TEXT)")
        self._rows = Batched(scratch, "INSERT INTO shown VALUES (?, ?, ?, ?, ?, ?)")

    def add(self, store_name: str, room: int, n: int, at: int, by: str, name: str) -> None:
        self._rows.add(store_name, room, n, at, by, name)

    def index(self) -> None:
        """Before :meth:`is_shown` is asked."""
        self._rows.flush()
        self._scratch.run("CREATE INDEX shown_in ON shown (room, store)")

    def is_shown(self, store_name: str, room: int) -> bool:
        question = "SELECT 1 FROM shown WHERE room = ? AND store = ?"
        return self._scratch.one(question, [room, store_name]) is not None

    def sort(self) -> None:
        """After the last one."""
        self._rows.flush()
        self._scratch.run(
            """
            CREATE TABLE shown_file AS
            SELECT store, room, n, ticks, by, name,
                   CASE WHEN row_number() OVER (PARTITION BY store ORDER BY ticks, room) = 1
                        THEN store ELSE room || '/' || store END AS id
            FROM (SELECT *, row_number() OVER (PARTITION BY store, room ORDER BY ticks, n) AS place FROM shown)
            WHERE place = 1
            """
        )
        self._scratch.run("DROP TABLE shown")
        self._scratch.run("CREATE INDEX of_room ON shown_file (room, store)")

    def id_of(self, store_name: str, room: int) -> str:
        found = self._scratch.one("SELECT id FROM shown_file WHERE room = ? AND store = ?", [room, store_name])
        return str(found[0]) if found else store_name

    def records(self, room_id: Mapping[int, str] | None = None) -> Iterator[ChatFile]:
        """By room and by message. ``room_id``: what rooms are called, where it is not their number."""
        question = "SELECT id, room, store, name, by, ticks FROM shown_file ORDER BY room, n, store"
        for id_, room, store, name, by, at in self._scratch.rows(question):
            yield ChatFile(
                id=id_,
                room=str(room) if room_id is None else room_id[room],
                name=name,
                uploader=by,
                at=ticks.time_of(at),
                is_missing=True,
                more={STORE_NAME: store},
            )
