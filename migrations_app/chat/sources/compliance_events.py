"""The messages of compliance files, merged and sorted room by room in scratch tables (R105)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrations_app.chat.sources import compliance_xml, markup, ticks
from migrations_app.chat.sources.compliance_people import Senders
from migrations_app.chat.sources.compliance_xml import BadXml, Event
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.scratch import Batched, Scratch
from migrations_app.chat.sources.shown_files import ShownFiles
from migrations_app.chat.sources.table_messages import Sum, fits
from tenants_app.sentences import sentence

CHAT, UPLOAD = "CHAT", "FILEUPLOAD"
COUNTED = frozenset({"JOIN", "PART", "BACKCHAT", "FILEDOWNLOAD"})
REPEATED = "FILEUPLOAD shown by a message"
SPACING = 1_000_000
"""The number of a message is its own number times this; uploads, which have none, come between by time."""
MOST_UNKNOWN = 20

_LARGEST_NUMBER = (2**63 - 1) // SPACING - 1


@dataclass(slots=True)
class HeardRoom:
    """A room of which there are messages. ``number`` is only ours."""

    number: int
    name: str
    writers: set[str] = field(default_factory=set)
    sum: Sum = field(default_factory=Sum)


class Events:
    """Everything that was written in rooms, of all files that are read; then sorted."""

    def __init__(self, scratch: Scratch, left_out: frozenset[str], reported: Reported) -> None:
        self._scratch, self._left_out, self._reported = scratch, left_out, reported
        self.rooms: dict[str, HeardRoom] = {}
        self.senders = Senders()
        self.files = ShownFiles(scratch)
        self.ignored: dict[str, int] = {}
        self.unknown: dict[str, int] = {}
        self._file = ""
        self._files: list[str] = []
        scratch.run(
            "CREATE TABLE event (key INTEGER PRIMARY KEY, room INTEGER, ticks INTEGER, is_upload INTEGER, id INTEGER,"
            " sender TEXT, content TEXT, file INTEGER, line INTEGER)"
        )
        self._events = Batched(
            scratch,
            "INSERT INTO event (room, ticks, is_upload, id, sender, content, file, line)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )

    def read(self, path: Path) -> None:
        """One file. What is wrong with it is reported, and the others are read all the same."""
        self._file = path.name
        self._files.append(path.name)
        try:
            compliance_xml.read(path, self._use)
        except BadXml as bad:
            self._reported.add(path.name, bad.line, bad.reason)

    def of_room(self, number: int) -> Iterator[tuple[int, int, int, str, str, bool]]:
        """Number, number at the source, ticks, sender, content, and whether it is an upload; by number."""
        question = (
            "SELECT message.n, event.id, event.ticks, event.sender, event.content, event.is_upload"
            " FROM message JOIN event USING (key) WHERE message.room = ? ORDER BY message.n"
        )
        for n, id_, at, sender, content, is_upload in self._scratch.rows(question, [number]):
            yield n, id_, at, sender, content, bool(is_upload)

    # --- reading -----------------------------------------------------------------------------------------

    def _use(self, channel: Mapping[str, str], event: Event) -> None:
        uri = channel.get("uri", "").strip()
        if self._left_out and self._left_out & {uri, channel.get("name", "").strip()}:
            return
        reason = self._taken(uri, channel, event)
        if reason:
            self._reported.add(self._file, event.line, reason)

    def _taken(self, uri: str, channel: Mapping[str, str], event: Event) -> str:
        """Keep the message, or count it. Returns what is wrong with it."""
        kind = event.attributes.get("type", "").strip().upper()
        if kind in COUNTED:
            self.ignored[kind] = self.ignored.get(kind, 0) + 1
            return ""
        if kind not in {CHAT, UPLOAD}:
            if not kind or (kind not in self.unknown and len(self.unknown) >= MOST_UNKNOWN):
                return sentence("The message has no type that MMS knows.")
            self.unknown[kind[:40]] = self.unknown.get(kind[:40], 0) + 1
            return ""
        if not uri:
            return sentence("The conversation names no room: its Channel has no uri.")
        at = _ticks(event.time)
        if isinstance(at, str):
            return at
        if not self.senders.key_of(event.sender):
            return sentence("The message does not say who sent it.")
        content = event.attributes.get("content", "")
        if not fits(content):
            return sentence("The message is longer than 1 MiB, which the archive cannot hold. Leave its room out.")
        id_ = _integer(event.attributes.get("id", ""))
        is_upload = kind == UPLOAD
        if not is_upload and not (id_ is not None and 1 <= id_ <= _LARGEST_NUMBER):
            return sentence("The message has no number: its id is %(id)s.", id=event.attributes.get("id", "") or "-")
        if is_upload and not markup.store_name(content):
            return sentence("The upload does not name its file.")
        room = self.rooms.get(uri)
        if room is None:
            room = self.rooms[uri] = HeardRoom(len(self.rooms) + 1, "")
        room.name = room.name or channel.get("name", "").strip()
        sender = self.senders.add(event.sender, at)
        room.writers.add(sender)
        number = 0 if is_upload or id_ is None else id_
        self._events.add(room.number, at, is_upload, number, sender, content, len(self._files) - 1, event.line)
        if not is_upload:
            for store_name, name in markup.files_in(content):
                self.files.add(store_name, room.number, number * SPACING, at, sender, name)
        return ""

    # --- merging -----------------------------------------------------------------------------------------

    def sort(self) -> None:
        """After the last file: give each message its number, and leave out what stands in two files."""
        self._events.flush()
        self._scratch.run("CREATE INDEX by_time ON event (room, ticks, is_upload, id, sender, key)")
        self._scratch.run("CREATE INDEX by_id ON event (room, id) WHERE is_upload = 0")
        self._report_contradictions()
        self.files.index()
        self._scratch.run("CREATE TABLE message (room INTEGER, n INTEGER, key INTEGER)")
        messages = Batched(self._scratch, "INSERT INTO message VALUES (?, ?, ?)")
        for room, n, key, at in self._numbered():
            self._rooms_by_number[room].sum.add(n, at)
            messages.add(room, n, key)
        messages.flush()
        self._scratch.run("CREATE UNIQUE INDEX in_order ON message (room, n, key)")
        self.files.sort()

    def _numbered(self) -> Iterator[tuple[int, int, int, int]]:
        self._rooms_by_number = {room.number: room for room in self.rooms.values()}
        question = (
            "SELECT room, ticks, is_upload, id, sender, key FROM event ORDER BY room, ticks, is_upload, id, sender, key"
        )
        last_room, last_id, between = 0, 0, 0
        seen: list[str] = []
        before: tuple[object, ...] = ()
        for room, at, is_upload, id_, sender, key in self._scratch.rows(question):
            if room != last_room:
                last_room, last_id, between = room, 0, 0
            here = (room, at, is_upload, id_, sender)
            content = self._content(key) if is_upload or here == before else ""
            if here == before and (not is_upload or content in seen):
                continue  # the same message of another file
            seen = [*seen, content] if here == before else [content]
            before = here
            if not is_upload:
                last_id, between = max(last_id, id_), 0 if id_ > last_id else between
                yield room, id_ * SPACING, key, at
                continue
            store_name = markup.store_name(content)
            if self.files.is_shown(store_name, room):
                self.ignored[REPEATED] = self.ignored.get(REPEATED, 0) + 1
                continue
            between += 1
            n = last_id * SPACING + between
            self.files.add(store_name, room, n, at, sender, content)
            yield room, n, key, at

    def _content(self, key: int) -> str:
        found = self._scratch.one("SELECT content FROM event WHERE key = ?", [key])
        return str(found[0]) if found else ""

    def _report_contradictions(self) -> None:
        """Two messages of one number that are not the same."""
        question = """
            SELECT later.file, later.line, later.id FROM event AS later JOIN (
                SELECT room, id, min(key) AS key FROM event WHERE is_upload = 0 GROUP BY room, id HAVING count(*) > 1
            ) AS double ON later.room = double.room AND later.id = double.id AND later.is_upload = 0
            JOIN event AS first ON first.key = double.key
            WHERE later.key > first.key AND (
                later.ticks <> first.ticks OR later.sender <> first.sender OR later.content <> first.content
            )
        """
        for file, line, id_ in self._scratch.rows(question):
            self._reported.add(
                self._files[file],
                line,
                sentence("There is another message with the number %(id)s in this room already.", id=str(id_)),
            )


def _ticks(time: Mapping[str, str]) -> int | str:
    """Of a ``DateTimeUTC``: ticks, or what is wrong with it."""
    exact, since = _integer(time.get("long", "")), _integer(time.get("since1970", ""))
    if exact is None and since is None:
        return sentence("The message has no time.")
    if exact is None and since is not None:
        exact = ticks.UNIX_EPOCH + since * ticks.A_MILLISECOND
    elif exact is not None and since is not None:
        told = (exact - ticks.UNIX_EPOCH) // ticks.A_MILLISECOND
        if abs(told - since) > 1:
            return sentence("The two times of the message contradict each other.")
    if exact is None or ticks.time_of(exact) is None:
        return sentence("The time of the message is none: %(value)s.", value=str(exact))
    return exact


def _integer(text: str) -> int | None:
    text = text.strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None
