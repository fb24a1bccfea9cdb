"""What is written to a target: people, categories, rooms and messages as they are to be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, Room


class Joining(StrEnum):
    """Who may come into a room (R122); never wider than at the source."""

    INVITED = "invited"
    """Private and scoped rooms."""
    ORGANIZATION = "organization"
    """Open rooms: anybody of the organization may join, and reads once they have."""


class OnConflict(StrEnum):
    """What is done where the name is there already (R120)."""

    REFUSE = "refuse"
    MERGE = "merge"
    RENAME = "rename"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Person:
    """A principal as the target knows them."""

    principal: Principal
    account: str | None
    """What the target calls them, such as ``@alice:contoso.com``; None where they have no account there."""
    shown: str
    """Their name with a mark where they are disabled or deleted (R116), such as “Ann Lee (deleted)”."""


@dataclass(frozen=True, slots=True)
class OutgoingCategory:
    """A category as it is to be at the target, flat (R113)."""

    id: str
    """Of the category in the archive."""
    name: str
    description: str = ""
    merges_into: str | None = None
    """The target's own id of the category that has the name already, and was chosen (R120)."""
    guid: str = ""
    """Of the category in the archive: with ``id`` it tells which one was made for it (``Found.our_categories``)."""


@dataclass(frozen=True, slots=True)
class OutgoingRoom:
    """A room as it is to be at the target, with whoever belongs to it."""

    room: Room
    category: OutgoingCategory
    name: str
    description: str = ""
    joining: Joining = Joining.INVITED
    is_auditorium: bool = False
    is_read_only: bool = False
    """Of a room that is disabled at the source and was imported (R122)."""
    allows_invitations: bool = True
    members: frozenset[str] = frozenset()
    """Accounts at the target. Managers and presenters are members, too."""
    managers: frozenset[str] = frozenset()
    presenters: frozenset[str] = frozenset()
    merges_into: str | None = None
    """The target's own id of the room that has the name already, and was chosen (R120)."""
    moved: Mapping[int, int] = field(default_factory=dict)
    """Where the clock of the source was set back and times are unique at the target: by how many milliseconds each
    message from then is later, by number. A plan finds it, because it depends on all messages of the room (R118)."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message as it is to be at the target: a part of a message of the archive, or the whole of it (R117, R118)."""

    key: str
    """Our own, ``<room id>/<n>`` or ``<room id>/<n>/<part>``: it stands in the message at the target, wherever that has
    a place for it, and tells whether the message is there (R111)."""
    n: int
    at: datetime
    """To the millisecond, shifted where the target wants times to be unique."""
    author: Person
    text: str
    """The plain text as it is written, with the line of author and time, the mark of an alert, and ``(1/2)``."""
    html: str | None = None
    """The same with links and formatting; None where there is nothing to format, or the target cannot."""
    kind: MessageKind = MessageKind.MESSAGE
    part: int = 1
    parts: int = 1
    file: ChatFile | None = None
    """With its octets where ``is_missing`` is False."""
    shifted: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kind of target can take."""

    keeps_author: bool = True
    authors_need_accounts: bool = False
    """Whether only accounts can be authors: a message of anybody else is written by an account that stands for all of
    them, and begins with a line that says by whom and when it was written (R118)."""
    keeps_time: bool = True
    keeps_keys: bool = True
    """Whether messages that are read back have our keys; otherwise they are known by time and text (R123)."""
    formats: bool = True
    """Whether it takes HTML."""
    times_are_unique: bool = False
    """Whether no two messages of a room may have the same millisecond (R118)."""
    room_name: int | None = None
    """Characters; likewise the next two."""
    room_name_forbidden: str = ""
    """A regular expression of what the name of a room cannot have, found anywhere in it (``name-not-allowed``)."""
    room_names_within_category: bool = False
    """Whether two rooms may have one name where their categories differ. ``Found.rooms`` then has each room under
    ``<category>/<room>``, both folded."""
    category_name: int | None = None
    description: int | None = None
    message_bytes: int | None = None
    """Octets in UTF-8 of a message's text; likewise those of its HTML."""
    message_json_bytes: int | None = None
    """Octets of a message's text and HTML together, each as a string of JSON in UTF-8."""
    message_characters: int | None = None
    file_bytes: int | None = None
    forbidden: str = ""
    """A regular expression of the characters that a message cannot have; each is replaced visibly (R117)."""
    messages_per_second: float | None = None
    """How many it takes, as far as is known: for the estimate of a plan (R110)."""
    files_per_second: float | None = None
    prefixes_rooms: bool = False
    """Whether rooms below a nested category get the prefix, too, as with Persistent Chat itself (R113)."""
    has_categories: bool = True
    category_is: str = "category"
    """What a category becomes there: ``folder``, ``category``, ``space``, ``team`` (R122)."""
    keeps_type: bool = True
    """Whether an auditorium can be one there."""
    rooms_at_once: int | None = None
    """How many rooms workers may write at the same time; None: as many as there are workers."""
    rooms_of_a_category: int | None = None
    """How many rooms one category can have, where that is limited."""


@dataclass(slots=True)
class Shift:
    """That a message got another time, because times are unique at the target (R118)."""

    n: int
    by: timedelta


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a target now, as far as a plan must know (R110, R120)."""

    rooms: dict[str, str] = field(default_factory=dict)
    """The target's own id of each room, by its name folded (``conversion.names.folded``)."""
    categories: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    """The target's own id of each room that an earlier import made, by ``room.guid or room.id`` of the archive: that
    one is gone on with, and its name is no conflict for it (R111)."""
    our_categories: dict[str, str] = field(default_factory=dict)
    """Likewise of categories, by ``category.guid or category.id``."""
    retention_days: int | None = None
    """After how many days the target deletes messages; None where it keeps them, or nobody knows."""
    retention_is_known: bool = True
    """Whether the target answered; otherwise a person must (R110)."""
    digest: str = ""
    """Of all that the plan depends on: where it is another one at the import, a new plan is made."""
