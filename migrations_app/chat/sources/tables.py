"""``mgc-tables``: a folder of CSV files, one for each table of the database, as MMS's script writes them (R104)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import Category, ChatFile, Message, Principal, Room
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.scratch import Scratch
from migrations_app.chat.sources.table_columns import CHAT
from migrations_app.chat.sources.table_messages import RTF_TOO_LONG, Messages
from migrations_app.chat.sources.table_nodes import Nodes, with_counts
from migrations_app.chat.sources.table_principals import Principals
from migrations_app.chat.sources.table_rows import open_tables
from tenants_app.sentences import sentence, sentence_plural


class TablesSource:
    """The tables of Persistent Chat or Group Chat. Raises ``Unusable`` with every bad line of every file.

    ``leave_out`` names rooms, by id or name, that are left out with whatever is wrong about them (R101). ``scratch``
    is a folder with room for sorting: some 30 octets a message, and a copy of what is written in UTF-16.
    """

    kind = "mgc-tables"

    def __init__(
        self, folder: Path, *, name: str = "", scratch: Path | None = None, leave_out: Collection[str] = ()
    ) -> None:
        self.name = name or folder.name
        self._scratch = Scratch(scratch)
        try:
            self._open(folder, leave_out)
        except BaseException:
            self._scratch.remove()
            raise

    def _open(self, folder: Path, leave_out: Collection[str]) -> None:
        if not folder.is_dir():
            raise Unusable([Problem(folder.name, None, sentence("There is no such folder."))])
        reported = Reported()
        tables = open_tables(folder, self._scratch.folder, reported)
        reported.stop_if_any()
        self._principals = Principals(tables, self._scratch, reported)
        self._nodes = Nodes(tables, self._principals.numbers, leave_out, reported)
        self._messages = Messages(tables[CHAT], self._scratch, self._nodes, self._principals.numbers, reported)
        reported.stop_if_any()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._scratch.remove()

    def principals(self) -> Iterator[Principal]:
        return iter(self._principals)

    def categories(self) -> Iterator[Category]:
        return self._nodes.categories()

    def rooms(self) -> Iterator[Room]:
        for room in self._nodes.rooms():
            sum_ = self._messages.sums.get(int(room.id))
            yield room if sum_ is None else with_counts(room, sum_.count, sum_.first[1], sum_.last[1])

    def messages(self, room: str) -> Iterator[Message]:
        return self._messages.of_room(int(room))

    def files(self) -> Iterator[ChatFile]:
        return self._messages.files()

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        """Never: no table has them (R119)."""
        return None

    @property
    def notes(self) -> Sequence[str]:
        too_long = self._messages.ignored.get(RTF_TOO_LONG, 0)
        left_out = len(self._nodes.left_out)
        return [
            *(
                [
                    sentence_plural(
                        "The formatting of %(n)s message is too long for the archive; its text is there.",
                        "The formatting of %(n)s messages is too long for the archive; their text is there.",
                        too_long,
                    )
                ]
                if too_long
                else []
            ),
            *(
                [sentence_plural("%(n)s room was left out.", "%(n)s rooms were left out.", left_out)]
                if left_out
                else []
            ),
        ]

    @property
    def ignored(self) -> Mapping[str, int]:
        return dict(self._messages.ignored)
