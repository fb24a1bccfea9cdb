"""The records of a chat archive: one JSON object a line, in the order of fields that R100 gives (format version 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

FORMAT = "mms-chat"
VERSION = 1
LONGEST_NAME = 256
"""Characters of the name of a room or a category, and of its description, at the source (chat.md, section 1)."""

More = Mapping[str, Any]
"""Fields that this version does not know. They go through every conversion as they are (R101)."""


class PrincipalKind(StrEnum):
    USER = "user"
    GROUP = "group"
    FOLDER = "folder"


class PrincipalState(StrEnum):
    ACTIVE = "active"
    DISABLED = "disabled"
    """Not enabled for SIP any more."""
    DELETED = "deleted"
    """Gone from the directory; still the author of what they wrote."""


class RoleName(StrEnum):
    MEMBER = "member"
    MANAGER = "manager"
    PRESENTER = "presenter"
    """Called *voiced* at the source: who may write in an auditorium."""
    CREATOR = "creator"


class RoomType(StrEnum):
    NORMAL = "normal"
    AUDITORIUM = "auditorium"
    """Only presenters and managers write."""


class Privacy(StrEnum):
    PRIVATE = "private"
    SCOPED = "scoped"
    OPEN = "open"


class MessageKind(StrEnum):
    MESSAGE = "message"
    STORY = "story"
    ALERT = "alert"
    FILE = "file"


class Level(StrEnum):
    """How much an archive holds (R107). Each level is complete in itself."""

    USER = "User"
    CATEGORY = "Category"
    ROOM_DIRECTORY = "RoomDirectory"
    CONTENT = "Content"
    ALL = "All"


@dataclass(frozen=True, slots=True)
class Grant:
    """That a principal has a role on a category or a room."""

    principal: str
    role: RoleName


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, a group or a container of the directory (``users.jsonl``)."""

    id: str
    kind: PrincipalKind = PrincipalKind.USER
    sip: str = ""
    """Without ``sip:``. Empty where there is none."""
    upn: str = ""
    name: str = ""
    email: str = ""
    guid: str = ""
    state: PrincipalState = PrincipalState.ACTIVE
    members: tuple[str, ...] | None = None
    """Of a group or container, the ids of those in it; None where the source does not list them (R116)."""
    is_federated: bool = False
    """Whether it belongs to a foreign domain (R116)."""
    more: More = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Category:
    """A category (``categories.jsonl``); nested ones only where the source is Group Chat."""

    id: str
    name: str
    guid: str = ""
    parent: str | None = None
    description: str = ""
    invitations: bool = True
    history: bool = True
    files: bool = True
    allowed: tuple[str, ...] = ()
    """Ids of the principals in its allowed scope."""
    denied: tuple[str, ...] = ()
    roles: tuple[Grant, ...] = ()
    is_disabled: bool = False
    more: More = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """A room (``rooms.jsonl``)."""

    id: str
    category: str
    name: str
    guid: str = ""
    description: str = ""
    type: RoomType = RoomType.NORMAL
    privacy: Privacy = Privacy.PRIVATE
    invitations: bool | None = None
    """None: as the category has it. False: off. True, against a category that says no, is possible in Group Chat."""
    is_disabled: bool = False
    add_in: str = ""
    created: datetime | None = None
    roles: tuple[Grant, ...] = ()
    messages: int = 0
    """How many of them the archive holds; likewise ``first`` and ``last``, the times of the first and the last."""
    first: datetime | None = None
    last: datetime | None = None
    left_out: int = 0
    """Messages before the day from which the archive was exported (R108)."""
    more: More = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """A message (``messages/<room>.jsonl``), whose number is unique in its room and grows."""

    n: int
    at: datetime
    """Aware, in UTC, to the millisecond. ``ticks`` has what the source knew beyond that."""
    author: str
    """The id of a principal."""
    kind: MessageKind = MessageKind.MESSAGE
    text: str = ""
    rtf: str = ""
    file: str = ""
    """The id of a record in ``files.jsonl``; empty where the message shows none."""
    ticks: int | None = None
    """Units of 100 ns since the year 1; None where the source has none."""
    more: More = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file that was posted in a room (``files.jsonl``); its octets are ``files/<sha256>``."""

    id: str
    room: str
    name: str
    bytes: int = 0
    sha256: str = ""
    """In hexadecimal; empty where the file is missing."""
    uploader: str = ""
    at: datetime | None = None
    is_missing: bool = False
    more: More = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive, as the manifest lists it (R102)."""

    path: str
    bytes: int
    lines: int
    """0 for the octets of a file that was posted."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``manifest.json``: what the archive holds, where it comes from, and the checksum of each of its entries."""

    created: datetime
    source: str
    """The kind of the source, and what it is called, such as ``mgc-tables: chat-2026-11``."""
    level: Level
    scope: tuple[str, ...] = ()
    """Names of the categories to which it is limited; empty: all."""
    start_date: date | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    """``users``, ``categories``, ``rooms``, ``messages``, ``files``, ``left_out``, and ``ignored`` of other kinds."""
    entries: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    """What whoever uses it should know, in English sentences: such as that members are those who wrote."""
    more: More = field(default_factory=dict)
