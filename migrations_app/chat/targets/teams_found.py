"""What is in Teams already, and by which mark in its description MMS knows a team or channel that it made."""

from __future__ import annotations

import hashlib
import re

from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, OutgoingCategory, OutgoingRoom
from migrations_app.chat.targets.teams_graph import TeamsGraph
from migrations_app.microsoft.client import JSON, segment

_MARK = re.compile(r"\s*\[persistent chat: (category|room) ([^\]\n]*)\]\s*$")


def mark_of_category(category: OutgoingCategory) -> str:
    return f"[persistent chat: category {_safe(category.id)}]"


def mark_of_room(room: OutgoingRoom) -> str:
    return f"[persistent chat: room {_safe(room.room.guid or room.room.id)}]"


def marked(description: str, mark: str) -> str:
    """The description with the mark after it."""
    return f"{description} {mark}".lstrip()


def without_mark(description: str) -> str:
    """The description as people wrote it."""
    return _MARK.sub("", description)


def is_marked(told: JSON) -> bool:
    """Whether MMS made this team or channel."""
    return _MARK.search(str(told.get("description") or "")) is not None


def found_of(teams: TeamsGraph) -> Found:
    """All teams and channels. What MMS made itself is ``ours`` and changes no digest."""
    listed = list(teams.list("/teams", {"$select": "id,displayName,description"}))
    channels = teams.get_many([f"/teams/{segment(str(team['id']))}/channels" for team in listed])
    found = Found()
    others = hashlib.sha256()
    for team, told in sorted(zip(listed, channels, strict=True), key=lambda pair: str(pair[0]["id"])):
        name = folded(str(team.get("displayName") or ""))
        if not is_marked(team):
            found.categories[name] = str(team["id"])
            others.update(f"{team['id']} {name}\n".encode())
        value = (told or {}).get("value")
        for channel in sorted(value if isinstance(value, list) else [], key=lambda each: str(each.get("id"))):
            id_ = f"{team['id']}/{channel.get('id')}"
            room = folded(str(channel.get("displayName") or ""))
            found.rooms[f"{name}/{room}"] = id_
            if made := _MARK.search(str(channel.get("description") or "")):
                found.ours[made[2]] = id_
            else:
                others.update(f"{id_} {room}\n".encode())
    return Found(found.rooms, found.categories, found.ours, None, retention_is_known=False, digest=others.hexdigest())


def _safe(id_: str) -> str:
    return re.sub(r"[\]\s]", "_", id_)
