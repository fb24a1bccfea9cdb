"""The addresses of Jitsi's rooms, and which of them a join link stands for.

Jitsi Meet makes of ``https://meet.contoso.com/anna.rossi/KEY`` the room ``key@conference.anna_rossi.meet.contoso.com``
(``hosts.muc`` and ``subdomain`` in its config.js), and of a link without a path ``key@conference.meet.contoso.com``.
Of a longer path its web server takes the last part for the subdomain.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_SERVICE = "conference."
_LONGEST = 1_000


class Room(NamedTuple):
    """A room's address in its two parts, in lower case."""

    name: str
    domain: str

    def __str__(self) -> str:
        return f"{self.name}@{self.domain}"


def room_asked_for(address: str) -> Room | None:
    """The room that somebody asks for; None for what is no address of one."""
    name, _, domain = address.lower().partition("@")
    is_room = name and domain.startswith(_SERVICE) and len(address) <= _LONGEST and "\0" not in address
    return Room(name, domain) if is_room else None


def room_of(join_url: str) -> Room:
    """The room that Jitsi opens at a join link."""
    host, path, name = _parts(join_url)
    subdomain = f"{path[-1].replace('.', '_')}." if path else ""
    return Room(name, f"{_SERVICE}{subdomain}{host}")


def is_at(room: Room, join_url: str) -> bool:
    """Whether the room is the one of the join link: on its server, with its path, a part of it, or without any.

    Punctuation in a path is compared loosely, because neither Jitsi nor an address keeps all of it.
    """
    host, path, name = _parts(join_url)
    domain = room.domain.removeprefix(_SERVICE)
    if room.name != name or not (domain == host or domain.endswith(f".{host}")):
        return False
    asked = _plain(domain.removesuffix(host))
    return asked in {"", _plain("_".join(path)), _plain("_".join(path[-1:]))}


def _parts(join_url: str) -> tuple[str, list[str], str]:
    """The host of a join link, the segments of its path, decoded, and the room's name, all in lower case."""
    address = urlsplit(join_url)
    *path, name = [segment for segment in address.path.lower().split("/") if segment] or [""]
    return address.hostname or "", [unquote(segment).lower() for segment in path], name


def _plain(path: str) -> str:
    return re.sub(r"[\W_]+", "_", path).strip("_")
