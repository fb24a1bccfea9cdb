"""From a source to an archive: levels, scope, start date, disabled rooms, and files from a copy of the store."""

from __future__ import annotations

import io
import tracemalloc
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Self

import pytest

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.archive.records import Category, ChatFile, Grant, Level, Message, Principal, RoleName, Room
from migrations_app.chat.disabling import lines_that_disable, quoted
from migrations_app.chat.exporting import DISABLES, STORE, Asked, ExportRefused, export
from migrations_app.chat.sources.archive import ArchiveSource
from migrations_app.chat.sources.file_store import FileStore
from tests.support.chat_organization import Organization

BEGAN = datetime(2010, 1, 1, tzinfo=UTC)


class MemorySource:
    """A source of a few records, whose messages are made while they are read."""

    kind = "mgc-tables"

    def __init__(self, rooms: Sequence[Room] = (), messages: int = 0, files: Sequence[ChatFile] = ()) -> None:
        self.name = "memory"
        self.made = list(rooms)
        self.count = messages
        self.posted = list(files)
        self.notes: Sequence[str] = ["Members are those who wrote."]
        self.ignored: Mapping[str, int] = {"JOIN": 7}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def principals(self) -> Iterator[Principal]:
        yield from (Principal(f"p{n}", name=f"Person {n}") for n in range(5))

    def categories(self) -> Iterator[Category]:
        yield Category("c", "Caf\u00e9")

    def rooms(self) -> Iterator[Room]:
        yield from self.made

    def messages(self, room: str) -> Iterator[Message]:
        for n in range(1, self.count + 1):
            yield Message(n, BEGAN + timedelta(hours=n), f"p{n % 2}", text="x" * 100, file=self._file(room, n))

    def _file(self, room: str, n: int) -> str:
        return next((file.id for file in self.posted if file.room == room and file.more.get("n") == n), "")

    def files(self) -> Iterator[ChatFile]:
        yield from self.posted

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        return None


def exported(organization: Organization, folder: Path, asked: Asked) -> Archive:
    with ArchiveSource(organization.folder) as source:
        manifest = export(source, folder, asked)
    archive = open_archive(folder)
    assert archive.manifest == replace(manifest, created=archive.manifest.created)
    return archive


def names_everybody(archive: Archive) -> set[str]:
    """Whoever is named in an archive."""
    named = {grant.principal for each in (*archive.categories(), *archive.rooms()) for grant in each.roles}
    for category in archive.categories():
        named |= {*category.allowed, *category.denied}
    for room in archive.rooms():
        named |= {message.author for message in archive.messages(room.id)}
    for principal in archive.principals():
        named |= set(principal.members or ())
    return named | {file.uploader for file in archive.files()}


# level: users, categories, rooms, messages, files
HOLDS = {
    Level.USER: (24, 0, 0, 0, 0),
    Level.CATEGORY: (24, 11, 0, 0, 0),
    Level.ROOM_DIRECTORY: (24, 11, 24, 0, 0),
    Level.ALL: (24, 11, 24, 400, 20),
}


@pytest.mark.parametrize("level", HOLDS)
def test_r107_each_level_holds_what_it_says(organization: Organization, tmp_path: Path, level: Level) -> None:
    with exported(organization, tmp_path / "a", Asked(level, include_disabled=True)) as archive:
        counts = archive.manifest.counts
        held = tuple(counts[name] for name in ("users", "categories", "rooms", "messages", "files"))
        assert held == HOLDS[level]
        assert archive.manifest.level is level
        assert names_everybody(archive) <= {principal.id for principal in archive.principals()}


def test_r107_all_is_all_and_nothing_is_changed(organization: Organization, tmp_path: Path) -> None:
    with (
        exported(organization, tmp_path / "a", Asked(include_disabled=True)) as archive,
        open_archive(organization.folder) as before,
    ):
        for read in (Archive.principals, Archive.categories, Archive.rooms, Archive.files):
            assert list(read(archive)) == list(read(before))  # type: ignore[operator]
        for room in before.rooms():
            assert list(archive.messages(room.id)) == list(before.messages(room.id))
        assert {e.path: e.sha256 for e in archive.manifest.entries} == {
            e.path: e.sha256 for e in before.manifest.entries
        }


def test_r107_content_knows_rooms_only_by_what_identifies_them(organization: Organization, tmp_path: Path) -> None:
    with exported(organization, tmp_path / "a", Asked(Level.CONTENT, include_disabled=True)) as archive:
        rooms = {room.id: room for room in archive.rooms()}
        for room in rooms.values():
            known = organization.rooms[room.id]
            assert room == Room(
                known.id, known.category, known.name, known.guid,
                messages=known.messages, first=known.first, last=known.last,
            )  # fmt: skip
        assert not list(archive.categories())
        assert {principal.id for principal in archive.principals()} == names_everybody(archive)
        assert archive.manifest.counts["messages"] == 400


@pytest.mark.parametrize("level", [Level.CATEGORY, Level.ROOM_DIRECTORY, Level.CONTENT, Level.ALL])
def test_r107_a_scope_takes_categories_with_their_rooms(
    organization: Organization, tmp_path: Path, level: Level
) -> None:
    asked = Asked(level, scope=("nETWORKS",), include_disabled=True)
    with exported(organization, tmp_path / "a", asked) as archive:
        wanted = {room.id for room in organization.rooms.values() if room.category in ("11", "12")}
        assert {room.id for room in archive.rooms()} == (set() if level is Level.CATEGORY else wanted)
        # Its parents are there for the sake of its path, without their rooms.
        assert [each.id for each in archive.categories()] == ([] if level is Level.CONTENT else ["10", "11", "12"])
        assert archive.manifest.scope == ("nETWORKS",)
        named = names_everybody(archive)
        assert {principal.id for principal in archive.principals()} == named


def test_r107_a_scope_names_a_category_by_name_or_path_in_any_normal_form(
    organization: Organization, tmp_path: Path
) -> None:
    with exported(organization, tmp_path / "a", Asked(scope=("Operations / Networks / Core & Edge",))) as archive:
        assert {room.category for room in archive.rooms()} == {"12"}
    with MemorySource([Room("1", "c", "R")]) as source:
        export(source, tmp_path / "b", Asked(scope=(unicodedata.normalize("NFD", "CAFÉ"),)))
        with pytest.raises(ExportRefused, match=r"has no category “Finance”\. It has: Café"):
            export(source, tmp_path / "c", Asked(scope=("Finance",)))
        source.categories = lambda: iter([Category("c", "A"), Category("d", "a")])  # type: ignore[method-assign]
        with pytest.raises(ExportRefused, match="Several categories are called"):
            export(source, tmp_path / "c", Asked(scope=("A",)))
    assert not (tmp_path / "c").exists()
    with pytest.raises(ExportRefused, match="A scope chooses categories"):
        export(source, tmp_path / "c", Asked(Level.USER, scope=("A",)))


@pytest.mark.parametrize("level", [Level.USER, Level.CATEGORY, Level.ROOM_DIRECTORY])
def test_r108_a_start_date_is_refused_with_levels_without_messages(tmp_path: Path, level: Level) -> None:
    with pytest.raises(
        ExportRefused, match=f"level {level.value} has none: leave the date out, or export level Content"
    ):
        export(MemorySource(), tmp_path / "a", Asked(level, start_date=date(2012, 1, 1)))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("level", [Level.CONTENT, Level.ALL])
def test_r108_messages_from_that_day_on_and_the_others_counted_per_room(
    organization: Organization, tmp_path: Path, level: Level
) -> None:
    day = date(2008, 8, 1)
    begins = datetime.combine(day, time.min, tzinfo=UTC)
    with (
        exported(organization, tmp_path / "a", Asked(level, start_date=day, include_disabled=True)) as archive,
        open_archive(organization.folder) as before,
    ):
        left_out = 0
        for room in archive.rooms():
            messages = list(before.messages(room.id))
            kept = [message for message in messages if message.at >= begins]
            assert list(archive.messages(room.id)) == kept
            assert (room.messages, room.left_out) == (len(kept), len(messages) - len(kept))
            left_out += room.left_out
            shown = {message.file for message in kept if message.file}
            assert {file.id for file in archive.files_of(room.id)} == shown
        assert 0 < left_out < 400
        assert archive.manifest.counts["left_out"] == left_out
        assert archive.manifest.start_date == day


def test_r108_the_day_begins_at_midnight_in_utc(tmp_path: Path) -> None:
    source = MemorySource([Room("1", "c", "R", left_out=10)], messages=48)
    manifest = export(source, tmp_path / "a", Asked(start_date=date(2010, 1, 2)))
    with open_archive(tmp_path / "a") as archive:
        (room,) = archive.rooms()
        assert room.first == BEGAN + timedelta(hours=24)
        assert (room.messages, room.left_out) == (
            25,
            10 + 23,
        )  # those that an earlier export left out are not forgotten
    assert manifest.counts["ignored:JOIN"] == 7
    assert manifest.notes == ("Members are those who wrote.",)


def test_r109_rooms_disabled_at_the_source_are_left_out_unless_included(
    organization: Organization, tmp_path: Path
) -> None:
    with exported(organization, tmp_path / "a", Asked()) as archive:
        rooms = {room.id for room in archive.rooms()}
        # The room that is disabled itself, and the one in a category that is disabled.
        assert set(organization.rooms) - rooms == {
            organization.special["disabled"],
            organization.special["category-257"],
        }
        assert archive.manifest.notes == ("2 rooms that are disabled at the source were left out.",)
    with exported(organization, tmp_path / "b", Asked(include_disabled=True)) as archive:
        disabled = [room.id for room in archive.rooms() if room.is_disabled]
        assert disabled == [organization.special["disabled"]]


def test_r109_lines_that_disable_name_each_room_and_cannot_be_broken_out_of(tmp_path: Path) -> None:
    evil = "'; Remove-Item C:\\ -Recurse #"
    smart = "It’s $(whoami) `n \u201b"
    rooms = [
        Room("1", "c", "Plain"),
        Room("2", "c", evil),
        Room("3", "c", smart),
        Room("4", "c", "Off", is_disabled=True),
    ]
    manifest = export(MemorySource(rooms), tmp_path / "a", Asked(disable_exported=True, include_disabled=True))
    assert manifest.more[DISABLES] is True
    with open_archive(tmp_path / "a") as archive:
        assert not any(room.is_disabled for room in archive.rooms() if room.id != "4")  # it is the source that changes
        script = b"".join(lines_that_disable(archive))
    assert script.startswith(b"\xef\xbb\xbf#")
    lines = script.decode("utf-8-sig").split("\r\n")
    commands = [line for line in lines if line.startswith("Set-CsPersistentChatRoom")]
    assert commands == [
        f"Set-CsPersistentChatRoom -Identity ($Pool + '\\' + {text}) -Disabled $true"
        for text in ("'Plain'", "'''; Remove-Item C:\\ -Recurse #'", "'It’’s $(whoami) `n \u201b\u201b'")
    ]
    assert quoted("a'b‘c’d‚e") == "'a''b‘‘c’’d‚‚e'"


GUIDS = [f"0988239a-0000-4000-8000-{n:012d}" for n in range(9)]


def posted(n: int, name: str, size: int = 0) -> ChatFile:
    return ChatFile(f"{GUIDS[n]}.txt", "1", name, size, is_missing=True, uploader="p0", more={"n": n + 1})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    folder = tmp_path / "store"
    (folder / "12" / "deep").mkdir(parents=True)
    (folder / f"{GUIDS[0]}.txt").write_bytes(b"same")
    (folder / "12" / f"{GUIDS[1].upper()}.TXT").write_bytes(b"same")
    (folder / "12" / "deep" / GUIDS[2]).write_bytes(b"without its extension")
    (folder / f"{GUIDS[3]}.txt").write_bytes(b"cut")
    (folder / f"{GUIDS[8]}.txt").write_bytes(b"nobody links to it")
    (folder / f"{GUIDS[5]}.txt").symlink_to("/etc/passwd")
    with FileStore(folder) as opened:
        yield opened


def test_r119_files_are_matched_by_guid_checked_by_size_and_stored_by_checksum(
    store: FileStore, tmp_path: Path
) -> None:
    files = [posted(0, "a.txt"), posted(1, "b.txt", 4), posted(2, "c.txt"), posted(3, "d.txt", 99), posted(4, "e.txt"),
             posted(5, "f.txt")]  # fmt: skip
    source = MemorySource([Room("1", "c", "R")], messages=6, files=files)
    manifest = export(source, tmp_path / "a", Asked(), store=store)
    with open_archive(tmp_path / "a") as archive:
        read = {file.name: file for file in archive.files()}
        assert [name for name, file in read.items() if not file.is_missing] == ["a.txt", "b.txt", "c.txt"]
        with archive.octets(read["a.txt"]) as octets:
            assert octets.read() == b"same"
        assert read["a.txt"].sha256 == read["b.txt"].sha256
        assert read["c.txt"].bytes == len(b"without its extension")
        assert (read["d.txt"].is_missing, read["d.txt"].bytes) == (True, 99)
    assert len([entry for entry in manifest.entries if entry.path.startswith("files/")]) == 2
    listed = [(row.what, row.name, row.bytes) for row in store.differences()]
    assert listed == [
        ("other-size", "d.txt", 3),
        ("link-without-file", "e.txt", 0),
        ("link-without-file", "f.txt", 0),  # a link in the store leads nowhere
        ("file-without-link", f"{GUIDS[8]}.txt", 18),
    ]
    assert manifest.more[STORE] == {
        "files": 5, "link-without-file": 2, "other-size": 1, "file-without-link": 1,
    }  # fmt: skip


def test_r119_a_file_that_the_source_holds_is_not_looked_for(
    organization: Organization, store: FileStore, tmp_path: Path
) -> None:
    with ArchiveSource(organization.folder) as source:
        manifest = export(source, tmp_path / "a", Asked(include_disabled=True), store=store)
    missing = sum(file.is_missing for file in _files(organization))
    assert manifest.more[STORE]["link-without-file"] == missing > 0
    with pytest.raises(Unusable, match="no such folder"):
        FileStore(tmp_path / "nothing")


def _files(organization: Organization) -> list[ChatFile]:
    with open_archive(organization.folder) as archive:
        return list(archive.files())


def test_r107_whoever_is_named_only_as_a_member_of_a_group_is_there(tmp_path: Path) -> None:
    source = MemorySource([Room("1", "c", "R", roles=(Grant("g", RoleName.MEMBER),))])
    people = [Principal("g", members=("h",)), Principal("h", members=("p1", "g")), Principal("p1"), Principal("p2")]
    source.principals = lambda: iter(people)  # type: ignore[method-assign]
    export(source, tmp_path / "a", Asked(scope=("Café",)))
    with open_archive(tmp_path / "a") as archive:
        assert [principal.id for principal in archive.principals()] == ["g", "h", "p1"]


def test_r101_memory_of_an_export_does_not_grow_with_messages_or_files(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2_000):
        files = _many_files(count // 10)
        source = MemorySource([Room("1", "c", "R")], messages=count)
        source.files = files  # type: ignore[method-assign]
        source.octets = lambda file: io.BytesIO(b"the same octets")  # type: ignore[method-assign]
        tracemalloc.start()
        export(source, tmp_path / str(count), Asked())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def _many_files(count: int) -> object:
    return lambda: (ChatFile(f"f{n}", "1", f"{n}.txt", uploader="p0") for n in range(count))
