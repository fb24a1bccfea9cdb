"""What targets have in common that are made of files: everything in them was written by imports."""

from __future__ import annotations

from migrations_app.chat.archive.records import Principal
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, OutgoingRoom
from migrations_app.chat.targets.base import ReadMessage, TargetProblem
from migrations_app.chat.targets.spool import Spool, SpooledMessage, SpooledRoom
from tenants_app.sentences import sentence


def found_in(spool: Spool) -> Found:
    """The rooms and categories that a spool has. All of them were made by imports, so that none outdates a plan."""
    categories, rooms = {}, {}
    for category in list(spool.categories()):
        categories[folded(category.name)] = str(category.id)
        for room in spool.rooms(category.id):
            rooms[f"{folded(category.name)}/{folded(room.name)}"] = str(room.id)
    return Found(
        rooms=rooms,
        categories=categories,
        ours=dict(spool.made_for()),
        our_categories=dict(spool.categories_made_for()),
        digest="files",
    )


def room_in(spool: Spool, room: str) -> SpooledRoom:
    try:
        return spool.room_of(int(room))
    except (KeyError, ValueError) as error:
        raise TargetProblem(
            "chat-room-gone",
            sentence("The target has no room %(room)s any more. Plan and import again.", room=room),
        ) from error


def as_read(message: SpooledMessage) -> ReadMessage:
    return ReadMessage(
        key=message.key,
        at=message.at,
        author=message.account,
        text=message.text,
        kind=message.kind,
        file_name=message.file_name,
        file_bytes=message.file_bytes if message.file_sha256 else None,
        file_sha256=message.file_sha256,
    )


def address_of(principal: Principal) -> str:
    """By what somebody is known where there are no accounts: an address, or else the name with the id."""
    known = principal.sip or principal.upn or principal.email
    known = known or (f"{principal.name} [{principal.id}]" if principal.name else principal.id)
    return known.encode("utf-8", "replace").decode()


def everybody_in(room: OutgoingRoom) -> frozenset[str]:
    """The accounts of all who belong to a room."""
    return room.members | room.managers | room.presenters
