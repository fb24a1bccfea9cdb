"""The exchange format: what is written is read, unknown fields stay, and every bad line is told (R100 to R102)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from migrations_app.chat.archive import writing
from migrations_app.chat.archive.limits import DEEPEST_CATEGORY, LONGEST_LINE, MOST_LINES, is_room_id
from migrations_app.chat.archive.packing import pack, packed
from migrations_app.chat.archive.problems import LISTED, Unusable
from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Level,
    Message,
    MessageKind,
    Principal,
    RoleName,
    Room,
)
from migrations_app.chat.archive.writing import ArchiveWriter
from tests.support.chat_archives import changed, copied, instead_of_line, with_line, with_manifest
from tests.support.chat_organization import Organization

AT = datetime(2008, 5, 28, 14, 2, 3, 123_000, tzinfo=UTC)


@pytest.fixture
def folder(organization: Organization, tmp_path: Path) -> Path:
    return copied(organization.folder, tmp_path / "copy")


def problems_of(folder: Path, **options: Any) -> list[str]:
    with pytest.raises(Unusable) as refused, open_archive(folder, **options):
        pass
    return [str(problem) for problem in refused.value.problems]


def octets_of(archive: Archive, file: ChatFile) -> bytes:
    with archive.octets(file) as stream:
        return stream.read()


def read_all(path: Path) -> dict[str, Any]:
    with open_archive(path) as archive:
        rooms = list(archive.rooms())
        files = list(archive.files())
        return {
            "manifest": archive.manifest,
            "principals": list(archive.principals()),
            "categories": list(archive.categories()),
            "rooms": rooms,
            "messages": {room.id: list(archive.messages(room.id)) for room in rooms},
            "files": files,
            "octets": {file.sha256: octets_of(archive, file) for file in files if not file.is_missing},
        }


def test_r100_a_folder_and_its_zip_say_the_same(organization: Organization, tmp_path: Path) -> None:
    pack(organization.folder, tmp_path / "archive.zip")
    of_folder, of_zip = read_all(organization.folder), read_all(tmp_path / "archive.zip")
    assert of_folder == of_zip
    assert of_folder["manifest"] == organization.manifest
    assert {room.id: room for room in of_folder["rooms"]} == organization.rooms
    assert sum(map(len, of_folder["messages"].values())) == 400
    assert b"".join(packed(organization.folder)) == (tmp_path / "archive.zip").read_bytes()


def test_r100_the_shape_of_the_format(organization: Organization) -> None:
    manifest = json.loads((organization.folder / "manifest.json").read_bytes())
    assert (manifest["format"], manifest["version"]) == ("mms-chat", 1)
    assert set(manifest) == {
        "format", "version", "created", "source", "level", "scope", "start_date", "counts", "notes", "entries",
    }  # fmt: skip
    assert all(set(entry) == {"path", "bytes", "lines", "sha256"} for entry in manifest["entries"])

    def fields(entry: str) -> list[str]:
        return list(json.loads((organization.folder / entry).read_bytes().splitlines()[0]))

    assert fields("users.jsonl") == ["id", "kind", "sip", "upn", "name", "email", "guid", "state"]
    assert fields("categories.jsonl")[:12] == [
        "id", "guid", "parent", "name", "description", "invitations", "history", "files", "allowed", "denied", "roles",
        "root",
    ]  # fmt: skip
    assert fields("rooms.jsonl")[:16] == [
        "id", "guid", "category", "name", "description", "type", "privacy", "invitations", "disabled", "add_in",
        "created", "roles", "messages", "first", "last",
    ]  # fmt: skip
    assert fields("files.jsonl")[:8] == ["id", "room", "name", "bytes", "sha256", "uploader", "at", "missing"]
    room = next(room for room in organization.rooms.values() if room.messages)
    message = json.loads((organization.folder / f"messages/{room.id}.jsonl").read_bytes().splitlines()[0])
    assert list(message)[:8] == ["n", "at", "ticks", "author", "kind", "text", "rtf", "file"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["at"])
    assert all(b"\r" not in path.read_bytes() for path in organization.folder.rglob("*.jsonl"))


def test_r100_names_and_text_are_untouched(tmp_path: Path) -> None:
    text = "e\u0301 é \u200f\x07\x00\x1f\u2028\u2029\r\n\t👨\u200d👩\u200d👧 \ufeff\ufffe <b>&amp;"
    more = {"x": {"y": [1, None, "ź"]}, "big": 2**80}
    person = Principal("p", name="Ze\u0301 \u202eabc", more=more)
    category = Category("c", "A\u0301", roles=(Grant("p", RoleName.CREATOR),), more=more)
    message = Message(1, AT, "p", MessageKind.STORY, text, "{\\rtf}", "f", 633482073409535482, more)
    file = ChatFile("f", "r", "a/../b", is_missing=True, uploader="p", at=AT, more=more)
    room = Room("r", "c", "R\u0301", created=AT, messages=1, first=AT, last=AT, left_out=3, more=more)
    with ArchiveWriter(tmp_path / "a") as writer:
        writer.principal(person)
        writer.category(category)
        writer.messages("r", [message])
        writer.room(room)
        writer.file(file)
        writer.finish(source="test", level=Level.ALL, more={"tool": [1]})
    read = read_all(tmp_path / "a")
    assert read["principals"] == [person]
    assert read["categories"] == [category]
    assert read["rooms"] == [room]
    assert read["messages"] == {"r": [message]}
    assert read["files"] == [file]
    assert read["manifest"].more == {"tool": [1]}
    assert read["manifest"].counts["left_out"] == 3


def test_r101_reading_goes_on_anywhere(organization: Organization, tmp_path: Path) -> None:
    room = max(organization.rooms.values(), key=lambda room: room.messages)
    pack(organization.folder, tmp_path / "archive.zip")
    for path in (organization.folder, tmp_path / "archive.zip"):
        with open_archive(path, check=False) as archive:
            whole = list(archive.messages_from(room.id, 0))
            for position in (0, 1, room.messages // 2, room.messages - 1):
                assert list(archive.messages_from(room.id, whole[position][1])) == whole[position + 1 :]
    assert [message.n for message, _ in whole] == sorted({message.n for message, _ in whole})


def test_r101_a_file_is_found_by_its_id_and_by_its_room(organization: Organization) -> None:
    with open_archive(organization.folder, check=False) as archive:
        files = list(archive.files())
        assert [archive.file(file.id) for file in files] == files
        assert archive.file("nowhere") is None
        assert [file for room in organization.rooms for file in archive.files_of(room)] == sorted(
            files, key=lambda file: list(organization.rooms).index(file.room)
        )


def test_r101_parents_come_before_their_children(folder: Path) -> None:
    changed(folder, "categories.jsonl", lambda octets: b"".join(reversed(octets.splitlines(keepends=True))))
    with open_archive(folder) as archive:
        seen: set[str] = set()
        for category in archive.categories():
            assert category.parent is None or category.parent in seen
            seen.add(category.id)
    assert len(seen) == 11


Change = Callable[[bytes], bytes]
BAD_MESSAGES: list[tuple[Change, str]] = [
    (instead_of_line(2, b"{"), "not JSON"),
    (instead_of_line(2, b""), "is empty"),
    (instead_of_line(2, b"[1]"), "not a JSON object"),
    (instead_of_line(2, b"\xff{}"), "not UTF-8"),
    (instead_of_line(2, b'{"n": NaN}'), "NaN is not a number"),
    (instead_of_line(2, b'{"n": 1, "n": 2}'), "“n” stands there twice"),
    (instead_of_line(2, b'{"x": ' + b"[" * 21 + b"]" * 21 + b"}"), "more than 20"),
    (instead_of_line(2, b"[" * 100_000), "more than 20"),
    (instead_of_line(2, b'{"n": ' + b"9" * 5_000 + b"}"), "a number that is too large"),
    (instead_of_line(2, b'{"text": "\\ud83d"}'), "lone surrogate"),
    (instead_of_line(2, b'{"text": "' + b"x" * LONGEST_LINE + b'"}'), "longer than 1,048,576"),
    (with_line(2, n=1), "does not follow"),
    (with_line(2, n=0), "“n” is not a whole number of at least 1"),
    (with_line(2, n=1.5), "“n”"),
    (with_line(2, n=True), "“n”"),
    (with_line(2, n=2**63), "“n”"),
    (with_line(2, ticks=-1), "“ticks”"),
    (with_line(2, at="yesterday"), "“at” is not a time"),
    (with_line(2, at="2008-05-28T14:02:03"), "“at” is not a time"),
    (with_line(2, at="2008-13-28T14:02:03Z"), "“at” is not a time"),
    (with_line(2, at=None), "“at” is missing"),
    (with_line(2, author=""), "“author” is missing"),
    (with_line(2, author="999"), "nobody with the id “999”"),
    (with_line(2, author="a\nb"), "not an id"),
    (with_line(2, kind="shout"), "“kind” is none of"),
    (with_line(2, kind=[]), "“kind” is none of"),
    (with_line(2, text=7), "“text” is not a text"),
    (with_line(2, file="unknown"), "no file with the id “unknown”"),
]


@pytest.mark.parametrize(("change", "told"), BAD_MESSAGES, ids=[told for _, told in BAD_MESSAGES])
def test_r101_every_bad_line_of_messages_is_told_with_entry_line_and_reason(
    organization: Organization, folder: Path, change: Change, told: str
) -> None:
    room = organization.special["open"]
    assert organization.rooms[room].messages > 2
    changed(folder, f"messages/{room}.jsonl", change)
    (problem,) = problems_of(folder)
    assert problem.startswith(f"messages/{room}.jsonl, line 2: ")
    assert told in problem
    with open_archive(folder, leave_out=frozenset({room})) as archive:  # the administrator leaves the room out
        assert room not in {each.id for each in archive.rooms()}
        assert list(archive.messages(room)) == []


BAD_LINES: list[tuple[str, Change, str]] = [
    ("users.jsonl", with_line(3, kind="robot"), "“kind” is none of: user, group, folder"),
    ("users.jsonl", with_line(3, id="501"), "“501” stands there twice"),
    ("users.jsonl", with_line(3, name="a\0b"), "U+0000"),
    ("users.jsonl", with_line(3, sip=["x"]), "“sip” is not a text"),
    ("users.jsonl", with_line(3, members=["998"]), "nobody with the id “998”"),
    ("users.jsonl", with_line(3, members="all"), "“members” is not a list"),
    ("users.jsonl", with_line(3, federated="no"), "neither true nor false"),
    ("categories.jsonl", with_line(3, parent="12"), "below itself"),
    ("categories.jsonl", with_line(3, parent="77"), "no category with the id “77”"),
    ("categories.jsonl", with_line(3, name=" "), "“name” is missing"),
    ("categories.jsonl", with_line(3, id="10"), "“10” stands there twice"),
    ("categories.jsonl", with_line(3, denied=["997"]), "nobody with the id “997”"),
    ("rooms.jsonl", with_line(3, category="66"), "no category with the id “66”"),
    ("rooms.jsonl", with_line(3, privacy="secret"), "“privacy” is none of"),
    ("rooms.jsonl", with_line(3, invitations="maybe"), "“invitations” is neither"),
    ("rooms.jsonl", with_line(3, roles=[{"principal": "501", "role": "king"}]), "“role” is none of"),
    ("rooms.jsonl", with_line(3, roles=[{"principal": "996", "role": "member"}]), "nobody with the id “996”"),
    ("rooms.jsonl", with_line(3, roles=[["501", "member"]]), "“roles”"),
    ("rooms.jsonl", with_line(3, messages=-1), "“messages”"),
    ("files.jsonl", with_line(3, sha256="AB"), "SHA-256"),
    ("files.jsonl", with_line(3, room="nowhere"), "no room with the id “nowhere”"),
    ("files.jsonl", with_line(3, missing=False, sha256="0" * 64), "no entry with its octets"),
]


@pytest.mark.parametrize(("entry", "change", "told"), BAD_LINES, ids=[f"{e[:5]} {told}" for e, _, told in BAD_LINES])
def test_r101_every_bad_line_of_the_lists_is_told(folder: Path, entry: str, change: Change, told: str) -> None:
    changed(folder, entry, change)
    problems = problems_of(folder)
    assert any(problem.startswith(f"{entry}, line 3: ") and told in problem for problem in problems), problems


@pytest.mark.parametrize(
    "wrong", ["../up", "..", "a/b", "a\\b", "/etc", "", ".hidden", "CON/x", "a" * 121, "a\n", "r:1", "é"]
)
def test_r101_the_id_of_a_room_is_never_a_path(organization: Organization, folder: Path, wrong: str) -> None:
    assert not is_room_id(wrong)
    changed(folder, "rooms.jsonl", with_line(7, id=wrong))
    assert any(
        problem.startswith("rooms.jsonl, line 7: ") and "the id of a room" in problem for problem in problems_of(folder)
    )
    with ArchiveWriter(folder / "new") as writer:
        with pytest.raises(Unusable, match="not the id of a room"):
            writer.room(Room(wrong, "10", "Room"))
        with pytest.raises(Unusable, match="not the id of a room"):
            writer.messages(wrong, [Message(1, AT, "501")])


def test_r101_all_bad_lines_are_told_at_once_and_only_so_many_kept(folder: Path, organization: Organization) -> None:
    room = organization.special["open"]
    changed(folder, f"messages/{room}.jsonl", lambda octets: b"{}\n" * (LISTED + 50))
    with pytest.raises(Unusable) as refused, open_archive(folder):
        pass
    assert len(refused.value.problems) == LISTED
    assert refused.value.count == LISTED + 50 + 2  # the room has another number, and so has the manifest
    assert "There are 1,051 more such problems." in str(refused.value)


def test_r101_a_room_whose_counts_or_times_are_others_is_told(folder: Path, organization: Organization) -> None:
    changed(folder, "rooms.jsonl", with_line(3, messages=1, first="2001-01-01T00:00:00.000Z"))
    (problem,) = problems_of(folder)
    assert problem.startswith("messages/103.jsonl: It has ")
    assert problem.endswith("1 by rooms.jsonl.")
    changed(folder, "rooms.jsonl", with_line(3, messages=organization.rooms["103"].messages))
    assert problems_of(folder) == [
        "messages/103.jsonl: The times of its first and its last message are not those of rooms.jsonl."
    ]


def test_r102_a_changed_octet_refuses_the_archive_as_a_whole(folder: Path, organization: Organization) -> None:
    room = organization.special["open"]
    entry = folder / f"messages/{room}.jsonl"
    entry.write_bytes(entry.read_bytes().replace(b'"kind"', b'"kinD"', 1))  # a bad line, too: no word of it
    assert problems_of(folder) == [f"messages/{room}.jsonl: Its checksum is not the one that the manifest has."]
    assert problems_of(folder, leave_out=frozenset({room})) == problems_of(folder)  # no room is left out of a checksum


def test_r102_an_entry_that_is_cut_short_lost_or_added_is_refused(folder: Path, organization: Organization) -> None:
    entry = folder / "users.jsonl"
    octets = entry.read_bytes()
    entry.write_bytes(octets[:-10])
    assert "by the manifest" in problems_of(folder)[0]
    entry.unlink()
    assert problems_of(folder) == ["users.jsonl: The manifest lists this entry, and it is not there."]
    entry.write_bytes(octets)
    (folder / "messages" / "999.jsonl").write_bytes(b"")
    assert problems_of(folder) == ["messages/999.jsonl: The manifest does not list this entry."]


def test_r102_each_reading_verifies_also_without_a_check_of_all(folder: Path, organization: Organization) -> None:
    file = next(iter((folder / "files").iterdir()))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with open_archive(folder, check=False) as archive:
        posted = next(each for each in archive.files() if each.sha256 == file.name)
        with pytest.raises(Unusable, match="checksum"):
            archive.octets(posted)
    assert problems_of(folder) == [f"files/{file.name}: Its checksum is not the one that the manifest has."]


MANIFESTS: list[tuple[dict[str, Any], str]] = [
    ({"format": "zip"}, "not a chat archive"),
    ({"version": 2}, "version 2"),
    ({"version": True}, "version True"),
    ({"created": None}, "“created” is missing"),
    ({"level": "Everything"}, "“level” is none of: User"),
    ({"start_date": "soon"}, "“start_date” is not a date"),
    ({"scope": "all"}, "“scope” is not a list"),
    ({"counts": {"rooms": "many"}}, "whole numbers"),
    ({"counts": {"rooms": 7}}, "It counts 7 of “rooms”, and there are 24"),
    ({"entries": {}}, "“entries” is not a list"),
    ({"entries": [{"path": "../x", "bytes": 0, "lines": 0, "sha256": "0" * 64}]}, "“../x”, which no archive has"),
]


@pytest.mark.parametrize(("fields", "told"), MANIFESTS, ids=[told for _, told in MANIFESTS])
def test_r102_a_manifest_that_cannot_be_is_told(folder: Path, fields: dict[str, Any], told: str) -> None:
    with_manifest(folder, lambda manifest: manifest.update(fields))
    assert any(told in problem for problem in problems_of(folder))


def test_r102_a_manifest_that_is_no_json_or_missing_is_told(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"{")
    assert problems_of(folder)[0].startswith("manifest.json: The line is not JSON")
    (folder / "manifest.json").unlink()
    assert "There is no manifest.json" in problems_of(folder)[0]


def test_r100_half_an_archive_is_none(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a") as writer:
        writer.principal(Principal("1"))
    assert "There is no manifest.json" in problems_of(tmp_path / "a")[0]
    with pytest.raises(FileExistsError):
        ArchiveWriter(tmp_path / "a")


def test_r101_what_fits_into_no_line_is_told_when_it_is_written(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a") as writer:
        with pytest.raises(Unusable, match=r"messages/1\.jsonl, line 2: The line is longer"):
            writer.messages("1", [Message(1, AT, "p"), Message(2, AT, "p", rtf="x" * LONGEST_LINE)])
        with pytest.raises(Unusable, match="lone surrogate"):
            writer.principal(Principal("1", name="\ud83d"))


def test_r100_octets_are_kept_once_under_their_checksum(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a") as writer:
        stored = [writer.octets(io.BytesIO(octets)) for octets in (b"same", b"same", b"", b"x" * 600_000)]
        manifest = writer.finish(source="test")
    assert stored[0] == stored[1]
    assert {entry.path for entry in manifest.entries if entry.path.startswith("files/")} == {
        f"files/{sha256}" for sha256, _ in stored
    }
    with open_archive(tmp_path / "a") as archive:
        read = [octets_of(archive, ChatFile("f", "r", "n", size, sha256)) for sha256, size in stored]
    assert read == [b"same", b"same", b"", b"x" * 600_000]


def test_r101_content_alone_may_name_categories_that_its_reader_knows(tmp_path: Path) -> None:
    for level, fails in ((Level.CONTENT, False), (Level.ALL, True)):
        folder = tmp_path / level
        with ArchiveWriter(folder) as writer:
            writer.room(replace(Room("1", "unknown", "Room")))
            writer.finish(source="test", level=level)
        if fails:
            assert "no category with the id “unknown”" in problems_of(folder)[0]
        else:
            assert len(read_all(folder)["rooms"]) == 1


def test_r101_lists_that_are_held_in_memory_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST_LINES, "users.jsonl", 20)
    assert problems_of(folder) == ["users.jsonl: It has more than 20 lines."]


def test_r101_categories_are_not_nested_without_end(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "a") as writer:
        for depth in range(DEEPEST_CATEGORY + 2):
            writer.category(Category(f"c{depth}", "C", parent=f"c{depth - 1}" if depth else None))
        writer.finish(source="test")
    problems = problems_of(tmp_path / "a")
    assert len(problems) == 2
    assert all("nested more than 32 levels deep" in problem for problem in problems)


def test_r101_a_room_whose_own_line_is_bad_can_be_left_out(folder: Path) -> None:
    changed(folder, "rooms.jsonl", with_line(3, privacy="secret", category="nowhere", messages="many"))
    assert problems_of(folder)
    with open_archive(folder, leave_out=frozenset({"103"})) as archive:
        assert len(list(archive.rooms())) == 23
    assert problems_of(folder, leave_out=frozenset({"103", "unknown"})) == [
        "rooms.jsonl: There is no room with the id “unknown” to leave out."
    ]


def test_r100_many_posted_files_reach_the_disk_before_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(writing, "_KEPT_ONE_BY_ONE", 2)
    monkeypatch.setattr(writing.os, "sync", lambda: synced.append((tmp_path / "a" / "manifest.json").exists()))
    with ArchiveWriter(tmp_path / "a") as writer:
        for number in range(3):
            writer.octets(io.BytesIO(b"%d" % number))
        writer.finish(source="test")
    assert synced == [False]
