"""ZIP files and folders that are to do harm: refused by what they say, before anything is unpacked (R101)."""

from __future__ import annotations

import io
import os
import random
import struct
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.json_lines import BadLine, object_of
from migrations_app.chat.archive.limits import GUARDS
from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Category, Message, Principal, Room
from migrations_app.chat.archive.writing import ArchiveWriter
from tests.support.chat_archives import copied, zip_of
from tests.support.chat_organization import Organization, write_organization


def told_of(path: Path, guards: object = GUARDS) -> str:
    with pytest.raises(Unusable) as refused, open_archive(path, guards=guards):  # type: ignore[arg-type]
        pass
    return "\n".join(map(str, refused.value.problems))


def entries_of(organization: Organization) -> dict[str, bytes]:
    folder = organization.folder
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize(
    "name",
    [
        "../outside.jsonl",
        "/etc/passwd",
        "messages/../../outside.jsonl",
        "messages\\..\\..\\outside.jsonl",
        "C:/windows/x",
        "\\\\server\\share",
    ],
)
def test_r101_no_path_leaves_the_folder(organization: Organization, tmp_path: Path, name: str) -> None:
    path = zip_of(tmp_path / "evil.zip", {**entries_of(organization), name: b"x"})
    assert "leads out of the archive" in told_of(path)
    with pytest.raises(Unusable):
        copy(path, _folder(tmp_path / "into"))
    assert list((tmp_path / "into").iterdir()) == []


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("name", ["readme.txt", "messages/a/b.jsonl", "files/abc", "messages/.jsonl", "Users.jsonl/x"])
def test_r101_there_is_nothing_but_what_an_archive_has(organization: Organization, tmp_path: Path, name: str) -> None:
    path = zip_of(tmp_path / "more.zip", {**entries_of(organization), name: b"x"})
    assert f"{name}: A chat archive has no entry of this name" in told_of(path)


def test_r101_a_name_with_a_nul_is_not_cut_off_there(organization: Organization, tmp_path: Path) -> None:
    entries = entries_of(organization)
    path = zip_of(tmp_path / "nul.zip", {**entries, "files.jsonlX..": b"x"})
    path.write_bytes(path.read_bytes().replace(b"files.jsonlX..", b"files.jsonl\0.."))
    assert "leads out of the archive" in told_of(path)


def test_r101_an_entry_that_is_there_twice_is_refused(organization: Organization, tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, octets in entries_of(organization).items():
            zipped.writestr(name, octets)
        with pytest.warns(UserWarning, match="Duplicate name"):
            zipped.writestr("users.jsonl", b"")
    assert "users.jsonl: The entry stands in the ZIP twice." in told_of(path)


def test_r101_names_that_differ_by_capital_letters_only_are_refused(organization: Organization, tmp_path: Path) -> None:
    path = zip_of(
        tmp_path / "case.zip", {**entries_of(organization), "messages/AB.jsonl": b"", "messages/ab.jsonl": b""}
    )
    assert "but for capital letters" in told_of(path)


def test_r101_links_are_no_files(organization: Organization, tmp_path: Path) -> None:
    entries = entries_of(organization)
    octets = entries.pop("users.jsonl")
    link = zipfile.ZipInfo("users.jsonl")
    link.external_attr = 0o120777 << 16
    assert "users.jsonl: This is a symbolic link" in told_of(zip_of(tmp_path / "link.zip", {**entries, link: octets}))
    folder = copied(organization.folder, tmp_path / "folder")
    (folder / "users.jsonl").unlink()
    (folder / "users.jsonl").symlink_to("/etc/passwd")
    assert "users.jsonl: This is a link or a device" in told_of(folder)
    (folder / "users.jsonl").unlink()
    os.mkfifo(folder / "users.jsonl")
    assert "users.jsonl: This is a link or a device" in told_of(folder)
    (folder / "users.jsonl").unlink()
    (folder / "messages").rename(tmp_path / "messages")
    (folder / "messages").symlink_to(tmp_path / "messages")
    assert "messages: " in told_of(folder)


def test_r101_an_encrypted_entry_is_told(organization: Organization, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "secret.zip", entries_of(organization), zipfile.ZIP_STORED)
    octets = bytearray(path.read_bytes())
    at = octets.index(b"PK\x01\x02")
    octets[at + 8] |= 1  # the flag of the first entry, in the list of entries
    path.write_bytes(octets)
    assert "Pack the archive without a password" in told_of(path)


def test_r101_a_way_of_compressing_that_nobody_knows_is_told(organization: Organization, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "odd.zip", entries_of(organization), zipfile.ZIP_STORED)
    octets = bytearray(path.read_bytes())
    at = octets.index(b"PK\x01\x02")
    octets[at + 10 : at + 12] = struct.pack("<H", 97)
    path.write_bytes(octets)
    assert "in a way that MMS does not read" in told_of(path)


def test_r101_a_bomb_is_told_by_its_headers(tmp_path: Path) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", {"manifest.json": b"{}", "users.jsonl": b"\0" * (GUARDS.ratio_from + 1)})
    assert bomb.stat().st_size < 20_000
    assert "users.jsonl: The entry becomes more than 200 times as large" in told_of(bomb)


def test_r101_an_entry_that_is_larger_than_it_says_is_damaged(organization: Organization, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "lies.zip", {"manifest.json": b"{}", "users.jsonl": b"\0" * 5_000_000})
    octets = bytearray(path.read_bytes())
    at = octets.rindex(b"PK\x01\x02")
    octets[at + 24 : at + 28] = struct.pack("<L", 100)  # its size, in the list of entries
    path.write_bytes(octets)
    with zipfile.ZipFile(path) as zipped, pytest.raises(zipfile.BadZipFile), zipped.open("users.jsonl") as stream:
        stream.read()
    assert "users.jsonl" in told_of(path) or "manifest.json" in told_of(path)


def test_r101_entries_that_share_their_octets_are_refused(tmp_path: Path) -> None:
    """As of a bomb whose entries all lead to the same octets."""
    path = zip_of(tmp_path / "a.zip", {"manifest.json": b"{}", "users.jsonl": b"x" * 50, "rooms.jsonl": b"y" * 50})
    octets = bytearray(path.read_bytes())
    second = octets.index(b"PK\x01\x02", octets.index(b"PK\x01\x02") + 4)
    third = octets.index(b"PK\x01\x02", second + 4)
    octets[third + 42 : third + 46] = octets[second + 42 : second + 46]
    path.write_bytes(octets)
    assert "overlaps another one" in told_of(path)


def test_r101_sizes_and_numbers_are_bounded(organization: Organization, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    pack(organization.folder, path)
    for each in (path, organization.folder):
        assert "larger than 1,000 octets" in told_of(each, replace(GUARDS, entry_bytes=1_000))
        assert "Unpacked it is larger than 10,000 octets" in told_of(each, replace(GUARDS, total_bytes=10_000))
        assert "more than 5 entries" in told_of(each, replace(GUARDS, entries=5))
        assert "manifest.json: The entry is larger than 10 octets" in told_of(each, replace(GUARDS, manifest_bytes=10))


def test_r101_a_list_of_entries_without_end_is_not_read(tmp_path: Path) -> None:
    entry = b"PK\x01\x02" + b"\0" * 42
    many = 100_000
    octets = entry * many
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, many % 65_536, many % 65_536, len(octets), 0, 0)
    (tmp_path / "many.zip").write_bytes(octets + end)
    guards = replace(GUARDS, entries=1_000)
    tracemalloc.start()
    told = told_of(tmp_path / "many.zip", guards)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than 1,000 entries" in told
    assert peak < len(octets) / 4


@pytest.mark.parametrize(
    "octets", [b"", b"PK", b"PK\x05\x06", b"PK\x03\x04" + b"\0" * 100, b"\x1f\x8b" * 50, b"x" * 9_999]
)
def test_r101_what_is_no_zip_is_told(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "no.zip").write_bytes(octets)
    assert told_of(tmp_path / "no.zip") == "no.zip: This is not a ZIP file, or it is damaged."
    assert "neither a file nor a folder" in told_of(tmp_path / "nothing.zip")


def test_r101_a_zip_with_a_damaged_entry_is_refused(organization: Organization, tmp_path: Path) -> None:
    pack(organization.folder, tmp_path / "a.zip")
    octets = bytearray((tmp_path / "a.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        at = zipped.getinfo("rooms.jsonl").header_offset + 60
    octets[at : at + 40] = b"\xff" * 40
    (tmp_path / "a.zip").write_bytes(octets)
    assert told_of(tmp_path / "a.zip") == "rooms.jsonl: The entry is damaged."


def test_r101_a_zip_cut_short_anywhere_is_refused_in_a_sentence(organization: Organization, tmp_path: Path) -> None:
    pack(organization.folder, tmp_path / "a.zip")
    octets = (tmp_path / "a.zip").read_bytes()
    for part in range(1, 40):
        (tmp_path / "cut.zip").write_bytes(octets[: len(octets) * part // 40])
        assert told_of(tmp_path / "cut.zip")


def test_r101_a_zip_with_a_folder_around_says_what_to_do(organization: Organization, tmp_path: Path) -> None:
    entries = {f"archive/{name}": octets for name, octets in entries_of(organization).items()}
    assert "archive/users.jsonl" in told_of(zip_of(tmp_path / "around.zip", entries))


def test_r101_what_mms_packs_is_never_taken_for_a_bomb(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a") as writer:
        writer.principal(Principal("p"))
        writer.octets(io.BytesIO(bytes(GUARDS.ratio_from + 10)))
        writer.finish(source="test")
    pack(tmp_path / "a", tmp_path / "a.zip")
    with open_archive(tmp_path / "a.zip") as archive:
        assert archive.manifest.counts["users"] == 1


def test_r101_memory_does_not_grow_with_messages(tmp_path: Path) -> None:
    """Writing, checking and reading hold no more for ten times as many messages."""
    began = datetime(2010, 1, 1, tzinfo=UTC)
    peaks = []
    for count in (300, 3_000):
        folder = tmp_path / str(count)
        tracemalloc.start()
        with ArchiveWriter(folder) as writer:
            writer.principal(Principal("p"))
            messages = (Message(n, began + timedelta(seconds=n), "p", text="x" * 200) for n in range(1, count + 1))
            written = writer.messages("1", messages)
            writer.category(Category("c", "C"))
            writer.room(Room("1", "c", "R", messages=count, first=written.first, last=written.last))
            writer.finish(source="test")
        with open_archive(folder) as archive:
            assert sum(1 for _ in archive.messages("1")) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_r101_a_zip_that_was_damaged_anywhere_is_read_whole_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """Never anything else: no traceback, and no message that is not as it was."""
    organization = write_organization(tmp_path / "a", rooms=3, messages=12)
    pack(organization.folder, tmp_path / "a.zip")
    good = (tmp_path / "a.zip").read_bytes()
    listed = good.index(b"PK\x01\x02")
    chance = random.Random(11)  # noqa: S311 - repeatable, not secret
    whole, refused = 0, []
    for _ in range(200):
        octets = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 5))):
            begin = listed if chance.random() < 0.6 else 0
            octets[chance.randrange(begin, len(octets))] = chance.randrange(256)
        (tmp_path / "damaged.zip").write_bytes(octets)
        try:
            with open_archive(tmp_path / "damaged.zip") as archive:
                assert archive.manifest == organization.manifest
                assert {room.id: room for room in archive.rooms()} == organization.rooms
            whole += 1
        except Unusable as unusable:
            refused.append(unusable.in_a_sentence)
    assert len(refused) > 100
    assert all(refused)
    assert whole > 0  # where what was changed says nothing, such as the date of an entry


def test_r101_an_entry_without_a_name_is_refused(organization: Organization, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {**entries_of(organization), "x": b""})
    octets = path.read_bytes()
    at = octets.rindex(b"PK\x01\x02")
    nameless = octets[:at] + octets[at:].replace(b"\x01\x00", b"\x00\x00", 1)
    path.write_bytes(nameless)
    assert told_of(path)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000], ids=["infinite", "negative", "digits"])
def test_r101_a_number_that_could_not_be_written_again_is_refused(number: str) -> None:
    with pytest.raises(BadLine) as refused:
        object_of(b'{"id": "1", "further": %s}' % number.encode())
    assert refused.value.reason == "The line has a number that is too large."
