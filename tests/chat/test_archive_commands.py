"""The commands that export, list and set (R128)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archives import delete_archive, settings_of, store_export
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_archives import changed, copied, instead_of_line
from tests.support.chat_organization import Organization
from tests.support.commands import Command

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tenant", "data_dir")]


@pytest.fixture
def source(organization: Organization) -> str:
    return f"mms-chat:{organization.folder}"


def test_r128_export_chat_writes_an_archive(command: Command, source: str, tmp_path: Path) -> None:
    output = tmp_path / "chat.zip"
    told = command("export_chat", "--source", source, "--output", str(output))
    assert told.splitlines() == [
        f"Written to {output}: 22 rooms, 392 messages, 20 files, 24 people.",
        "2 rooms that are disabled at the source were left out.",
    ]
    with open_archive(output) as archive:
        assert archive.manifest.counts["rooms"] == 22
    assert (output.stat().st_mode & 0o777) == 0o600
    assert [each.name for each in tmp_path.glob("*.zip")] == ["chat.zip"]
    assert not list(tmp_path.glob(".export-*"))
    entry = AuditEntry.objects.get(action="export chat")
    assert (entry.target, entry.after["messages"], entry.channel) == ("chat.zip", 392, "command")


def test_r128_all_options_of_export_chat(
    command: Command, source: str, organization: Organization, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "0988239a-0000-4000-8000-000000000001.txt").write_bytes(b"nobody links to it")
    room = organization.special["scoped"]
    told = command(
        "export_chat", "--source", source, "--output", str(tmp_path / "a.zip"), "--level", "All",
        "--scope", "Networks", "Core & Edge", "--start-date", "2008-08-01", "--include-disabled", "--disable-exported",
        "--files", str(store), "--leave-out", room,
    )  # fmt: skip
    assert "older than the start date" in told
    with open_archive(tmp_path / "a.zip") as archive:
        rooms = {each.id: each for each in archive.rooms()}
        assert room not in rooms
        assert {each.category for each in rooms.values()} == {"11", "12"}
        assert archive.manifest.more["disable_exported"] is True
    script = (tmp_path / "a.disable.ps1").read_text("utf-8-sig")
    assert script.count("Set-CsPersistentChatRoom -Identity ($Pool") == len(rooms)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.files.csv").read_text("utf-8"))))
    assert {"what": "file-without-link", "room": "", "name": "0988239a-0000-4000-8000-000000000001.txt",
            "store_name": "0988239a-0000-4000-8000-000000000001.txt", "bytes": "18"} in rows  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told", "status"),
    [
        (("--source", "skype:x", "--output", "a.zip"), "is not KIND:PATH", 2),
        (("--source", "mms-chat", "--output", "a.zip"), "is not KIND:PATH", 2),
        (("--source", "mms-chat:x", "--output", "a.tar"), "end in .zip", 2),
        (("--source", "mms-chat:x", "--output", "a.zip", "--start-date", "soon"), "is not a day", 2),
        (
            ("--source", "mms-chat:x", "--output", "a.zip", "--level", "User", "--start-date", "2012-01-01"),
            "leave the date out",
            2,
        ),
        (("--source", "mms-chat:nowhere", "--output", "a.zip"), "1 problem: nothing was written.", 1),
        (("--source", "mms-chat:x", "--output", "no/such/folder/a.zip"), "There is no folder", 1),
    ],
)
def test_r128_bad_input_gets_one_sentence(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    told: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=told) as refused:
        command("export_chat", *arguments)
    assert refused.value.returncode == status
    assert list(tmp_path.glob("*.zip")) == []


def test_r101_bad_lines_are_printed_and_nothing_is_written(
    command: Command, organization: Organization, tmp_path: Path
) -> None:
    folder = copied(organization.folder, tmp_path / "bad")
    room = organization.special["open"]
    changed(folder, f"messages/{room}.jsonl", lambda octets: b"{}\n" * 30)
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"problems: nothing was written\. 1\d of them are not shown"):
        command("export_chat", "--source", f"mms-chat:{folder}", "--output", str(tmp_path / "a.zip"), errors=errors)
    assert f"messages/{room}.jsonl, line 1: " in errors.getvalue()
    assert len(errors.getvalue().splitlines()) == 20
    assert not (tmp_path / "a.zip").exists()
    assert not AuditEntry.objects.filter(action="export chat").exists()
    changed(folder, f"messages/{room}.jsonl", instead_of_line(1, b"{}"))


def test_r108_a_category_that_is_not_there_is_told(command: Command, source: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no category “Finance”"):
        command("export_chat", "--source", source, "--output", str(tmp_path / "a.zip"), "--scope", "Finance")
    assert list(tmp_path.glob("*.zip")) == []


def test_r129_stored_archives_are_listed(command: Command, tenant: Tenant, organization: Organization) -> None:
    assert command("get_chat_archive") == "There is no chat archive.\n"
    for name in ("First", "Second"):
        store_export(tenant, ACTOR, name, lambda into: copy(organization.folder, into))
    first = tenant.chat_archives.get(name="First")
    delete_archive(first, ACTOR)
    listed = json.loads(command("get_chat_archive", "--format", "json"))
    assert [(row["Name"], row["Rooms"], row["Messages"]) for row in listed] == [("Second", 24, 400)]
    deleted = json.loads(command("get_chat_archive", "--deleted", "--format", "json"))
    assert {row["Name"]: row["State"] for row in deleted} == {"First": "Deleted", "Second": "Stored"}
    assert "SHA256" in command("get_chat_archive", "second")
    with pytest.raises(CommandError, match="There is no archive “first”"):
        command("get_chat_archive", "first")


def test_r113_settings_are_set_by_command(command: Command, tenant: Tenant) -> None:
    told = command("set_chat_settings", "--separator", " / ", "--keep-archives-days", "365")
    assert told.splitlines()[1] == f"{tenant.name}: keep_archives_days none → 365"
    assert (settings_of(tenant).separator, settings_of(tenant).keep_archives_days) == (" / ", 365)
    command("set_chat_settings", "--keep-archives")
    assert settings_of(tenant).keep_archives_days is None
    with pytest.raises(CommandError, match="Nothing to set"):
        command("set_chat_settings")
    with pytest.raises(CommandError, match="seen"):
        command("set_chat_settings", "--separator", "  ")
