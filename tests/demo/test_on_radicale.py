"""The demo on a real Radicale, which the service starts and stops: a few of its people, from the files to the end."""

from __future__ import annotations

import re
import socket

from migrations_app.demo.calendar_server import SERVICE_ACCOUNT, CalendarServer
from migrations_app.demo.people import BRANCH_USER_UPN, DAMAGED_MAILBOX_USER_UPN
from tests.support.installation import Installation
from tests.support.meetings import messages_in
from tests.support.process_tree import living, with_descendants


def test_its_mailboxes_are_migrated_where_they_are_and_go_on_from_there(installation: Installation) -> None:
    installation.run("load_demo", "--mailboxes", "caldav", "--users", "4")
    server = CalendarServer(installation.data_dir)
    files = {path: path.read_bytes() for path in server.folder.rglob("*.ics")}

    with installation.start("serve", "--once") as service:
        for line in service.stdout:
            if "Succeeded 1" in line:
                break
        started = with_descendants(service.pid)
        summary = service.stdout.read()

    assert service.returncode == 0
    assert not living(started)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert re.findall(r"^(Failed|Succeeded) +(\d+)$", summary, re.MULTILINE) == [("Failed", "2"), ("Succeeded", "2")]
    assert re.findall(r"^Failed: (\S+):", summary, re.MULTILINE) == [DAMAGED_MAILBOX_USER_UPN, BRANCH_USER_UPN]
    changed = [path for path, text in files.items() if path.read_bytes() != text]
    migrated = installation.ask("migrated()")
    assert len(changed) == len(migrated) > 8
    assert installation.ask("[CalendarObject.objects.count(), IntendedWrite.objects.count()]") == [0, 0]
    assert len(messages_in(installation.data_dir / "outbox")) == installation.ask("Update.objects.count()") > 8

    after = {path: path.read_bytes() for path in server.folder.rglob("*.ics")}
    assert installation.run("serve", "--once").count("Succeeded        2") == 1
    assert {path: path.read_bytes() for path in server.folder.rglob("*.ics")} == after


def test_where_it_is_on_mms_itself_it_is_not_moved_to_radicale(installation: Installation) -> None:
    installation.run("load_demo", "--users", "2")
    installation.run_in_vain("load_demo", "--if-empty", "--mailboxes", "caldav")
    assert not CalendarServer(installation.data_dir).is_there


def test_mailboxes_of_an_earlier_demo_are_not_written_over(installation: Installation) -> None:
    server = CalendarServer(installation.data_dir)
    server.fill([])
    before = server.password_of(SERVICE_ACCOUNT)
    installation.run_in_vain("load_demo", "--mailboxes", "caldav", "--users", "2")
    assert server.password_of(SERVICE_ACCOUNT) == before
    assert installation.ask("Update.objects.count()") == 0
