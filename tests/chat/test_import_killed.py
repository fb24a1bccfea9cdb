"""A command whose process is killed with -9 in every phase: given again, it goes on without loss or double (R111)."""

from __future__ import annotations

from pathlib import Path

from migrations_app.chat.archive import packing
from migrations_app.chat.targets.base import TargetSettings
from migrations_app.chat.targets.of_kind import open_target
from tests.support.chat_plans import write_rooms
from tests.support.installation import Installation

ROOMS = ("Alpha", "Beta")
MESSAGES = 600
TENANT = ("contoso", "--name", "Contoso", "--domain", "contoso.com", "--meeting-url", "https://meet.contoso.com")
POINTS = (
    ("plan_engine", "_Planner._begin", 1, "after"),
    ("plan_engine", "_Planner._end", 1, "before"),
    ("import_engine", "_Session._prepare", 1, "before"),
    ("room_writing", "RoomWriter.begin", 1, "after"),
    ("room_writing", "RoomWriter._send", 1, "after"),  # nobody hears whether it was written
    ("room_writing", "RoomWriter._note", 1, "after"),
    ("room_writing", "RoomWriter.finish", 1, "after"),
    ("room_writing", "RoomWriter._note", 2, "before"),
    ("import_engine", "_Session._finish", 1, "before"),
    ("import_engine", "_Session._finish", 1, "after"),
)
"""Where each process dies: at which call of what, before or after it."""
DIES = """
import os, signal
from importlib import import_module
from operator import attrgetter
from django.core.management import call_command
module, path, nth, when = {point!r}
owner_path, _, name = path.rpartition(".")
owner = attrgetter(owner_path)(import_module("migrations_app.chat." + module))
done, calls = getattr(owner, name), 0
def dying(*args, **kwargs):
    global calls
    calls += 1
    if calls == nth and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = done(*args, **kwargs)
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
setattr(owner, name, dying)
call_command(*{command!r})
"""
ENDS_LEASES = (
    "UPDATE migrations_app_chatplan SET lease_until = NULL",
    "UPDATE migrations_app_chatroom SET lease_until = NULL",
)


def test_r111_kill_9_in_every_phase(installation: Installation, tmp_path: Path) -> None:
    write_rooms(tmp_path / "chat", ROOMS, MESSAGES)
    packing.pack(tmp_path / "chat", tmp_path / "chat.zip")
    installation.run("new_tenant", *TENANT)
    installation.run("set_chat_target", "Shelf", "--kind", "archive")
    import_it = ("import_chat", str(tmp_path / "chat.zip"), "--target", "Shelf")
    with installation.watching() as ask:
        for point in POINTS:
            code = DIES.format(point=point, command=import_it)
            assert installation.run_to_be_killed("shell", "--verbosity", "0", "--no-imports", "-c", code), point
            for statement in ENDS_LEASES:
                ask(statement)
        is_over = ask("SELECT DISTINCT state FROM migrations_app_chatplan") == [("Imported",)]
        assert is_over  # the last one died when all was done

        ((tenant, folder),) = ask("SELECT tenant_id, folder FROM migrations_app_chattarget")
        assert ask("SELECT count(*) FROM migrations_app_chatarchive") == [(1,)]
        assert ask("SELECT count(*) FROM migrations_app_chatplan") == [(1,)]
        rooms = dict(ask("SELECT name, target_id FROM migrations_app_chatroom WHERE written = message_count"))
    place = installation.data_dir / "chat" / str(tenant) / "targets" / folder
    with open_target(TargetSettings("Shelf", "archive", folder=place)) as target:
        for number, name in enumerate(ROOMS, 1):
            found = [message.key for message in target.read_messages(rooms[name])]
            assert found == [f"{number}/{n}" for n in range(1, MESSAGES + 1)]
