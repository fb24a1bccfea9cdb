"""A ZIP of Export-CsPersistentChatData is evidence, and nothing is guessed of it (R106)."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.sources import cmdlet_export
from migrations_app.chat.sources.cmdlet_export import recognise


def zipped(path: Path, names: list[str], dated: tuple[int, int, int, int, int, int] = (2026, 11, 2, 3, 4, 6)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, dated), b"whatever")
    return path


def test_r106_such_a_zip_is_told_apart_by_what_it_is_not(tmp_path: Path) -> None:
    path = zipped(tmp_path / "export.zip", ["a/one.bin", "two.dat"])
    evidence = recognise(path)
    assert evidence is not None
    assert (evidence.file_name, evidence.bytes, evidence.entries) == ("export.zip", path.stat().st_size, 2)
    assert evidence.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert evidence.dated == datetime(2026, 11, 2, 3, 4, 6, tzinfo=UTC)
    for part in ("does not know", "not published", "evidence", "tables of the database", "compliance service"):
        assert part in str(evidence.what)


@pytest.mark.parametrize(
    "names", [["manifest.json", "rooms.jsonl"], ["x/tblChat.csv"], ["TBLNODE.CSV"], ["a.xml", "b/c.XML"]]
)
def test_r106_what_mms_reads_is_no_such_zip(tmp_path: Path, names: list[str]) -> None:
    assert recognise(zipped(tmp_path / "x.zip", names)) is None


def test_r106_what_is_no_zip_is_none(tmp_path: Path) -> None:
    for octets in (b"", b"PK", b"PK and more text", b"<xml/>"):
        (tmp_path / "x").write_bytes(octets)
        assert recognise(tmp_path / "x") is None


def test_r106_a_date_that_no_tool_set_is_none(tmp_path: Path) -> None:
    evidence = recognise(zipped(tmp_path / "x.zip", ["a.bin"], (1980, 1, 1, 0, 0, 0)))
    assert evidence is not None
    assert evidence.dated is None


def test_r101_a_damaged_zip_and_one_with_too_many_entries_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "x.zip", [f"{number}.bin" for number in range(20)])
    monkeypatch.setattr(cmdlet_export, "MOST_ENTRIES", 19)
    with pytest.raises(Unusable, match="more than 19 entries"):
        recognise(path)
    monkeypatch.undo()
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b"PK\x01\x02", b"PK\x01\x03"))
    with pytest.raises(Unusable, match="damaged"):
        recognise(path)


def test_r106_entries_are_counted_where_there_are_more_than_an_old_zip_can_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    path = zipped(tmp_path / "x.zip", [f"{number}.bin" for number in range(20)])
    evidence = recognise(path)
    assert evidence is not None
    assert evidence.entries == 20
