"""Archives of chat in the browser: giving a file, what it became, downloading and deleting; and no text on any page."""

from __future__ import annotations

import errno
import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from migrations_app.chat import folders, readings
from migrations_app.chat.archives import store_export
from migrations_app.models import ChatArchive, ChatEvidence, ChatPlan, ChatReading
from migrations_app.screens.chat import archives as screen
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_rows import a_plan, a_target
from tests.support.chat_small import MARK, MESSAGES, ROOMS, small_zip, write_small
from tests.support.pages import words
from tests.support.visitors import sign_in

PLACE = "/contoso/chat/archives/"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.MMS_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def archive(tenant: Tenant) -> ChatArchive:
    return store_export(tenant, ACTOR, "Group Chat", write_small)


def give(client: Client, content: bytes, name: str = "chat.zip", **more: Any) -> Any:
    return client.post(PLACE, {"file": SimpleUploadedFile(name, content), **more})


def work() -> None:
    readings.advance(timezone.now() + timedelta(seconds=30))


def page(client: Client, address: str) -> str:
    return words(client.get(address).content)


def zip_of(**files: bytes) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return octets.getvalue()


# --- giving a file ------------------------------------------------------------------------------------


def test_r103_an_operator_gives_an_archive_and_follows_it_until_it_is_one(bob: Client) -> None:
    answer = give(bob, small_zip(), name="Group Chat.zip")
    assert answer.status_code == 302
    assert "It is being read." in page(bob, answer.url)
    work()
    assert "It is an archive now." in page(bob, answer.url)
    archive = ChatArchive.objects.get()
    assert (archive.name, archive.stored_by) == ("Group Chat", "bob")
    told = page(bob, f"{PLACE}{archive.pk}/")
    assert f"Rooms {len(ROOMS)}" in told
    assert all(name in told for name in ROOMS.values())
    assert "Contoso / IT" in told
    assert archive.sha256 in told


@pytest.mark.parametrize("what", ["nothing", "no archive", "half an archive", "a path that leaves", "changed"])
def test_r101_hostile_and_broken_files_are_refused_with_their_problems_and_nothing_is_kept(
    bob: Client, what: str
) -> None:
    given = {
        "nothing": b"",
        "no archive": b"GIF89a",
        "half an archive": small_zip()[:400],
        "a path that leaves": zip_of(**{"../../etc/cron.d/x": b"* * * * * root x", "manifest.json": b"{}"}),
        "changed": _changed(small_zip()),
    }[what]
    answer = give(bob, given)
    assert answer.status_code == 302
    work()
    told = page(bob, answer.url)
    assert "It was refused, and nothing of it is kept." in told
    assert ChatReading.objects.get().problem_count >= 1
    assert "Traceback" not in told
    assert not ChatArchive.objects.exists()


def _changed(octets: bytes) -> bytes:
    """The archive with one message that is another than its manifest says."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(octets)) as before, zipfile.ZipFile(changed, "w") as after:
        for info in before.infolist():
            after.writestr(info.filename, before.read(info).replace(b"helpdesk 3", b"helpdesk 4"))
    return changed.getvalue()


def test_r106_the_export_of_the_cmdlet_is_kept_as_evidence_and_the_page_says_what_works(bob: Client) -> None:
    answer = give(bob, zip_of(**{"0001.dat": b"\x00\x01", "0002.dat": b"\x02"}), name="Export.zip")
    work()
    told = page(bob, answer.url)
    assert "It is kept as evidence." in told
    kept = ChatEvidence.objects.get()
    assert kept.sha256 in told
    assert kept.file_name in page(bob, PLACE)


def test_what_is_no_zip_and_no_xml_is_refused_beside_the_field(bob: Client) -> None:
    answer = give(bob, b"x", name="chat.bak")
    assert answer.status_code == 200
    assert "Give a ZIP file" in words(answer.content)
    assert not ChatReading.objects.exists()


def test_a_full_disk_is_told_beside_the_form_and_nothing_is_kept(bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(readings, "_write", full)
    answer = give(bob, small_zip())
    assert answer.status_code == 200
    assert "The file cannot be kept (No space left on device)" in words(answer.content)
    assert not ChatReading.objects.exists()
    assert not list(folders.lying(folders.READINGS))


def test_a_name_that_another_archive_has_is_refused_beside_the_field(bob: Client, archive: ChatArchive) -> None:
    answer = bob.post(PLACE, {"file": SimpleUploadedFile("chat.zip", small_zip()), "name": "GROUP CHAT"})
    assert answer.status_code == 200
    assert "Nothing was saved." in words(answer.content)
    assert not ChatReading.objects.exists()


def test_what_is_too_large_for_the_page_is_not_read_and_the_command_is_named(
    bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "LARGEST_UPLOAD", 100)
    answer = give(bob, small_zip())
    assert answer.status_code == 413
    assert "export_chat" in words(answer.content)
    assert not ChatReading.objects.exists()


def test_a_post_without_the_token_of_the_page_is_refused(bob: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = bob.cookies
    assert give(strict, small_zip()).status_code == 403
    assert not ChatReading.objects.exists()


def test_options_that_do_not_go_together_are_refused_in_a_sentence(bob: Client) -> None:
    answer = give(bob, small_zip(), level="User", start_date="2012-01-01")
    assert answer.status_code == 200
    assert not ChatReading.objects.exists()


def test_the_scripts_for_the_tables_are_handed_out(vera: Client) -> None:
    for kind, word in (("sql", b"tblChat"), ("powershell", b"tblChat")):
        answer = vera.get(f"{PLACE}script/{kind}/")
        assert answer.status_code == 200
        assert word in answer.content
        assert "attachment" in answer["Content-Disposition"]
    assert vera.get(f"{PLACE}script/python/").status_code == 404


# --- one archive --------------------------------------------------------------------------------------


def test_r129_no_page_of_an_archive_shows_the_text_of_a_message(
    alice: Client, bob: Client, vera: Client, archive: ChatArchive
) -> None:
    for client in (alice, bob, vera):
        for address in ("/contoso/chat/", PLACE, f"{PLACE}{archive.pk}/", f"{PLACE}{archive.pk}/?page=2"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert MARK not in answer.content.decode()


def test_r129_an_admin_downloads_the_archive_and_the_audit_says_so(alice: Client, archive: ChatArchive) -> None:
    answer = alice.post(f"{PLACE}{archive.pk}/download/")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as taken:
        lines = taken.read("messages/helpdesk.jsonl").splitlines()
    assert len(lines) == MESSAGES
    told = AuditEntry.objects.get(action="download chat archive")
    assert (told.actor, told.target) == ("alice", "Group Chat")


def test_r129_others_do_not_download_it_and_a_look_at_the_address_takes_nothing(
    alice: Client, bob: Client, vera: Client, archive: ChatArchive
) -> None:
    for client in (bob, vera):
        assert client.post(f"{PLACE}{archive.pk}/download/").status_code == 403
        assert "Download" not in page(client, f"{PLACE}{archive.pk}/")
    assert alice.get(f"{PLACE}{archive.pk}/download/").status_code == 405
    assert not AuditEntry.objects.filter(action="download chat archive").exists()


def test_an_archive_is_deleted_after_one_more_question_and_its_row_stays(alice: Client, archive: ChatArchive) -> None:
    address = f"{PLACE}{archive.pk}/delete/"
    assert "cannot be brought back" in page(alice, address)
    assert ChatArchive.objects.get().state == "Stored"
    assert alice.post(address).status_code == 302
    assert ChatArchive.objects.get().state == "Deleted"
    assert "Only what stands here is left of it." in page(alice, f"{PLACE}{archive.pk}/")
    assert alice.post(f"{PLACE}{archive.pk}/download/", follow=True).status_code == 200
    assert not AuditEntry.objects.filter(action="download chat archive").exists()


def test_an_archive_that_an_import_needs_is_not_deleted_and_the_page_says_why(
    alice: Client, archive: ChatArchive
) -> None:
    a_plan(archive, a_target(archive.tenant), state=ChatPlan.State.IMPORTING)
    address = f"{PLACE}{archive.pk}/delete/"
    assert "Plan 1 needs the archive" in page(alice, address)
    alice.post(address)
    assert ChatArchive.objects.get().state == "Stored"


def test_an_archive_whose_folder_is_gone_says_so_and_the_page_stands(
    alice: Client, archive: ChatArchive, data_dir: Path
) -> None:
    (data_dir / "chat").rename(data_dir / "elsewhere")
    told = page(alice, f"{PLACE}{archive.pk}/")
    assert "Its rooms cannot be read." in told
    assert "Group Chat" in told


def test_archives_of_another_tenant_are_not_there(cast: None, archive: ChatArchive) -> None:
    charlie = sign_in("charlie")
    for address in (f"/fabrikam/chat/archives/{archive.pk}/", f"/contoso/chat/archives/{archive.pk}/"):
        assert charlie.get(address).status_code == 404
    assert charlie.post(f"/fabrikam/chat/archives/{archive.pk}/download/").status_code == 404


def test_a_newcomer_is_led_from_nothing_to_the_first_archive(alice: Client, vera: Client) -> None:
    told = page(alice, "/contoso/chat/")
    assert "What to do next" in told
    assert "Give MMS the history" in told
    assert f'href="{PLACE}#give"' in alice.get("/contoso/chat/").content.decode()
    assert f'href="{PLACE}#give"' not in vera.get("/contoso/chat/").content.decode()


def test_settings_are_changed_by_an_admin_alone_and_a_wrong_one_is_refused(alice: Client, vera: Client) -> None:
    place = "/contoso/chat/settings/"
    assert vera.post(place, {"separator": " / "}).status_code == 403
    assert alice.post(place, {"separator": " / ", "keep_archives_days": "30"}).status_code == 302
    told = page(vera, place)
    assert "“ / ”" in told
    assert "30" in told
    answer = alice.post(place, {"separator": " / ", "keep_archives_days": "0"})
    assert answer.status_code == 200
    assert "Nothing was saved." in words(answer.content)
