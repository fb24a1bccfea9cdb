"""What is given on the page: read in the background, kept as an archive or as evidence, or refused with reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from migrations_app import registry
from migrations_app.chat import evidence, folders, keeping, readings
from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archives import open_stored
from migrations_app.models import ChatArchive, ChatEvidence, ChatReading
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_archives import changed, copied, instead_of_line, zip_of
from tests.support.chat_organization import Organization

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]

Submit = Callable[..., ChatReading]


@pytest.fixture
def submit(tenant: Tenant) -> Submit:
    def given(path: Path, *, name: str = "", kind: str = "", **options: Any) -> ChatReading:
        file = SimpleUploadedFile(path.name, path.read_bytes())
        return readings.submit(tenant, ACTOR, file, kind=kind, name=name, options=options)

    return given


@pytest.fixture
def packed(organization: Organization, tmp_path: Path) -> Path:
    path = tmp_path / "Contoso.zip"
    pack(organization.folder, path)
    return path


def read_all() -> None:
    now = timezone.now()
    assert readings.is_due(now)
    readings.advance(now + timedelta(minutes=1))


def left_below(kind: str) -> list[str]:
    return [found.name for found in folders.lying(kind)]


def test_r103_an_archive_that_is_given_is_kept_as_it_is(
    submit: Submit, packed: Path, organization: Organization
) -> None:
    reading = submit(packed)
    assert reading.state == "Waiting"
    read_all()
    reading.refresh_from_db()
    assert (reading.state, reading.problem_count, reading.attempts) == ("Read", 0, 1)
    archive = reading.archive
    assert archive is not None
    assert (archive.name, archive.stored_by) == ("Contoso", "test")
    manifest = (organization.folder / "manifest.json").read_bytes()
    assert archive.sha256 == hashlib.sha256(manifest).hexdigest()
    assert AuditEntry.objects.get(action="store chat archive").actor == "test"
    assert left_below(folders.READINGS) == []  # what was given has text in it
    assert not readings.is_due(timezone.now())


def test_r107_what_is_asked_for_is_what_is_kept(submit: Submit, packed: Path) -> None:
    submit(packed, name="Networks", level="RoomDirectory", scope=["Networks"], include_disabled=True)
    submit(packed, name="Later", start_date="2008-08-01")
    read_all()
    networks, later = (ChatArchive.objects.get(name=name) for name in ("Networks", "Later"))
    assert (networks.level, networks.scope, networks.counts["messages"]) == ("RoomDirectory", ["Networks"], 0)
    assert networks.counts["categories"] == 3
    assert str(later.start_date) == "2008-08-01"
    assert later.counts["left_out"] > 0


def test_r101_every_problem_is_told_and_nothing_kept(
    submit: Submit, organization: Organization, tmp_path: Path
) -> None:
    folder = copied(organization.folder, tmp_path / "bad")
    room = organization.special["open"]
    changed(folder, f"messages/{room}.jsonl", instead_of_line(2, b"{"))
    changed(folder, "users.jsonl", instead_of_line(24, b"[]"))
    pack(folder, tmp_path / "bad.zip")
    reading = submit(tmp_path / "bad.zip")
    read_all()
    reading.refresh_from_db()
    assert (reading.state, reading.archive) == ("Refused", None)
    assert reading.problem_count == len(reading.problems) >= 2
    assert "users.jsonl, line 24: The line is not a JSON object." in reading.problems
    assert any(problem.startswith(f"messages/{room}.jsonl, line 2: ") for problem in reading.problems)
    assert left_below(folders.ARCHIVES) == left_below(folders.READINGS) == []
    assert not ChatArchive.objects.exists()


def test_r101_rooms_with_bad_lines_are_left_out_when_somebody_says_which(
    submit: Submit, organization: Organization, tmp_path: Path
) -> None:
    folder = copied(organization.folder, tmp_path / "bad")
    room = organization.special["open"]
    changed(folder, f"messages/{room}.jsonl", instead_of_line(2, b"{"))
    pack(folder, tmp_path / "bad.zip")
    reading = submit(tmp_path / "bad.zip", leave_out=[room], include_disabled=True)
    read_all()
    reading.refresh_from_db()
    assert reading.archive is not None, reading.problems
    with open_stored(reading.archive) as opened:
        assert {each.id for each in opened.rooms()} == set(organization.rooms) - {room}


def test_r106_a_zip_of_the_cmdlet_is_kept_as_evidence_and_answered(submit: Submit, tmp_path: Path) -> None:
    path = zip_of(tmp_path / "PersistentChatData.zip", {"data/part1.bin": b"\1\2", "info.dat": b"x"})
    reading = submit(path)
    read_all()
    reading.refresh_from_db()
    assert (reading.state, reading.archive) == ("Read", None)
    kept = reading.evidence
    assert kept is not None
    assert (kept.file_name, kept.bytes) == ("PersistentChatData.zip", path.stat().st_size)
    assert kept.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "Export-CsPersistentChatData" in str(kept.what)
    assert AuditEntry.objects.get(action="store chat evidence").after["sha256"] == kept.sha256
    assert b"".join(evidence.download(kept, ACTOR)) == path.read_bytes()
    assert AuditEntry.objects.get(action="download chat evidence").target == "PersistentChatData.zip"


def test_r101_a_hostile_zip_is_refused_in_the_background_too(submit: Submit, tmp_path: Path) -> None:
    reading = submit(zip_of(tmp_path / "evil.zip", {"../../outside": b"x", "manifest.json": b"{}"}))
    read_all()
    reading.refresh_from_db()
    assert reading.state == "Refused"
    assert "leads out of the archive" in str(reading.problems[0])


def test_r101_what_is_no_file_of_chat_is_refused(submit: Submit, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"no zip at all")
    (tmp_path / "no.xml").write_bytes(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    made = [submit(tmp_path / name) for name in ("no.zip", "no.xml")]
    read_all()
    for reading in made:
        reading.refresh_from_db()
        assert reading.state == "Refused"
        assert reading.problems


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("a.rar", {}, "Give a ZIP file"),
        ("a", {}, "Give a ZIP file"),
        ("a.zip", {"level": "Everything"}, "Choose one of: User"),
        ("a.zip", {"level": "User", "start_date": "2012-01-01"}, "leave the date out"),
        ("a.zip", {"start_date": "January"}, "a date such as"),
        ("a.zip", {"kind": "skype"}, "Choose one of: mms-chat"),
        ("a.zip", {"name": "x" * 151}, "at most 150"),
    ],
)
def test_r107_what_cannot_be_read_is_refused_at_once(
    submit: Submit, tmp_path: Path, name: str, options: dict[str, Any], told: str
) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ValidationError, match=told):
        submit(tmp_path / name, **options)
    assert not ChatReading.objects.exists()
    assert left_below(folders.READINGS) == []


def test_r101_a_file_that_is_too_large_for_a_page_is_refused(
    submit: Submit, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "MOST_OCTETS", 100)
    with pytest.raises(ValidationError, match="export_chat"):
        submit(packed)
    assert left_below(folders.READINGS) == []


def test_r129_a_name_that_is_taken_meanwhile_refuses_the_reading(submit: Submit, packed: Path) -> None:
    first, second = submit(packed), submit(packed)
    read_all()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("Read", "Refused")
    assert "already" in str(second.problems[0])


def test_r129_a_worker_that_is_killed_leaves_no_half_archive_and_the_next_goes_on(
    submit: Submit, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As a worker that ends in the middle, whatever it was doing."""

    reading = submit(packed)

    def killed(*args: Any, **named: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(readings, "_end", killed)
        with pytest.raises(Killed):
            read_all()
    reading.refresh_from_db()
    assert (reading.state, reading.attempts) == ("Waiting", 1)
    assert not ChatArchive.objects.exists()
    read_all()
    reading.refresh_from_db()
    assert reading.state == "Read"
    assert len(left_below(folders.ARCHIVES)) == 1


def test_r129_a_reading_that_never_ends_is_given_up(
    submit: Submit, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = submit(packed)

    def fails(*args: Any) -> None:
        raise RuntimeError("an error of the program")

    monkeypatch.setattr(readings, "copy", fails)
    for attempt in range(1, readings.ATTEMPTS + 1):
        read_all()
        reading.refresh_from_db()
        assert (reading.state, reading.attempts) == ("Waiting", attempt)
    read_all()
    reading.refresh_from_db()
    assert reading.state == "Refused"
    assert "export_chat" in str(reading.problems[0])


def test_r129_one_process_reads_and_the_others_pass_by(submit: Submit, packed: Path) -> None:
    reading = submit(packed)
    with folders.held(reading.tenant_id, folders.READINGS, reading.folder):
        read_all()
        reading.refresh_from_db()
        assert (reading.state, reading.attempts) == ("Waiting", 0)
    read_all()
    reading.refresh_from_db()
    assert reading.state == "Read"


def test_r129_a_full_disk_is_told(submit: Submit, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    reading = submit(packed)
    monkeypatch.setattr(readings, "copy", full)
    read_all()
    reading.refresh_from_db()
    assert (reading.state, left_below(folders.ARCHIVES)) == ("Refused", [])
    assert "No space left on device" in str(reading.problems[0])


def test_r129_what_nobody_needs_is_swept(submit: Submit, packed: Path, tenant: Tenant) -> None:
    reading = submit(packed)
    for kind in (folders.READINGS, folders.EVIDENCE):
        folders.folder_of(tenant.pk, kind, folders.new_name()).mkdir(parents=True)
    assert (readings.sweep(), evidence.sweep()) == (1, 1)
    assert left_below(folders.READINGS) == [reading.folder]
    read_all()
    keeping.look(timezone.now() + keeping.KEPT + timedelta(minutes=1))
    assert not ChatReading.objects.exists()
    assert ChatArchive.objects.count() == 1


def test_r129_readings_and_keeping_are_procedures(
    submit: Submit, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {readings, keeping} <= set(registry.PROCEDURES)
    looked: list[datetime] = []
    monkeypatch.setattr(keeping, "look", looked.append)
    monkeypatch.setattr(keeping, "_last", [])
    until = timezone.now() + timedelta(minutes=1)
    keeping.advance(until)
    keeping.advance(until)
    assert len(looked) == 1  # once an hour
    assert not keeping.is_due(until)
    assert ChatEvidence.objects.count() == 0
