"""A process that carries an archive to a homeserver as an import does it: ``-m tests.support.matrix_importer FOLDER
ADDRESS``. It prints how many messages it has written after each batch, and may be killed at any time.

Where the homeserver is away it waits and goes on; where an answer is lost it reads back.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.conversion.conflicts import Choices
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planning import plan_rooms
from migrations_app.chat.targets.base import Target, TargetProblem, Unanswered
from migrations_app.chat.targets.of_kind import open_target
from tests.support.matrix_stand_in import settings_for

BATCH = 20
_TRIES = 600
_PAUSE = 0.2


def planned(archive: Archive, target: Target) -> tuple[list[OutgoingRoom], Mapping[str, Person]]:
    """The rooms that can be imported, and their people."""
    people = people_of(archive, target)
    rooms = plan_rooms(archive, target.limits, target.look(), people, Choices(includes_disabled=True))
    return [room.outgoing for room in rooms if room.outgoing is not None], people


def messages_of(
    archive: Archive, target: Target, room: OutgoingRoom, people: Mapping[str, Person]
) -> Iterator[OutgoingMessage]:
    files = {file.id: file for file in archive.files_of(room.room.id)}
    converter = Converter(room, people, target.limits, files=files)
    for message in archive.messages(room.room.id):
        yield from converter.convert(message)


def carry_on(archive: Archive, target: Target) -> Iterator[int]:
    """Go on wherever it was; how many messages are written so far."""
    count = 0
    rooms, people = planned(archive, target)
    for room in rooms:
        key = target.begin_room(room, target.begin_category(room.category))
        messages = messages_of(archive, target, room, people)
        while part := list(islice(messages, BATCH)):
            _write(archive, target, key, part)
            count += len(part)
            yield count
        target.finish_room(key, room)
    target.finish()


def _write(archive: Archive, target: Target, room: str, part: list[OutgoingMessage]) -> None:
    while True:
        done = target.written(room, part)
        left = [message for message in part if message.key not in done]
        try:
            target.write(room, left, archive.octets)
        except Unanswered:
            time.sleep(_PAUSE)
            continue
        return


def main(folder: str, address: str) -> None:
    with open_archive(Path(folder), check=False) as archive, TemporaryDirectory() as own:
        for _ in range(_TRIES):
            try:
                with open_target(settings_for(address, Path(own))) as target:
                    for count in carry_on(archive, target):
                        print(count, flush=True)  # noqa: T201
                return
            except TargetProblem as problem:
                if not problem.waits:
                    raise
                time.sleep(problem.retry_after or _PAUSE)
    raise SystemExit("the homeserver does not come back")


def rooms_of(archive: Archive, target: Target) -> dict[str, OutgoingRoom]:
    """Rooms that can be imported, by the target's own ids."""
    rooms, _ = planned(archive, target)
    ours = target.look().ours
    return {ours[room.room.guid or room.room.id]: room for room in rooms}


if __name__ == "__main__":
    main(*sys.argv[1:])
