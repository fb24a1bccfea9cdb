"""A small archive of chat whose every message bears a mark, so that a page that shows one is found out."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archive.records import Category, Grant, Manifest, Message, Principal, RoleName, Room
from migrations_app.chat.archive.writing import ArchiveWriter

MARK = "XYZZY-not-for-every-eye"
"""Stands in the text of every message."""
BEGAN = datetime(2012, 4, 2, 8, 0, tzinfo=UTC)
TOO_LONG = "Long " * 52
"""The name of a room that no target can have: 260 characters."""
ROOMS = {"helpdesk": "Helpdesk", "board": "Board", "long": TOO_LONG.strip() + "-" * 5}
MESSAGES = 12
"""Of each room."""


def write_small(folder: Path) -> Manifest:
    """Three rooms of one category below another, two people, and a name that is too long."""
    with ArchiveWriter(folder) as writer:
        for key, name in (("1", "Anna Rossi"), ("2", "Bruno Costa")):
            address = f"{name.lower().replace(' ', '.')}@contoso.com"
            writer.principal(Principal(key, sip=f"sip:{address}", upn=address, name=name, email=address))
        writer.category(Category("10", "Contoso"))
        writer.category(Category("11", "IT", parent="10"))
        for room, name in ROOMS.items():
            written = writer.messages(
                room,
                (
                    Message(n, BEGAN + timedelta(minutes=n), "1" if n % 2 else "2", text=f"{MARK} {room} {n}")
                    for n in range(1, MESSAGES + 1)
                ),
            )
            writer.room(
                Room(
                    room,
                    "11",
                    name,
                    roles=(Grant("1", RoleName.MANAGER), Grant("1", RoleName.MEMBER), Grant("2", RoleName.MEMBER)),
                    messages=written.messages,
                    first=written.first,
                    last=written.last,
                )
            )
        return writer.finish(source="mgc-tables: contoso", created=BEGAN + timedelta(days=1))


def small_zip() -> bytes:
    """The same as the ZIP file that somebody gives."""
    with tempfile.TemporaryDirectory() as folder:
        write_small(Path(folder) / "archive")
        pack(Path(folder) / "archive", Path(folder) / "archive.zip")
        return (Path(folder) / "archive.zip").read_bytes()
