"""Persistent Chat as a target: MMS looks at the tables of the new pool, and compares what its cmdlets have copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.archive.records import Message, Privacy, RoleName
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.chat.conversion.conflicts import Choices
from migrations_app.chat.conversion.outgoing import OutgoingRoom
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.targets.base import TargetProblem, TargetSettings
from migrations_app.chat.targets.of_kind import writes
from migrations_app.chat.targets.pchat import PersistentChatTarget
from migrations_app.chat.verifying.compare import Compared, compare_room
from tests.support.chat_carrying import planned
from tests.support.chat_organization import Organization

CHOICES = Choices(includes_disabled=True, deselected=frozenset())
Change = Callable[[str, Message], Message | None]


@pytest.fixture
def archive(organization: Organization) -> Iterator[Archive]:
    with open_archive(organization.folder, check=False) as archive:
        yield archive


def settings(seen: Path | None) -> TargetSettings:
    return TargetSettings("Pool", "pchat", seen=seen)


def copied(
    archive: Archive, rooms: list[OutgoingRoom], folder: Path, *, change: Change = lambda room, message: message
) -> Path:
    """An archive of the new pool's tables, after its cmdlets have copied these rooms: with numbers of its own."""
    with ArchiveWriter(folder) as writer:
        for principal in archive.principals():
            writer.principal(principal)
        categories = {category.id: category for category in archive.categories()}
        roots = [grant for each in categories.values() if each.more.get("root") for grant in each.roles]
        names = dict.fromkeys(room.category.name for room in rooms)
        for number, name in enumerate(names, 900):
            as_it_was = next(categories[room.category.id] for room in rooms if room.category.name == name)
            writer.category(replace(as_it_was, id=str(number), parent=None, name=name, guid=""))
        where = {name: str(number) for number, name in enumerate(names, 900)}
        for room in rooms:
            key = f"7{room.room.id}"
            kept = filter(None, (change(room.name, each) for each in archive.messages(room.room.id)))
            done = writer.messages(key, (replace(each, n=each.n * 3, file="") for each in kept))
            writer.room(
                replace(
                    room.room,
                    id=key,
                    guid="",
                    name=room.name,
                    roles=(*room.room.roles, *(grant for grant in roots if grant.role is RoleName.MANAGER)),
                    category=where[room.category.name],
                    messages=done.messages,
                    first=done.first,
                    last=done.last,
                )
            )
        writer.finish(source="mgc-tables: new pool")
    return folder


def compared(archive: Archive, seen: Path, room: OutgoingRoom) -> Compared:
    with PersistentChatTarget(settings(seen)) as target:
        key = target.begin_room(room, target.begin_category(room.category))
        return compare_room(archive, room, people_of(archive, target), target.limits, target, key)


def plan(archive: Archive, seen: Path | None = None) -> list[OutgoingRoom]:
    with PersistentChatTarget(settings(seen)) as target:
        rooms, _ = planned(archive, target, choices=CHOICES)
        return rooms


def without_files(archive: Archive, rooms: list[OutgoingRoom]) -> list[OutgoingRoom]:
    """Rooms in which no message shows a file: no table has the octets of one."""
    return [room for room in rooms if not any(message.file for message in archive.messages(room.room.id))]


def test_r121_it_is_not_written_by_mms(archive: Archive) -> None:
    assert not writes("pchat")
    with PersistentChatTarget(settings(None)) as target, pytest.raises(TargetProblem) as problem:
        target.write("1", [], archive.octets)
    assert problem.value.code == "chat-not-written-by-us"


def test_r113_rooms_below_nested_categories_get_the_prefix(archive: Archive, organization: Organization) -> None:
    rooms = plan(archive)
    flat = {room.category.name for room in rooms}
    assert "Operations - Networks - Core & Edge" in flat
    nested = [room for room in rooms if room.category.name == "Operations - Networks - Core & Edge"]
    assert nested
    assert all(room.name.startswith("Operations - Networks - Core & Edge - ") for room in nested)
    assert all(len(room.name) <= 256 for room in rooms)
    assert organization.special["name-257"] not in {room.room.id for room in rooms}


def test_r110_what_nobody_has_seen_is_said(archive: Archive, tmp_path: Path) -> None:
    with PersistentChatTarget(settings(None)) as target:
        assert {finding.code for finding in target.findings()} == {"old-clients", "source-note", "target-not-seen"}
        assert target.look().rooms == {}
        with pytest.raises(TargetProblem) as problem:
            target.read_room("1")
        assert problem.value.code == "chat-tables-missing"
    seen = copied(archive, plan(archive)[:1], tmp_path / "seen")
    with PersistentChatTarget(settings(seen)) as target:
        assert {finding.code for finding in target.findings()} == {"old-clients", "source-note"}


def test_r120_a_name_that_the_new_pool_has_is_a_conflict(archive: Archive, tmp_path: Path) -> None:
    before = plan(archive)
    seen = copied(archive, before[:2], tmp_path / "seen")

    names = {room.name for room in plan(archive, seen)}
    assert {room.name for room in before[:2]}.isdisjoint(names)
    assert names


def test_r123_what_the_cmdlets_have_copied_is_verified(archive: Archive, tmp_path: Path) -> None:
    rooms = without_files(archive, plan(archive))
    assert len(rooms) > 5
    seen = copied(archive, rooms, tmp_path / "seen")

    for room in rooms:
        result = compared(archive, seen, room)
        assert result.differences == [], room.name
        assert result.is_same


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda message: None, "lost-message"),
        (lambda message: replace(message, text=f"{message.text} more", rtf=""), "altered-text"),
    ],
)
def test_r123_what_they_lost_or_altered_is_found(
    archive: Archive, tmp_path: Path, change: Callable[[Message], Message | None], code: str
) -> None:
    room = max(without_files(archive, plan(archive)), key=lambda each: each.room.messages)
    wanted = list(archive.messages(room.room.id))[3].n
    seen = copied(
        archive,
        [room],
        tmp_path / "seen",
        change=lambda _, message: change(message) if message.n == wanted else message,
    )

    result = compared(archive, seen, room)
    assert [difference.code for difference in result.differences] == [code]
    assert not result.is_same


def test_r123_a_room_that_is_open_to_more_people_is_found(archive: Archive, tmp_path: Path) -> None:
    limited = {category.id for category in archive.categories() if category.allowed or category.denied}
    rooms = [each for each in plan(archive) if each.room.category not in limited]
    room = next(each for each in rooms if each.room.privacy is Privacy.PRIVATE)
    opened = replace(room, room=replace(room.room, privacy=Privacy.OPEN))
    seen = copied(archive, [opened], tmp_path / "seen")

    assert "privacy-widened" in [difference.code for difference in compared(archive, seen, room).differences]


def test_r123_a_room_that_is_not_there_is_said(archive: Archive, tmp_path: Path) -> None:
    rooms = plan(archive)
    seen = copied(archive, rooms[:1], tmp_path / "seen")
    with pytest.raises(TargetProblem) as problem:
        compared(archive, seen, rooms[-1])
    assert problem.value.code == "chat-room-gone"
