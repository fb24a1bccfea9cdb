"""Messages from ``tblChat``: checked once, sorted by room and number, and read where they stand (R101, R104)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import ChatFile, Message, MessageKind
from migrations_app.chat.sources import markup, ticks
from migrations_app.chat.sources.csv_rows import BadRow
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.scratch import Batched, Scratch
from migrations_app.chat.sources.shown_files import ShownFiles
from migrations_app.chat.sources.table_nodes import Nodes
from migrations_app.chat.sources.table_rows import Record, Table
from tenants_app.sentences import sentence

LONGEST_LINE = 2**20 - 4_096
"""Octets that the text of a message, and its RTF, may have as JSON: a line of the archive has 1 MiB (R101)."""
RTF_TOO_LONG = "RTF too long"

_SURELY_FITS = 100_000


@dataclass(slots=True)
class Sum:
    """Of a room: how many messages, and the ticks of the first and the last by number."""

    count: int = 0
    first: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)

    def add(self, n: int, at: int) -> None:
        self.first = (n, at) if not self.count or n < self.first[0] else self.first
        self.last = (n, at) if not self.count or n > self.last[0] else self.last
        self.count += 1


class Messages:
    """All of ``tblChat``. Kept are where each message begins, room by room, and how many there are."""

    def __init__(
        self, table: Table, scratch: Scratch, nodes: Nodes, principals: Collection[int], reported: Reported
    ) -> None:
        self._table, self._scratch = table, scratch
        self._nodes, self._principals = nodes, principals
        self._files = ShownFiles(scratch)
        self.sums: dict[int, Sum] = {}
        self.ignored: dict[str, int] = {}
        scratch.run("CREATE TABLE message (room INTEGER, n INTEGER, offset INTEGER, line INTEGER)")
        self._rows = Batched(scratch, "INSERT INTO message VALUES (?, ?, ?, ?)")
        table.each(reported, self._add)
        self._rows.flush()
        scratch.run("CREATE INDEX in_order ON message (room, n, offset, line)")
        self._report_doubles(reported)
        self._files.sort()

    def of_room(self, room: int) -> Iterator[Message]:
        try:
            self._table.file.is_unchanged()
            with self._table.file.path.open("rb") as stream:
                question = "SELECT offset, line FROM message WHERE room = ? ORDER BY n"
                for offset, line in self._scratch.rows(question, [room]):
                    record = Record(self._table, self._table.file.row_at(stream, offset, line))
                    yield self._message(record, room)
        except BadRow as bad:
            raise Unusable([Problem(self._table.file.name, bad.line, bad.reason)]) from bad

    def files(self) -> Iterator[ChatFile]:
        return self._files.records()

    def _add(self, record: Record) -> None:
        room = record.integer("channelId")
        if room in self._nodes.left_out:
            return
        is_room = self._nodes.is_room(room)
        if not is_room:
            raise record.bad(
                sentence("The message is in %(room)s, which is a category.", room=str(room))
                if is_room is False
                else sentence("The message is in %(room)s, which is not in tblNode.", room=str(room))
            )
        n, at, author = record.integer("chatId"), record.integer("chatDate"), record.integer("userId")
        if n < 1:
            raise record.bad(sentence("The message has the number %(n)s, which is below one.", n=str(n)))
        if ticks.time_of(at) is None:
            raise record.bad(
                sentence(
                    "The column chatDate has %(value)s, which is no time in ticks of 100 ns since the year 1.",
                    value=str(at),
                )
            )
        if author not in self._principals:
            raise record.bad(
                sentence("The message is by the principal %(who)s, who is not in tblPrincipal.", who=str(author))
            )
        record.bit("isAlert")
        text, rtf = record.text("content"), record.text_or_nothing("rtf")
        if not fits(text):
            raise record.bad(
                sentence("The message is longer than 1 MiB, which the archive cannot hold. Leave its room out.")
            )
        if rtf and not fits(text, rtf):
            self.ignored[RTF_TOO_LONG] = self.ignored.get(RTF_TOO_LONG, 0) + 1
        self.sums.setdefault(room, Sum()).add(n, at)
        self._rows.add(room, n, record.row.offset, record.row.line)
        for store_name, name in markup.files_in(text):
            self._files.add(store_name, room, n, at, str(author), name)

    def _report_doubles(self, reported: Reported) -> None:
        question = """
            SELECT line, room, n FROM (
                SELECT line, room, n, row_number() OVER (PARTITION BY room, n ORDER BY offset) AS place FROM message
            ) WHERE place > 1
        """
        for line, room, n in self._scratch.rows(question):
            reported.add(
                self._table.file.name,
                line,
                sentence("The room %(room)s has a message %(n)s already.", room=str(room), n=str(n)),
            )

    def _message(self, record: Record, room: int) -> Message:
        at = record.integer("chatDate")
        text, rtf = record.text("content"), record.text_or_nothing("rtf")
        kind = markup.kind_of(text, is_alert=record.bit("isAlert"))
        if (time := ticks.time_of(at)) is None:
            raise record.bad(sentence("The file was changed while it was read: begin again."))
        files = [self._files.id_of(store_name, room) for store_name, _ in markup.files_in(text)]
        more: dict[str, object] = dict(record.further())
        if len(files) > 1:
            more["files"] = files
        return Message(
            n=record.integer("chatId"),
            at=time,
            author=str(record.integer("userId")),
            kind=MessageKind.MESSAGE if kind is MessageKind.FILE and not files else kind,
            text=text,
            rtf=rtf if fits(text, rtf) else "",
            file=files[0] if files else "",
            ticks=at,
            more=more,
        )


def fits(*texts: str) -> bool:
    """Whether a line of the archive holds these texts."""
    if sum(map(len, texts)) < _SURELY_FITS:
        return True
    return len(json.dumps(texts, ensure_ascii=False).encode(errors="surrogatepass")) <= LONGEST_LINE
