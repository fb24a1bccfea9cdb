"""One story for each kind of target that MMS writes to: begun, written, written again, killed, gone on with, read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.conversion.outgoing import OutgoingRoom
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.targets.archive_files import safe_name
from migrations_app.chat.targets.base import ReadMessage, Target
from migrations_app.chat.targets.of_kind import KINDS, class_of, open_target
from migrations_app.chat.verifying.compare import compare_room
from tests.support.chat_carrying import carry, expected, messages_of, planned
from tests.support.chat_organization import Organization, write_organization
from tests.support.chat_targets import WRITTEN

SPECIAL = ("auditorium", "disabled", "open", "empty", "names", "deleted-people", "missing-file", "no-invitations")
UNNAMED = {"teams": ("names",)}
"""Rooms whose names a kind of target does not allow: errors of the plan."""
UNTOLD = {"teams": ("key", "file_sha256")}
"""What a kind of target has no place for."""
SHOWN = ("key", "at", "author", "text", "file_bytes", "file_sha256")


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Organization:
    return write_organization(tmp_path_factory.mktemp("archive"), rooms=24, messages=260)


@pytest.fixture
def archive(organization: Organization) -> Iterator[Archive]:
    with open_archive(organization.folder, check=False) as archive:
        yield archive


@pytest.fixture(params=sorted(WRITTEN))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[object]:
    """Opens the same target any number of times, each time as a process of its own would."""
    with WRITTEN[request.param](tmp_path) as settings:

        @contextmanager
        def opened() -> Iterator[Target]:
            with open_target(settings) as target:
                yield target

        yield opened


def special(organization: Organization, room: OutgoingRoom) -> bool:
    return room.room.id in {organization.special[name] for name in SPECIAL}


def test_r121_there_is_a_module_for_every_kind() -> None:
    assert [class_of(kind).KIND for kind in KINDS] == list(KINDS)
    assert set(WRITTEN) == {kind for kind in KINDS if class_of(kind).WRITES}


def test_r123_what_is_read_back_is_what_the_archive_has(opened, organization, archive) -> None:
    with opened() as target:
        carried = carry(archive, target, only=lambda room: special(organization, room))
    with opened() as target:
        people = people_of(archive, target)
        named = [name for name in SPECIAL if name not in UNNAMED.get(target.KIND, ())]
        assert set(carried) == {organization.special[name] for name in named}
        for each in carried.values():
            found = list(target.read_messages(each.id))
            wanted = list(expected(archive, target, each.outgoing, people))
            shown = [as_shown(message, target) for message in found]
            assert shown == [as_shown(message, target) for message in wanted]


def test_r123_both_sides_compare_as_equal(opened, organization, archive) -> None:
    with opened() as target:
        people = people_of(archive, target)
        for each in carry(archive, target, only=lambda room: special(organization, room)).values():
            files = {file.id: file for file in archive.files_of(each.outgoing.room.id)}
            compared = compare_room(archive, each.outgoing, people, target.limits, target, each.id, files=files)
            assert compared.differences == [], each.outgoing.name
            assert compared.is_same


def test_r111_a_batch_that_comes_again_adds_nothing(opened, organization, archive) -> None:
    with opened() as target:
        rooms, people = planned(archive, target)
        room = max((each for each in rooms if special(organization, each)), key=lambda each: each.room.messages)
        key = target.begin_room(room, target.begin_category(room.category))
        messages = list(messages_of(archive, target, room, people))
        target.write(key, messages[:5], archive.octets)
        target.write(key, messages[:8], archive.octets)
        assert target.written(key, messages[:12]) == {message.key for message in messages[:8]}
    with opened() as target:  # the process was killed
        assert target.begin_room(room, target.begin_category(room.category)) == key
        assert target.written(key, messages[:12]) == {message.key for message in messages[:8]}
        target.write(key, messages[3:], archive.octets)
        target.finish_room(key, room)
        target.finish()
        target.finish_room(key, room)
        target.finish()
        found = target.read_messages(key)
        assert [(message.at, message.text) for message in found] == [(each.at, each.text) for each in messages]


def test_r111_importing_the_same_archive_again_adds_nothing(opened, organization, archive) -> None:
    def only(room: OutgoingRoom) -> bool:
        return room.room.id in {organization.special["names"], organization.special["open"]}

    with opened() as target:
        first = {key: room.id for key, room in carry(archive, target, only=only).items()}
        before = {key: list(target.read_messages(key)) for key in first.values()}
    with opened() as target:
        assert {key: room.id for key, room in carry(archive, target, only=only).items()} == first
        assert {key: list(target.read_messages(key)) for key in first.values()} == before
        assert target.look().digest == target.look().digest


def test_r122_the_people_and_settings_are_those_that_were_planned(opened, organization, archive) -> None:
    with opened() as target:
        for each in carry(archive, target, only=lambda room: special(organization, room)).values():
            read, planned_room = target.read_room(each.id), each.outgoing
            assert read.name == planned_room.name
            assert read.category == planned_room.category.name
            for name in ("description", "joining", "is_auditorium", "is_read_only", "allows_invitations"):
                if getattr(read, name) is not None:
                    assert getattr(read, name) == getattr(planned_room, name), (name, planned_room.name)
            for name in ("members", "managers", "presenters"):
                if getattr(read, name) is not None:
                    assert getattr(read, name) == getattr(planned_room, name), (name, planned_room.name)


def test_r110_looking_changes_nothing(opened, organization, archive) -> None:
    with opened() as target:
        planned(archive, target)
        assert (target.look().rooms, target.look().categories) == ({}, {})
        carry(archive, target, only=lambda room: room.room.id == organization.special["open"])
        before = target.look()
        list(islice(planned(archive, target)[0], 3))
        assert target.look() == before
        assert list(before.ours.values()) == list(before.rooms.values())


def as_shown(message: ReadMessage, target: Target) -> dict[str, object]:
    """All of it. Some targets have rules of their own for the names of files, so that these are compared by those."""
    told = [name for name in SHOWN if name not in UNTOLD.get(target.KIND, ())]
    return {name: getattr(message, name) for name in told} | {"file_name": safe_name(message.file_name)}
