"""Writing one room to its target, batch by batch, each with a cursor: killed anywhere, it goes on (R111, R112).

1. The room is made, closed to writers where the target can, or found again.
2. That a batch is about to be sent is noted before. What has become of it is noted after, with the cursor and the
   moved times, in one transaction.
3. Whoever takes a room up reads from the target which of the next messages are there, until it meets some that are
   not: so a write whose answer was lost is settled by reading. Only what is missing is written.
4. Then people get their rights, and the room is opened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.archive.records import ChatFile, Room
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.planned import outgoing_of
from migrations_app.chat.leases import keep_room
from migrations_app.chat.targets.base import Target, TargetProblem, Unanswered
from migrations_app.models import ChatRoom, ChatShift
from tenants_app.bulk import insert
from tenants_app.sentences import sentence

MOST = 500
"""Messages of the archive in one batch; fewer where the target is slow."""
SECONDS = 10.0
"""About so long a target takes for one batch, as far as its speed is known."""
MOST_CHARACTERS = 1_000_000
MOST_OCTETS = 8_000_000
"""Of the files of a batch: after the message that exceeds them it ends."""
TRIES = 3
"""So often a batch is begun of which nobody answers, before it is put off."""


@dataclass(slots=True)
class Batch:
    """Some messages of the archive one after the other, as they are written."""

    outgoing: list[OutgoingMessage] = field(default_factory=list)
    shifts: list[ChatShift] = field(default_factory=list)
    taken: int = 0
    """How many of the archive they are."""
    last_n: int = 0
    offset: int = 0
    """Where the line after the last of them begins."""
    last_at: datetime | None = None
    characters: int = 0
    octets: int = 0


class RoomWriter:
    """Writes the room that this worker has claimed."""

    def __init__(
        self,
        room: ChatRoom,
        archive: Archive,
        record: Room,
        target: Target,
        people: Mapping[str, Person],
        *,
        language: str = "en",
    ) -> None:
        self.room = room
        self.archive = archive
        self.target = target
        self.people = people
        self.language = language
        self.outgoing: OutgoingRoom = outgoing_of(room.planned, record)
        self.id = room.target_id
        speed = target.limits.messages_per_second
        self.most = MOST if not speed else max(1, min(MOST, int(speed * SECONDS)))
        self.reads_first = True
        """Whether it is read what is there before anything is written."""
        was_there = (
            bool(room.target_id) and not room.cursor_n
        )  # made before this import, or before anything was written
        self.reads_always = bool(self.outgoing.merges_into) or was_there

    def begin(self, category: str) -> None:
        """Make the room, or find it."""
        self.id = self.target.begin_room(self.outgoing, category)
        keep_room(self.room, target_id=self.id)

    def batches(self) -> Iterator[Batch]:
        """What is left of the room, from its cursor on."""
        room = self.room
        converter = Converter(
            self.outgoing,
            self.people,
            self.target.limits,
            files=FilesOf(self.archive),
            last_at=room.cursor_at,
            language=self.language,
        )
        batch = Batch()
        for message, offset in self.archive.messages_from(room.room_id, room.cursor_offset):
            made = converter.convert(message)
            batch.outgoing += made
            batch.taken += 1
            batch.last_n, batch.offset, batch.last_at = message.n, offset, converter.last_at
            if made and (moved := made[0].shifted):
                batch.shifts.append(ChatShift(room=room, n=message.n, milliseconds=round(moved.total_seconds() * 1000)))
            batch.characters += sum(len(each.text) + len(each.html or "") for each in made)
            batch.octets += sum(each.file.bytes for each in made if each.file)
            is_full = batch.taken >= self.most or batch.characters >= MOST_CHARACTERS or batch.octets >= MOST_OCTETS
            if is_full:
                yield batch
                batch = Batch()
        if batch.taken:
            yield batch

    def write(self, batch: Batch) -> None:
        """See to it that the batch is in the target, each message once, and note it. Raises ``TargetProblem``."""
        for tries in itertools.count(1):
            try:
                self._send(batch)
                break
            except Unanswered as error:
                self.reads_first = True
                if tries >= TRIES:
                    raise _silent() from error
        self._note(batch)

    def _send(self, batch: Batch) -> None:
        missing: Sequence[OutgoingMessage] = batch.outgoing
        if self.reads_first and missing:
            there = self.target.written(self.id, missing)
            missing = [each for each in batch.outgoing if each.key not in there]
            self.reads_first = self.reads_always or bool(there)
        if missing:
            keep_room(self.room, unanswered=True)
            self.target.write(self.id, missing, self.archive.octets)

    @transaction.atomic
    def _note(self, batch: Batch) -> None:
        room = self.room
        insert(batch.shifts, unless_there=True)
        keep_room(
            room,
            unanswered=False,
            cursor_n=batch.last_n,
            cursor_offset=batch.offset,
            cursor_at=batch.last_at,
            written=room.written + batch.taken,
            attempts=0,
            error_code="",
            error_detail="",
        )

    def finish(self) -> None:
        """Give people their rights and open the room."""
        self.target.finish_room(self.id, self.outgoing)

    def write_all(self, category: str, gives_way: Callable[[], bool]) -> bool:
        """Write what is left of the room; whether it is finished, or gave way to something else before."""
        self.begin(category)
        for batch in self.batches():
            self.write(batch)
            if gives_way():
                return False
        keep_room(self.room)
        self.finish()
        return True


class FilesOf(Mapping[str, ChatFile]):
    """The files of an archive by id, each looked up when it is asked for."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __getitem__(self, key: str) -> ChatFile:
        found = self._archive.file(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (file.id for file in self._archive.files())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _silent() -> TargetProblem:
    return TargetProblem(
        "chat-target-silent",
        sentence("The target did not say whether it has taken some messages: it is read back, and then gone on."),
        waits=True,
    )
