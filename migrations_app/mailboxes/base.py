"""What MMS needs of a mailbox, whatever its kind. Each kind is one module beside this one; ``of_user`` knows them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from django.db.models import QuerySet

from migrations_app.calendars.facts import Facts
from migrations_app.failures import Failure
from tenants_app.models import ConferencingUser

NO_END = datetime(9999, 12, 31, tzinfo=UTC)
"""``last_end`` of a series without an end (and of an object that cannot be read): always in the future."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a mailbox tells about a meeting without handing out its text."""

    uid: str
    subject: str
    organizer: str
    starts_at: datetime | None
    """None where the object cannot be read."""
    last_end: datetime
    """End of the last occurrence; ``NO_END`` where there is none."""
    attendee_count: int
    """Organizer included."""
    recipient_count: int
    """Attendees whom mail can reach."""
    cancelled: bool
    unreadable: str
    """Why the object cannot be read; empty where it can."""
    size: int = 0
    """Octets of its text; 0 where the mailbox does not tell."""

    @classmethod
    def of(cls, facts: Facts, recipient_count: int = 0) -> Listed:
        """The meeting by its facts."""
        return cls(
            uid=facts.uid,
            subject=facts.subject,
            organizer=facts.organizer,
            starts_at=facts.starts_at,
            last_end=facts.ends_at or NO_END,
            attendee_count=facts.attendee_count,
            recipient_count=recipient_count,
            cancelled=facts.cancelled,
            unreadable="",
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """A calendar object as it is stored now: its text, the ETag that this text goes by, and its facts."""

    listed: Listed
    body: bytes
    etag: str
    obstacle: Failure | None = None
    """Why a run leaves the meeting, by what the mailbox knows of it beside its text; None where nothing speaks against
    a change."""
    is_moved_on: bool = False
    """Read back after a write: whether somebody may have changed it since."""


@dataclass(frozen=True, slots=True)
class Write:
    """A new text for an object, to be written only while the stored one still has ``etag``."""

    uid: str
    etag: str
    body: bytes
    makes_anew: bool = False
    """Whether the text may lead into other online meetings than the stored one."""


class WrittenAmiss(Failure):
    """Something was written, its attendees were told, and the meeting is not what it was to be: ``stored`` is what
    stands there now."""

    def __init__(self, code: str, detail: str, stored: Stored) -> None:
        super().__init__(code, detail)
        self.stored = stored


class PartlyWritten(Exception):
    """Something was in the way of the others after some were dealt with: ``answers`` is what :meth:`Mailbox.write`
    would have returned of these, ``failure`` what it was.
    """

    def __init__(self, answers: Mapping[str, Failure | Stored | None], failure: Failure) -> None:
        super().__init__(failure.code)
        self.answers, self.failure = answers, failure


@dataclass(frozen=True, slots=True)
class FutureMeetings:
    """Meetings that their organizers still have before them, and how many invitations they stand for."""

    meetings: int = 0
    invitations: int = 0

    def __add__(self, other: FutureMeetings) -> FutureMeetings:
        return FutureMeetings(self.meetings + other.meetings, self.invitations + other.invitations)


@dataclass(frozen=True, slots=True)
class AsOf:
    """How current is what a mailbox lists, where its meetings are not in MMS's own database."""

    scanned_at: datetime | None
    """None where it was never looked at."""
    problem: str = ""
    """Why the last look failed, and what to do; empty where it did not."""


class Mailbox(Protocol):
    """A user's calendar.

    Every method may raise ``Failure``: ``mailbox-unavailable`` where trying again may help, others of the catalogue
    where it cannot.
    """

    is_outside: ClassVar[bool]
    """Whether a write is no part of the database's transaction, so that it is announced before and settled after."""
    tries: ClassVar[int]
    """How often a meeting is decided and written that somebody else changes meanwhile."""
    writes_in_parts: ClassVar[bool]
    """Whether the series and each of its exceptions are written one by one, so that a part of them may be written alone
    and attendees get a message of each."""

    tells_of_series_and_occurrences: ClassVar[bool]
    """Whether, where the series itself is written, attendees get a message of each changed occurrence beside it."""

    def __init__(self, user: ConferencingUser) -> None: ...

    @property
    def tells_attendees(self) -> bool:
        """Whether the mailbox's server sends attendees the update of a changed meeting, so that MMS must not."""

    @property
    def as_of(self) -> AsOf | None:
        """How current its lists are; None where they always are."""

    def refresh(self, keep: Callable[[], object]) -> None:
        """Bring what is listed up to date, before a run; ``keep`` is called again and again meanwhile."""

    @property
    def left_alone_until(self) -> datetime | None:
        """Until when its server is left alone; None where it may be asked."""

    def note_failure(self, failure: Failure) -> datetime | None:
        """What went wrong; until when the whole connection is left alone because of it, so that its other users need
        not fail one by one. None where it is about this mailbox alone."""

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        """The meetings that end after ``now``, are not cancelled, and have one of ``organizers`` (lower case).

        Objects that cannot be read are among them.
        """

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        """All meetings that ``list_candidates`` leaves out."""

    def list_upcoming(self, now: datetime) -> Sequence[Listed]:
        """All meetings that end after ``now``, whoever organizes them, by their start; unreadable objects first."""

    def known(self, uids: Sequence[str]) -> Mapping[str, tuple[datetime, str]]:
        """When the last occurrence of each of these ends and the ETag of its text, as far as MMS knows them already;
        those that are gone are missing."""

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """The texts of these objects; those that are gone are missing."""

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """The same as :meth:`read`, quicker where it can be, and not octet for octet: not to be written."""

    def write(self, writes: Sequence[Write], keep: Callable[[], object] = ...) -> Mapping[str, Failure | Stored | None]:
        """Write each text if its object is unchanged: by UID None where it was written, what is stored where that is
        known to be another text than was sent, or why the server refused it: :class:`WrittenAmiss` where it was
        written all the same.

        What somebody else changed meanwhile is missing, and so is what is gone. ``keep`` is called before each write
        into a mailbox outside, and may raise: then that one is not written. Raises :class:`PartlyWritten` instead of a
        ``Failure`` where some were dealt with before it.
        """

    @staticmethod
    def read_upcoming(
        users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
    ) -> Iterator[tuple[int, Stored]]:
        """The texts of what those of the users have before them whose mailbox is of this kind, with the user's key.

        That is, what ends after ``now``, is not cancelled, and is organized by the user, by nobody, or cannot be read.
        With ``showing``, an E.164 number, what surely does not show it may be left out; with ``uids`` all but these.
        Of a meeting that stands twice in a mailbox both texts are told.
        """

    @staticmethod
    def count_stored(users: QuerySet[ConferencingUser]) -> dict[int, int]:
        """For each of the users (keys) whose mailbox is of this kind, how many meetings are in it, as far as MMS knows
        it; those of whose mailbox it knows nothing yet are left out."""

    @staticmethod
    def count_upcoming(users: QuerySet[ConferencingUser], now: datetime) -> FutureMeetings:
        """The meetings that those of the users organize whose mailbox is of this kind; of each by the facts that
        ``list_candidates`` goes by. Only reads what MMS knows already: the users may be all there are."""
