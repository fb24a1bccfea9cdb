"""A small room with its people, to be written to a homeserver of the tests."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import IO

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, PrincipalState, Room
from migrations_app.chat.conversion.outgoing import OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets.base import Target

BEGAN = datetime(2008, 5, 28, 7, 0, tzinfo=UTC)
ENDED = datetime(2015, 3, 1, tzinfo=UTC)
ANNA = Principal("1", sip="anna.rossi@contoso.com", name="Anna Rossi")
BEN = Principal("2", sip="Ben@contoso.com", name="Ben")
LEFT = Principal("3", sip="left@contoso.com", name="Lena Left")
"""She has an account, and belongs to the room no more."""
GONE = Principal("4", sip="gone@contoso.com", name="Greta Gone", state=PrincipalState.DELETED)
ACCOUNTS = {"anna.rossi": "Anna Rossi", "ben": "Ben", "left": "Lena Left"}
CATEGORY = OutgoingCategory("9", "Operations", "Who keeps it running", guid="0c000000-0000-4000-8000-000000000009")
OCTETS = b"what was posted"
FILE = ChatFile("f1", "17", "Größe.txt", len(OCTETS), hashlib.sha256(OCTETS).hexdigest())


def account(local: str) -> str:
    return f"@{local}:example.org"


def a_room(guid: str = "0a000000-0000-4000-8000-000000000017", name: str = "Rack 7", **values: object) -> OutgoingRoom:
    """Of Anna, its manager, and Ben, its presenter; closed unless said otherwise."""
    room = Room("17", CATEGORY.id, name, guid=guid, created=BEGAN, last=ENDED)
    people = {
        "members": frozenset({account("anna.rossi"), account("ben")}),
        "managers": frozenset({account("anna.rossi")}),
        "presenters": frozenset({account("ben")}),
    }
    return OutgoingRoom(room, CATEGORY, name, **{"description": "About it", **people, **values})  # type: ignore[arg-type]


def person(target: Target, principal: Principal) -> Person:
    mark = " (deleted)" if principal.state is PrincipalState.DELETED else ""
    return Person(principal, target.account_of(principal), principal.name + mark)


def messages(target: Target, count: int, *, room: str = "17", begin: int = 1) -> list[OutgoingMessage]:
    """By Anna, Ben, Lena and Greta in turn, an hour apart; the last shows a file."""
    people = [person(target, principal) for principal in (ANNA, BEN, LEFT, GONE)]
    made = [
        OutgoingMessage(
            key=f"{room}/{n}",
            n=n,
            at=BEGAN + timedelta(hours=n, milliseconds=n),
            author=people[n % 4],
            text=f"Message {n} – “größer” & <b>\nsecond line",
            html=f"Message <strong>{n}</strong>",
            kind=(MessageKind.MESSAGE, MessageKind.STORY, MessageKind.ALERT)[n % 3],
        )
        for n in range(begin, begin + count - 1)
    ]
    n = begin + count - 1
    last = OutgoingMessage(f"{room}/{n}", n, ENDED, people[0], "", kind=MessageKind.FILE, file=FILE)
    return [*made, last]


def octets(file: ChatFile) -> IO[bytes]:
    return io.BytesIO(OCTETS)
