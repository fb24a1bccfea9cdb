"""What lies at a path is recognised by its names, and opened; ZIP files of tables and XML are unpacked with care."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.sources.of_path import KINDS, kind_of, open_source
from migrations_app.chat.sources.unpacking import unpack
from tests.support.chat_archives import zip_of
from tests.support.chat_organization import Organization


def test_r103_an_archive_is_a_source(organization: Organization, tmp_path: Path) -> None:
    pack(organization.folder, tmp_path / "a.zip")
    for path in (organization.folder, tmp_path / "a.zip"):
        assert kind_of(path) == "mms-chat"
        with open_source("mms-chat", path, name="Contoso") as source:
            assert (source.kind, source.name) == ("mms-chat", "Contoso")
            assert {room.id: room for room in source.rooms()} == organization.rooms
            assert [category.id for category in source.categories()][:4] == ["1", "10", "11", "12"]
            for file in source.files():
                octets = source.octets(file)
                assert (octets is None) == file.is_missing
                if octets is not None:
                    octets.close()
            assert source.ignored == {}


def test_r103_a_room_is_left_out_on_request(organization: Organization) -> None:
    room = organization.special["open"]
    with open_source("mms-chat", organization.folder, leave_out=(room,)) as source:
        assert room not in {each.id for each in source.rooms()}
        assert room not in {file.room for file in source.files()}


def test_r103_kinds_are_told_apart_by_names(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"<Conversations/>")
    assert kind_of(tmp_path / "a.xml") == "compliance-xml"
    assert kind_of(tmp_path) == "compliance-xml"
    (tmp_path / "tblNode.csv").write_bytes(b"")
    assert kind_of(tmp_path) == "mgc-tables"
    packed = {
        "tables.zip": ({"tables/tblNode.csv": b"", "tables/tblChat.csv": b""}, "mgc-tables"),
        "compliance.zip": ({"a.xml": b"", "b.xml": b"", "rooms.csv": b""}, "compliance-xml"),
        "export.zip": ({"data.xml": b"", "blob.bin": b""}, None),
        "nothing.zip": ({}, None),
    }
    for name, (entries, kind) in packed.items():
        assert kind_of(zip_of(tmp_path / name, entries)) == kind
    with pytest.raises(Unusable, match="not a ZIP file"):
        kind_of(_file(tmp_path / "b.zip"))


def _file(path: Path) -> Path:
    path.write_bytes(b"no zip")
    return path


def test_r103_what_cannot_be_opened_is_told(organization: Organization, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="Choose one of: mms-chat, mgc-tables, compliance-xml"):
        open_source("skype", organization.folder)
    for kind in KINDS:
        with pytest.raises(Unusable, match="neither a file nor a folder"):
            open_source(kind, tmp_path / "nothing")


def test_r101_unpacking_takes_what_is_wanted_and_nothing_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    path = zip_of(
        tmp_path / "a.zip", {"x/tblNode.csv": b"1", "x/y/tblChat.csv": b"2", "readme.txt": b"3", ".a.csv": b""}
    )
    unpack(path, folder, (".csv",))
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == {"tblNode.csv": b"1", "tblChat.csv": b"2"}
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"../tblNode.csv": b""}, "leads out"),
        ({"/tblNode.csv": b""}, "leads out"),
        ({"a/tblNode.csv": b"", "b/TBLNODE.csv": b""}, "another file of this name"),
        ({"tblNode.csv": b"\0" * 11 * 1024 * 1024}, "times as large"),
    ],
)
def test_r101_a_hostile_zip_of_tables_is_refused_and_leaves_nothing(
    tmp_path: Path, entries: dict[str | zipfile.ZipInfo, bytes], told: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = zip_of(tmp_path / "a.zip", entries)
    with pytest.raises(Unusable, match=told):
        open_source("mgc-tables", path, scratch=scratch)
    assert list(scratch.iterdir()) == []
