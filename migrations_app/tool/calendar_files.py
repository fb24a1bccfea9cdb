"""A mailbox made of the files that the tool was given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from migrations_app.calendars.errors import NoMeeting, UnreadableCalendar
from migrations_app.calendars.objects import put_back, split_objects
from migrations_app.failures import Failure
from migrations_app.mailboxes.base import FutureMeetings, Listed, Stored, Write
from migrations_app.mailboxes.listing import LONGEST_UID, facts_of
from migrations_app.tool.errors import Refused
from migrations_app.tool.reading import Source
from tenants_app.models import ConferencingUser

_NOTHING_KNOWN: Mapping[str, Any] = {
    "subject": "",
    "organizer": "",
    "starts_at": None,
    "attendee_count": 0,
    "recipient_count": 0,
    "cancelled": False,
    "unreadable": "",
}


class CalendarFiles:
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over calendars in memory.

    Each object has its facts by the same function as in an embedded mailbox, so the same is selected.
    """

    is_outside: ClassVar[bool] = False
    tries: ClassVar[int] = 1
    writes_in_parts: ClassVar[bool] = False
    tells_of_series_and_occurrences: ClassVar[bool] = False

    def __init__(self, user: ConferencingUser, sources: Sequence[Source]) -> None:
        """Raises ``Refused`` where one of the files is no calendar, or two of them have the same meeting."""
        self.user = user
        self._sources = sources
        self._objects: dict[str, bytes] = {}
        self._changed: dict[str, bytes] = {}
        self._listed: dict[str, Listed] = {}
        self.files: dict[str, str] = {}
        """The name of the file of each meeting, by its UID."""
        self.without_meeting = 0
        """Files without any meeting, such as those of to-dos."""
        for source in sources:
            self._take_in(source)

    def _take_in(self, source: Source) -> None:
        try:
            objects = split_objects(source.octets)
        except NoMeeting:
            self.without_meeting += 1
            return
        except UnreadableCalendar as error:
            raise Refused(f"{source.name}: {error}") from error
        for uid, body in objects:
            if len(uid) > LONGEST_UID:
                raise Refused(
                    _("%(name)s: A UID has more than %(longest_uid)s characters (%(uid)s…).")
                    % {"name": source.name, "longest_uid": LONGEST_UID, "uid": uid[:100]}
                )
            if uid in self.files:
                raise Refused(
                    _(
                        "%(name)s has the same meeting as %(files)s (UID %(uid)s): keep one of them, or put the "
                        "series and its changed occurrences into one file."
                    )
                    % {"name": source.name, "files": self.files[uid], "uid": uid[:100]}
                )
            self.files[uid] = source.name
            self._objects[uid] = body
            self._listed[uid] = Listed(**{**_NOTHING_KNOWN, **facts_of(uid, body, self.user)}, size=len(body))

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def tells_attendees(self) -> bool:
        return False

    @property
    def as_of(self) -> None:
        return None

    def refresh(self, keep: Callable[[], object]) -> None:
        """Files stay as they are."""

    @property
    def left_alone_until(self) -> None:
        return None

    def note_failure(self, failure: Failure) -> None:
        """Nobody else has these files."""

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        found = (each for each in self._listed.values() if _is_candidate(each, organizers, now))
        return sorted(found, key=lambda each: (each.starts_at is not None, each.starts_at or now, each.uid))

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        return (each for each in self._listed.values() if not _is_candidate(each, organizers, now))

    def list_upcoming(self, now: datetime) -> Sequence[Listed]:
        found = (each for each in self._listed.values() if each.last_end > now)
        return sorted(found, key=lambda each: (each.starts_at is not None, each.starts_at or now, each.uid))

    def known(self, uids: Sequence[str]) -> Mapping[str, tuple[datetime, str]]:
        return {uid: (self._listed[uid].last_end, "") for uid in uids if uid in self._listed}

    def text_of(self, uid: str) -> bytes:
        """An object as it is by now."""
        return self._changed.get(uid, self._objects[uid])

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return {uid: Stored(self._listed[uid], self.text_of(uid), "") for uid in uids if uid in self._objects}

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return self.read(uids)

    def write(self, writes: Sequence[Write], keep: Callable[[], object] = lambda: None) -> Mapping[str, None]:
        """All of them: nobody else writes here."""
        self._changed |= {each.uid: each.body for each in writes}
        return dict.fromkeys(each.uid for each in writes)

    @staticmethod
    def read_upcoming(
        users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
    ) -> Iterator[tuple[int, Stored]]:
        """None: files are nobody's mailbox."""
        return iter(())

    @staticmethod
    def count_stored(users: QuerySet[ConferencingUser]) -> dict[int, int]:
        """None: files are nobody's mailbox."""
        return {}

    @staticmethod
    def count_upcoming(users: QuerySet[ConferencingUser], now: datetime) -> FutureMeetings:
        """None: files are nobody's mailbox."""
        return FutureMeetings()

    def migrated(self) -> Iterator[Source]:
        """The files that were given as they are now, in the same order."""
        changed: dict[str, dict[str, tuple[bytes, bytes]]] = {}
        for uid, body in self._changed.items():
            changed.setdefault(self.files[uid], {})[uid] = (self._objects[uid], body)
        for source in self._sources:
            yield Source(source.name, put_back(source.octets, changed.get(source.name, {})))


def _is_candidate(meeting: Listed, organizers: Collection[str], now: datetime) -> bool:
    is_theirs = meeting.organizer in organizers and not meeting.cancelled
    return meeting.last_end > now and (is_theirs or bool(meeting.unreadable))
