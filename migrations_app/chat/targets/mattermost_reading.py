"""Reading a file for Mattermost's bulk import back: what is in the ZIP is what somebody will import (R123)."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from migrations_app.chat.targets.base import ReadMessage, TargetProblem
from migrations_app.chat.targets.spool import of_milliseconds
from migrations_app.chat.targets.whole_files import PIECE
from tenants_app.sentences import sentence

LINES, DATA = "import.jsonl", "data"
OUR_KEY = "meeting_migration_service"
"""In the ``props`` of a post: our own key, so that it is known again."""

Place = tuple[str, str]
"""The names of a team and of a channel in it."""


class MadeFile:
    """The ZIP, with its lines unpacked beside it while it is open, so that each channel is read where it begins."""

    def __init__(self, path: Path, version: tuple[int, int, int]) -> None:
        self.version = version
        self.teams: dict[str, str] = {}
        """Display names by name."""
        self.channels: dict[Place, dict[str, Any]] = {}
        self.members: dict[Place, set[str]] = {}
        self.managers: dict[Place, set[str]] = {}
        self._starts: dict[Place, list[tuple[int, int]]] = {}
        self._unpacked = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - close() closes it
        self._zip: ZipFile | None = None
        try:
            self._zip = ZipFile(path)
            self._read()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
            self.close()
            raise TargetProblem(
                "chat-made-unreadable",
                sentence("The file %(file)s cannot be read any more. Import the rooms again.", file=path.name),
                is_of_room=False,
            ) from error

    def close(self) -> None:
        self._unpacked.close()
        if self._zip is not None:
            self._zip.close()

    def _read(self) -> None:
        assert self._zip is not None  # noqa: S101 - open
        at = 0
        with self._zip.open(LINES) as lines:
            for line in lines:
                self._unpacked.write(line)
                self._note(json.loads(line), at, at + len(line))
                at += len(line)

    def _note(self, line: dict[str, Any], start: int, end: int) -> None:
        kind = line["type"]
        value: Any = line.get(kind)
        if kind == "team":
            self.teams[value["name"]] = value["display_name"]
        elif kind == "channel":
            self.channels[value["team"], value["name"]] = value
        elif kind == "user":
            self._note_user(value)
        elif kind == "post":
            runs = self._starts.setdefault((value["team"], value["channel"]), [])
            if runs and runs[-1][1] == start:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))

    def _note_user(self, user: dict[str, Any]) -> None:
        for team in user["teams"]:
            for channel in team["channels"]:
                place = (team["name"], channel["name"])
                self.members.setdefault(place, set()).add(user["username"])
                if "channel_admin" in channel["roles"].split():
                    self.managers.setdefault(place, set()).add(user["username"])

    def posts(self, place: Place) -> Iterator[ReadMessage]:
        for start, end in self._starts.get(place, ()):
            at = start
            while at < end:
                self._unpacked.seek(at)  # whoever reads may read another channel in between
                line = self._unpacked.readline()
                at += len(line)
                yield self._message(json.loads(line)["post"])

    def _message(self, post: dict[str, Any]) -> ReadMessage:
        name, octets, sha256 = "", None, ""
        for attachment in post.get("attachments", ()):
            name, octets, sha256 = self._attached(attachment["path"])
        return ReadMessage(
            key=post.get("props", {}).get(OUR_KEY, ""),
            at=of_milliseconds(post["create_at"]),
            author=post["user"],
            text=post["message"],
            file_name=name,
            file_bytes=octets,
            file_sha256=sha256,
        )

    def _attached(self, path: str) -> tuple[str, int | None, str]:
        assert self._zip is not None  # noqa: S101 - open
        name = path.rpartition("/")[2]
        octets, digest = 0, hashlib.sha256()
        try:
            with self._zip.open(f"{DATA}/{path}") as file:
                while piece := file.read(PIECE):
                    octets += len(piece)
                    digest.update(piece)
        except (KeyError, BadZipFile):
            return name, None, ""
        return name, octets, digest.hexdigest()
