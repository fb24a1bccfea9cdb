"""The outbox of files: each message whole, under its name and on the disk when it counts as sent."""

from __future__ import annotations

import os
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

from migrations_app.mail.delivery import deliver
from migrations_app.models import Update
from tenants_app.models import ConferencingUser
from tests.support.meetings import invite, messages_in, migrate


def inode(descriptor: Any) -> int:
    return os.fstat(descriptor if isinstance(descriptor, int) else descriptor.fileno()).st_ino


def test_all_files_of_a_batch_are_on_the_disk_before_it_is_marked_as_sent(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        invite(anna, number)
    migrate(anna)
    synced: list[int] = []
    fsync = os.fsync

    def watched(descriptor: Any) -> None:
        if current_thread() is main_thread():  # of the names, last of all; others would ask on connections of their own
            assert not Update.objects.filter(state="Sent").exists()
        synced.append(inode(descriptor))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    assert deliver() == 3
    files = {path.stat().st_ino for path in outbox.glob("*.eml")}
    assert len(files) == 3
    assert {*synced[:3]} == files  # the contents first, then their names
    assert synced[3:] == [outbox.stat().st_ino]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_takes_no_more_loses_no_message_and_leaves_no_litter(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for number in range(3):
        invite(anna, number)
    migrate(anna)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        assert deliver() == 0
    assert list(outbox.iterdir()) == []
    assert set(Update.objects.values_list("state", "error_code", "attempts")) == {
        ("Queued", "mail-server-unreachable", 1)
    }
    Update.objects.update(due_at="2026-01-01T00:00Z")
    assert deliver() == 3
    assert len(messages_in(outbox)) == 3


def test_large_messages_are_marked_some_at_a_time(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        invite(anna, number)
    migrate(anna)
    monkeypatch.setattr("migrations_app.mail.delivery.OCTETS", 1)
    marked: list[int] = []
    fsync = os.fsync

    def watched(descriptor: Any) -> None:
        if current_thread() is main_thread():
            marked.append(Update.objects.filter(state="Sent").count())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    assert deliver() == 5
    assert marked == [0, 1, 2, 3, 4]
