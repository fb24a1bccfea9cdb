"""What a run needs of a mailbox. The embedded one implements it; CalDAV and Exchange can."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """What a mailbox tells about a meeting without handing out its text."""

    uid: str
    subject: str
    organizer: str
    starts_at: datetime | None
    last_end: datetime
    attendee_count: int
    recipient_count: int
    cancelled: bool
    unreadable: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A calendar object as it is stored now: its text, the ETag that this text goes by, and its facts."""

    listed: Listed
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Write:
    """A new text for an object, to be written only while the stored one still has ``etag``."""

    uid: str
    etag: str
    body: bytes


class Mailbox(Protocol):
    """A user's calendar. Every method may raise ``Failure`` with a code of the catalogue."""

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        """The meetings that end after ``now``, are not cancelled, and have one of ``organizers`` (lower case)."""

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        """All meetings that ``list_candidates`` leaves out."""

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """The texts of these objects; those that are gone are missing."""

    def write(self, writes: Sequence[Write]) -> set[str]:
        """Write each text if its object is unchanged; the UIDs that were written."""
