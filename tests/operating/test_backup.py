"""A backup that is made while runs are at work is restored after that, by the steps of the guide."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.installation import Installation, wait_for_succeeded
from tests.support.meetings import calendar_of, logical_lines, messages_in
from tests.support.process_tree import kill, with_descendants
from tests.support.written_steps import carry_out, connection_of, steps

pytestmark = pytest.mark.servers
PAGE = "docs/operating/backup.md"


def test_after_a_restore_nothing_is_lost_and_no_meeting_is_changed_twice(
    in_production: Installation, tmp_path: Path
) -> None:
    service = in_production
    service.run("load_demo", "--users", "24")
    before = service.ask("sequences()")
    with service.start("serve", "--once") as running:
        wait_for_succeeded(running, 3)
        back_up(service, tmp_path)
        wait_for_succeeded(running, 9)
        kill(with_descendants(running.pid))
    attendees_have = (service.data_dir / "outbox").rename(tmp_path / "sent")

    with restored(service, tmp_path) as again:
        assert "Pending" in again.ask("states()")
        known = set(again.ask("list(Update.objects.filter(state='Sent').values_list('result__uid', flat=True))"))
        changed_then = again.ask("migrated()")
        again.ask("expire_leases()")
        summary = again.run("serve", "--once")

        assert again.ask("states()") == ["Failed", "Succeeded"]
        assert re.search(r"^Failed +2$", summary, re.MULTILINE)
        changed = again.ask("migrated()")
        assert set(changed_then) < set(changed)
        assert len(changed) == len(set(changed))
        after = again.ask("sequences()")
        assert {meeting: after[meeting] - before[meeting] for meeting in changed} == dict.fromkeys(changed, 1)
        assert again.ask("unsent()") == 0

        first, second = told_in(attendees_have), told_in(again.data_dir / "outbox")
        assert known
        assert known & {uid for uid, _, _ in second} == set()  # sent before the backup: not again
        everybody = {uid for uid, _, _ in first | second}
        assert len(everybody) == again.ask("Update.objects.count()")  # nobody is left untold
        twice = {uid for uid, _, _ in first} & {uid for uid, _, _ in second}
        assert twice  # sent between the backup and the loss: again, as the same message with the same revision
        assert {each for each in first if each[0] in twice} == {each for each in second if each[0] in twice}


def told_in(folder: Path) -> set[tuple[str, str, str]]:
    """UID and SEQUENCE of the meeting in each message, and the Message-ID."""
    found = set()
    for message in messages_in(folder):
        lines = list(logical_lines(calendar_of(message)))
        uid, sequence = (next(line for line in lines if line.startswith(name)) for name in ("UID:", "SEQUENCE:"))
        found.add((uid.removeprefix("UID:"), sequence, str(message["Message-ID"])))
    return found


def back_up(service: Installation, folder: Path) -> None:
    url = service.environment["DATABASE_URL"]
    if url.startswith("postgres"):
        for line in steps(PAGE, "PostgreSQL"):
            carry_out(line, {}, folder, DATABASE_URL=url)
    else:
        for line in steps(PAGE, "SQLite"):
            carry_out(line, {"/var/lib/mms": str(service.data_dir), "/var/backups": str(folder)}, folder)


@contextmanager
def restored(service: Installation, folder: Path) -> Iterator[Installation]:
    """The database anew from the backup; the messages stay sent."""
    url = service.environment["DATABASE_URL"]
    if not url.startswith("postgres"):
        (service.data_dir / "db.sqlite3").unlink()
        for line in steps(PAGE, "Restoring SQLite"):
            carry_out(line, {"/var/lib/mms": str(service.data_dir), "/var/backups": str(folder)}, folder)
        yield service
        return
    name = f"mms_{uuid.uuid4().hex}"
    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as server:
        try:
            for line in steps(PAGE, "Restoring PostgreSQL"):
                carry_out(line, {"mms_restored": name}, folder, **connection_of(url))
            address = f"{url.rpartition('/')[0]}/{name}"
            with Installation(service.data_dir, address, {}) as again:
                yield again
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[call-overload]
