"""Archives that MMS keeps: whole or not at all, for the service's account only, as long as the tenant wants (R129)."""

from __future__ import annotations

import io
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.chat import folders, keeping
from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Manifest
from migrations_app.chat.archives import (
    KEPT_WITHOUT_ROW,
    delete_archive,
    delete_old,
    find_archive,
    folder_of,
    open_stored,
    set_settings,
    settings_of,
    store_export,
    sweep,
    zipped,
)
from migrations_app.models import ChatArchive, ChatPlan, ChatTarget
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_organization import Organization

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(tenant: Tenant, organization: Organization, data_dir: Path) -> ChatArchive:
    return store_export(tenant, ACTOR, "Contoso 2026", lambda into: copy(organization.folder, into))


def plan_for(archive: ChatArchive, state: str) -> ChatPlan:
    target = ChatTarget.objects.create(
        tenant=archive.tenant, name="Pages", kind="archive", folder=folders.new_name(), created_by="test"
    )
    return ChatPlan.objects.create(
        tenant=archive.tenant, number=1, archive=archive, target=target, state=state, created_by="test"
    )


def modes_below(folder: Path) -> set[tuple[bool, int]]:
    return {(each.is_dir(), stat.S_IMODE(each.stat().st_mode)) for each in folder.rglob("*")}


def test_r129_an_archive_is_stored_with_its_facts_and_an_entry(stored: ChatArchive, organization: Organization) -> None:
    assert stored.source == "mgc-tables: contoso"
    assert stored.counts == {**organization.manifest.counts, "ignored": {}}
    assert stored.newest_at == max(room.last for room in organization.rooms.values() if room.last)
    assert stored.bytes == sum(each.stat().st_size for each in organization.folder.rglob("*") if each.is_file())
    entry = AuditEntry.objects.get(action="store chat archive")
    assert (entry.target, entry.actor, entry.after["sha256"]) == ("Contoso 2026", "test", stored.sha256)
    assert entry.after["messages"] == 400
    with open_stored(stored) as opened:
        assert {room.id: room for room in opened.rooms()} == organization.rooms


def test_r129_only_the_account_of_the_service_can_read_it(stored: ChatArchive, data_dir: Path) -> None:
    assert modes_below(data_dir / "chat") == {(True, 0o700), (False, 0o600)}
    assert stat.S_IMODE((data_dir / "chat").stat().st_mode) == 0o700


def test_r129_what_cannot_be_stored_leaves_nothing(
    tenant: Tenant, organization: Organization, data_dir: Path, tmp_path: Path
) -> None:
    def fails(into: Path) -> Manifest:
        copy(organization.folder, into)
        raise Unusable([])

    with pytest.raises(Unusable):
        store_export(tenant, ACTOR, "Half", fails)
    assert not ChatArchive.objects.exists()
    assert not AuditEntry.objects.filter(action="store chat archive").exists()
    assert [each for each in (data_dir / "chat").rglob("*") if not each.is_dir()] == []
    assert list(folders.lying(folders.ARCHIVES)) == []


def test_r129_a_name_is_taken_once_whatever_its_capital_letters(
    tenant: Tenant, stored: ChatArchive, organization: Organization
) -> None:
    def not_called(into: Path) -> Manifest:
        raise AssertionError("nothing is written for a name that is taken")

    for name, told in (("CONTOSO 2026", "already"), ("  ", "a name"), ("n" * 151, "150"), ("a\nb", "line")):
        with pytest.raises(ValidationError, match=told):
            store_export(tenant, ACTOR, name, not_called)
    assert find_archive(tenant, "contoso 2026") == stored
    with pytest.raises(ValidationError, match="Contoso 2026"):
        find_archive(tenant, "Fabrikam")


def test_r129_somebody_who_was_quicker_has_the_name(tenant: Tenant, organization: Organization, data_dir: Path) -> None:
    def outrun(into: Path) -> Manifest:
        store_export(tenant, ACTOR, "Contoso", lambda other: copy(organization.folder, other))
        return copy(organization.folder, into)

    with pytest.raises(ValidationError, match="already"):
        store_export(tenant, ACTOR, "contoso", outrun)
    assert [archive.name for archive in ChatArchive.objects.all()] == ["Contoso"]
    assert len(list(folders.lying(folders.ARCHIVES))) == 1


def test_r102_a_stored_archive_is_verified_when_it_is_read(stored: ChatArchive) -> None:
    path = folder_of(stored)
    entry = next((path / "messages").iterdir())
    entry.write_bytes(entry.read_bytes().replace(b"a", b"b", 1))
    with open_stored(stored) as opened, pytest.raises(Unusable, match="checksum"):
        list(opened.messages(entry.stem))
    manifest = path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"contoso", b"fabrikam"))
    with pytest.raises(Unusable, match="not the manifest"):
        open_stored(stored)
    folders.remove(stored.tenant_id, folders.ARCHIVES, stored.folder)
    with pytest.raises(Unusable, match=f"archives/{stored.folder}"):
        open_stored(stored)


def test_r129_a_download_is_audited_before_its_first_octet(
    stored: ChatArchive, organization: Organization, tmp_path: Path
) -> None:
    octets = zipped(stored, ACTOR)
    assert AuditEntry.objects.get(action="download chat archive").target == "Contoso 2026"
    (tmp_path / "a.zip").write_bytes(b"".join(octets))
    with open_archive(tmp_path / "a.zip") as opened:
        assert opened.digest == stored.sha256


def test_r129_who_deletes_an_archive_is_known_and_nothing_of_it_stays(
    stored: ChatArchive, data_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert delete_archive(stored, ACTOR)
    stored.refresh_from_db()
    assert (stored.state, stored.deleted_by) == ("Deleted", "test")
    assert not folder_of(stored).exists()
    assert AuditEntry.objects.get(action="delete chat archive").before["sha256"] == stored.sha256
    assert not delete_archive(stored, ACTOR)
    with pytest.raises(Unusable, match="deleted"):
        open_stored(stored)
    with pytest.raises(ValidationError, match="deleted"):
        zipped(stored, ACTOR)
    assert AuditEntry.objects.filter(action__in=("delete chat archive", "download chat archive")).count() == 1


@pytest.mark.parametrize("state", ["Planning", "Ready", "Importing", "Paused", "Stopped"])
def test_r129_an_archive_stays_while_a_plan_needs_it(stored: ChatArchive, state: str) -> None:
    plan_for(stored, state)
    with pytest.raises(ValidationError, match="Plan 1"):
        delete_archive(stored, ACTOR)
    set_settings(stored.tenant, ACTOR, keep_archives_days=1)
    assert delete_old(timezone.now() + timedelta(days=500)) == 0
    assert folder_of(stored).is_dir()


def test_r129_archives_are_deleted_after_the_time_the_tenant_set(
    tenant: Tenant, stored: ChatArchive, django_capture_on_commit_callbacks: Any
) -> None:
    plan_for(stored, "Imported")
    assert settings_of(tenant).keep_archives_days is None
    assert delete_old(timezone.now() + timedelta(days=5_000)) == 0  # the default: they are kept
    set_settings(tenant, ACTOR, keep_archives_days=30)
    assert delete_old(timezone.now() + timedelta(days=29)) == 0
    with django_capture_on_commit_callbacks(execute=True):
        assert delete_old(timezone.now() + timedelta(days=31)) == 1
    stored.refresh_from_db()
    assert (stored.state, stored.deleted_by) == ("Deleted", "")
    assert AuditEntry.objects.get(action="delete chat archive").actor == "MMS"
    assert not folder_of(stored).exists()


def test_r129_what_was_cut_off_is_swept_and_nothing_else(
    tenant: Tenant, stored: ChatArchive, organization: Organization, data_dir: Path
) -> None:
    now = timezone.now()
    half, whole = folders.new_name(), folders.new_name()
    for name in (half, whole):
        folders.folder_of(tenant.pk, folders.ARCHIVES, name).mkdir()
    copy(organization.folder, folders.folder_of(tenant.pk, folders.ARCHIVES, whole))
    with folders.new_folder(tenant.pk, folders.ARCHIVES) as (_, being_written):
        assert sweep(now) == 1
        assert being_written.is_dir()  # by somebody who is alive
        assert {found.name for found in folders.lying(folders.ARCHIVES)} == {stored.folder, whole, being_written.name}
    # Whole, and without a row: perhaps the database came back from a backup. It is not kept for ever.
    assert sweep(now + KEPT_WITHOUT_ROW + timedelta(minutes=1)) == 2
    assert [found.name for found in folders.lying(folders.ARCHIVES)] == [stored.folder]


def test_r129_a_crash_between_the_row_and_the_folder_is_made_good(stored: ChatArchive) -> None:
    delete_archive(stored, ACTOR)  # without the callback that removes the folder
    assert folder_of(stored).is_dir()
    keeping.look(timezone.now())
    assert not folder_of(stored).exists()


def test_r113_settings_of_chat_are_audited_and_checked(tenant: Tenant, data_dir: Path) -> None:
    assert settings_of(tenant).separator == " - "
    set_settings(tenant, ACTOR, separator=" / ", keep_archives_days=7)
    set_settings(tenant, ACTOR, separator=" / ")  # nothing changes
    entry = AuditEntry.objects.get(action="change chat settings")
    assert entry.before == {"separator": " - ", "keep_archives_days": None}
    assert entry.after == {"separator": " / ", "keep_archives_days": 7}
    for wrong in ({"separator": "   "}, {"separator": "-" * 11}, {"keep_archives_days": 0}):
        with pytest.raises(ValidationError):
            set_settings(tenant, ACTOR, **wrong)
    assert settings_of(tenant).separator == " / "


def test_r129_the_name_of_a_folder_is_never_a_path(tenant: Tenant, data_dir: Path) -> None:
    for name in ("..", "../" * 3, "", "a" * 31, io.StringIO().getvalue()):
        with pytest.raises(ValueError, match="not the name"):
            folders.folder_of(tenant.pk, folders.ARCHIVES, name)
