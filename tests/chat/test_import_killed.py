"""A command that is killed with -9 while it plans, imports and finishes: given again, it goes on without loss or double
(R111)."""

from __future__ import annotations

import threading
from pathlib import Path

from migrations_app.chat.archive import packing
from migrations_app.chat.targets.base import TargetSettings
from migrations_app.chat.targets.of_kind import open_target
from tests.support.chat_plans import write_rooms
from tests.support.installation import Installation
from tests.support.waiting import wait_until

ROOMS = ("Alpha", "Beta")
MESSAGES = 600
TENANT = ("contoso", "--name", "Contoso", "--domain", "contoso.com", "--meeting-url", "https://meet.contoso.com")
WHEN = (
    "SELECT 1 FROM migrations_app_chatplan WHERE lease_until IS NOT NULL",
    "SELECT 1 FROM migrations_app_chatroom WHERE target_id <> ''",
    "SELECT 1 FROM migrations_app_chatroom WHERE unanswered",
    "SELECT 1 FROM migrations_app_chatroom WHERE written > 0",
    "SELECT 1 FROM migrations_app_chatroom WHERE state = 'Imported'",
    "SELECT 1 FROM migrations_app_chatplan WHERE NOT EXISTS (SELECT 1 FROM migrations_app_chatroom WHERE state <> "
    "'Imported') AND EXISTS (SELECT 1 FROM migrations_app_chatroom)",
)
"""Each is killed as soon as there is such a row."""
ENDS_LEASES = (
    "UPDATE migrations_app_chatplan SET lease_until = NULL",
    "UPDATE migrations_app_chatroom SET lease_until = NULL",
)


def test_r111_kill_9_at_any_moment(installation: Installation, tmp_path: Path) -> None:
    write_rooms(tmp_path / "chat", ROOMS, MESSAGES)
    packing.pack(tmp_path / "chat", tmp_path / "chat.zip")
    installation.run("new_tenant", *TENANT)
    installation.run("set_chat_target", "Shelf", "--kind", "archive")
    import_it = ("import_chat", str(tmp_path / "chat.zip"), "--target", "Shelf")
    died = 0
    for moment in WHEN:
        with installation.watching() as ask:
            over = threading.Event()

            def kill(moment: str = moment, over: threading.Event = over) -> None:
                with installation.watching() as look:
                    wait_until(lambda: look(moment) or over.is_set())
                installation.kill()

            killer = threading.Thread(target=kill)
            killer.start()
            died += installation.run_to_be_killed(*import_it)
            over.set()
            killer.join()
            for statement in ENDS_LEASES:
                ask(statement)
    installation.run(*import_it)

    assert died >= 4
    with installation.watching() as ask:
        ((tenant, folder),) = ask("SELECT tenant_id, folder FROM migrations_app_chattarget")
        assert ask("SELECT DISTINCT state FROM migrations_app_chatplan") == [("Imported",)]
        assert ask("SELECT count(*) FROM migrations_app_chatarchive") == [(1,)]
        rooms = dict(ask("SELECT name, target_id FROM migrations_app_chatroom WHERE written = 600"))
    place = installation.data_dir / "chat" / str(tenant) / "targets" / folder
    with open_target(TargetSettings("Shelf", "archive", folder=place)) as target:
        for number, name in enumerate(ROOMS, 1):
            found = [message.key for message in target.read_messages(rooms[name])]
            assert found == [f"{number}/{n}" for n in range(1, MESSAGES + 1)]
