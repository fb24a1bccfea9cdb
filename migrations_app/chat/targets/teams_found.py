"""What is in Teams already, and by which mark in its description MMS knows a team or channel that it made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, OutgoingCategory, OutgoingRoom
from migrations_app.chat.targets.teams_graph import TeamsGraph
from migrations_app.microsoft.client import JSON, segment

GENERAL = "general"
"""The channel that every team has, folded."""
_MARK = re.compile(r"\s*\[persistent chat: (category|room) ([^\]\n]*)\]\s*$")


def mark_of_category(category: OutgoingCategory) -> str:
    return f"[persistent chat: category {_safe(category.guid or category.id)}]"


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
    found = Found(retention_is_known=False)
    others = hashlib.sha256()
    for team, told in sorted(zip(listed, channels, strict=True), key=lambda pair: str(pair[0]["id"])):
        name = folded(str(team.get("displayName") or ""))
        found.categories[name] = str(team["id"])
        if made := _MARK.search(str(team.get("description") or "")):
            found.our_categories[made[2]] = str(team["id"])
        else:
            others.update(f"{team['id']} {name}\n".encode())
        value = (told or {}).get("value")
        for channel in sorted(value if isinstance(value, list) else [], key=lambda each: str(each.get("id"))):
            id_ = f"{team['id']}/{channel.get('id')}"
            room = folded(str(channel.get("displayName") or ""))
            if is_marked(team) and room == GENERAL:
                continue  # nobody's room, and no name that a room could have
            found.rooms[f"{name}/{room}"] = id_
            if made := _MARK.search(str(channel.get("description") or "")):
                found.ours[made[2]] = id_
            else:
                others.update(f"{id_} {room}\n".encode())
    return replace(found, digest=others.hexdigest())


def _safe(id_: str) -> str:
    return re.sub(r"[\]\s]", "_", id_)
