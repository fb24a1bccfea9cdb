"""Files of a room: they lie in the channel's own folder in SharePoint, read by those who read it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrations_app.chat.archive.records import ChatFile
from migrations_app.chat.targets.base import Octets, TargetProblem
from migrations_app.chat.targets.teams_graph import TeamsGraph
from migrations_app.microsoft.client import JSON, segment
from tenants_app.sentences import sentence

LARGEST = 250_000_000
"""Octets that Graph takes in one request."""
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f"*:<>?/\\|#%]|^~\$|^\s+|[\s.]+$')
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_ASKED = {"$select": "id,name,size,eTag,webUrl,webDavUrl"}


class ChannelFiles:
    """The folder of one channel. ``path`` is that of the channel in Graph."""

    def __init__(self, teams: TeamsGraph, path: str) -> None:
        self._teams = teams
        self._path = path
        self._folder = ""
        self._there: dict[str, JSON] | None = None

    def keep(self, file: ChatFile, n: int, octets: Octets) -> Mapping[str, str]:
        """Put the file into the folder, unless it is there, and return it as an attachment of the message ``n``."""
        name = stored_name(n, file.name)
        found = self._found().get(name)
        if found is None or found.get("size") != file.bytes:
            with octets(file) as opened:
                read = opened.read(LARGEST + 1)
            self._teams.put(f"{self._folder_path()}:/{segment(name)}:/content", read)
            found = self._teams.get(f"{self._folder_path()}:/{segment(name)}", _ASKED)
            if found is None or found.get("size") != file.bytes:
                raise TargetProblem(
                    "chat-target-answer",
                    sentence("The file %(name)s did not arrive whole in the folder of the channel.", name=file.name),
                    waits=True,
                )
            self._found()[name] = found
        guid = _GUID.search(str(found.get("eTag") or ""))
        if guid is None:
            raise TargetProblem(
                "chat-target-answer",
                sentence("SharePoint did not say under which id it keeps the file %(name)s.", name=file.name),
            )
        return {
            "id": guid[1].lower(),
            "contentType": "reference",
            "contentUrl": str(found.get("webDavUrl") or found.get("webUrl") or ""),
            "name": file.name,
        }

    def bytes_of(self, url: str) -> int | None:
        """The size of the file that an attachment leads to; None where it is not in the folder."""
        for item in self._found().values():
            if url in (item.get("webDavUrl"), item.get("webUrl")):
                size = item.get("size")
                return size if isinstance(size, int) else None
        return None

    def _folder_path(self) -> str:
        if not self._folder:
            told = self._teams.get(f"{self._path}/filesFolder")
            parent = (told or {}).get("parentReference")
            drive = parent.get("driveId") if isinstance(parent, Mapping) else None
            if told is None or not drive or not told.get("id"):
                raise TargetProblem(
                    "chat-target-unavailable",
                    sentence("SharePoint has not made the folder of the channel yet. MMS tries again."),
                    waits=True,
                    retry_after=60,
                )
            self._folder = f"/drives/{segment(str(drive))}/items/{segment(str(told['id']))}"
        return self._folder

    def _found(self) -> dict[str, JSON]:
        if self._there is None:
            listed = self._teams.list(f"{self._folder_path()}/children", {**_ASKED, "$top": "200"})
            self._there = {str(item.get("name")): item for item in listed}
        return self._there


def stored_name(n: int, name: str) -> str:
    """The name of a file in the folder: two files of a room may have one name, but not one message."""
    return f"{n} {_NOT_IN_NAMES.sub('_', name)[-180:] or '_'}"
