"""A process that is killed anywhere while it writes a target of files: the next one goes on without loss or double."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.targets import spool
from migrations_app.chat.targets.archive_site import Site
from migrations_app.chat.targets.base import ReadMessage, TargetSettings
from migrations_app.chat.targets.of_kind import open_target
from tests.support.chat_carrying import carry, expected
from tests.support.chat_organization import Organization, write_organization

SPECIAL = ("empty", "names", "deleted-people", "open", "disabled")
POINTS = {
    "in a batch": (spool.Spool, "_person", (0, 31)),
    "before a batch": (spool.Spool, "add", (2,)),
    "before a room is finished": (spool.Spool, "finish_room", (1,)),
    "before its pages": (Site, "write_room", (1,)),
    "before a file is there": (os, "replace", (0, 4, 13)),
    "in a file": (os, "fsync", (1, 12)),
}


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Organization:
    return write_organization(tmp_path_factory.mktemp("archive"), rooms=24, messages=150)


def import_it(organization: Organization, kind: str, folder: Path) -> dict[str, str]:
    wanted = {organization.special[name] for name in SPECIAL}
    with (
        open_archive(organization.folder, check=False) as archive,
        open_target(TargetSettings("Test", kind, folder=folder)) as target,
    ):
        carried = carry(archive, target, batch=3, only=lambda room: room.room.id in wanted)
        people = people_of(archive, target)
        for each in carried.values():
            found = [(read.key, read.text, read.file_sha256) for read in target.read_messages(each.id)]
            should = [
                (read.key, read.text, read.file_sha256) for read in expected(archive, target, each.outgoing, people)
            ]
            assert found == should
        assert set(carried) == wanted
        return {key: each.id for key, each in carried.items()}


def as_told(message: ReadMessage) -> tuple[str, str, str]:
    return message.key, message.text, message.file_sha256


def killed(what: Callable[[], object], owner: object, name: str, nth: int) -> bool:
    """Do it in a process of its own that is killed at the ``nth`` call; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            calls, real = [0], getattr(owner, name)

            def counted(*args: object, **options: object) -> object:
                if calls[0] == nth:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls[0] += 1
                return real(*args, **options)

            setattr(owner, name, counted)
            what()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_r111_a_kill_anywhere_loses_and_doubles_nothing(organization: Organization, tmp_path: Path) -> None:
    killed_at = set()
    for kind in ("archive", "mattermost"):
        folder = tmp_path / kind
        for point, (owner, name, each) in POINTS.items():
            for nth in each:
                if killed(lambda kind=kind, folder=folder: import_it(organization, kind, folder), owner, name, nth):
                    killed_at.add((kind, point))
        import_it(organization, kind, folder)
        assert not list(folder.rglob(".new-*"))
    assert {point for _, point in killed_at} == set(POINTS)


def test_r111_a_disk_that_is_full_is_told_and_nothing_is_lost(
    organization: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = spool.Spool.__init__

    def on_a_small_disk(self: spool.Spool, *args: Any) -> None:
        real(self, *args)
        self._db.execute("PRAGMA max_page_count = 1")  # no larger than it is

    with monkeypatch.context() as small:
        small.setattr(spool.Spool, "__init__", on_a_small_disk)
        with pytest.raises(OSError, match="full") as full:
            import_it(organization, "archive", tmp_path)
        assert full.value.errno == errno.ENOSPC
    assert len(import_it(organization, "archive", tmp_path)) == len(SPECIAL)
