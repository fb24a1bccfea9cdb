"""What the stand-in keeps: mailboxes with folders and calendar items, and the mails that a change of these leads to."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr

Attendee = tuple[str, str, str]
"""Address, name and ResponseType."""


@dataclass
class Item:
    """A calendar item. With an ``rrule`` it is a RecurringMaster; those in its ``exceptions`` are Exceptions."""

    subject: str
    starts_at: datetime
    ends_at: datetime
    body: str = ""
    body_type: str = "HTML"
    zone: str = "UTC"
    location: str = ""
    uid: str = ""
    organizer: tuple[str, str] = ("", "")
    my_response: str = "Organizer"
    state: int = 1
    required: tuple[Attendee, ...] = ()
    optional: tuple[Attendee, ...] = ()
    resources: tuple[Attendee, ...] = ()
    is_all_day: bool = False
    is_cancelled: bool = False
    is_online_meeting: bool = False
    was_sent: bool = True
    sequence: int = 0
    named: dict[str, str] = field(default_factory=dict)
    rrule: str = ""
    exceptions: list[Item] = field(default_factory=list)
    deleted: list[datetime] = field(default_factory=list)
    original_start: datetime | None = None
    master: Item | None = field(default=None, repr=False)
    id: str = ""
    version: int = 1
    folder: Folder | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """Its CalendarItemType."""
        return "Exception" if self.master else "RecurringMaster" if self.rrule else "Single"

    @property
    def change_key(self) -> str:
        return base64.b64encode(hashlib.sha256(f"{self.id}|{self.version}".encode()).digest()[:24]).decode()

    @property
    def attendees(self) -> tuple[Attendee, ...]:
        return (*self.required, *self.optional, *self.resources)

    @property
    def is_meeting(self) -> bool:
        return bool(self.attendees) or self.my_response not in {"Organizer", "Unknown"}

    def starts(self) -> Iterator[datetime]:
        """When a series has its occurrences, those that were changed or deleted included."""
        yield from rrulestr(self.rrule, dtstart=self.starts_at)

    @property
    def last_end(self) -> datetime | None:
        """Of a series; None where it has no end."""
        if "COUNT" not in self.rrule and "UNTIL" not in self.rrule:
            return None
        *_, last = self.starts()
        return last + (self.ends_at - self.starts_at)


@dataclass
class Folder:
    """A folder of a mailbox. ``may_write`` is what EffectiveRights tells."""

    id: str
    name: str
    kind: str = "IPF.Appointment"
    parent: str = ""
    may_write: bool = True
    distinguished: str = ""
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Mail:
    """What the server has sent because an item was changed: one for a master and one for each exception."""

    uid: str
    original_start: datetime | None
    recipients: tuple[str, ...]
    kind: str = "update"
    """Or "invitation", or "cancellation"."""


class Mailbox:
    """Of one user."""

    def __init__(self, address: str, ids: itertools.count[int]) -> None:
        self.address = address
        self._ids = ids
        self.folders: list[Folder] = []
        self.root = self.add_folder("Top of Information Store", "IPF.Note", distinguished="msgfolderroot")
        self.calendar = self.add_folder("Calendar", distinguished="calendar", parent=self.root.id)
        self.inbox = self.add_folder("Inbox", "IPF.Note", distinguished="inbox", parent=self.root.id)
        self.trash = self.add_folder("Deleted Items", "IPF.Note", distinguished="deleteditems", parent=self.root.id)

    def _id(self, prefix: str) -> str:
        digest = hashlib.sha256(f"{self.address}|{next(self._ids)}".encode()).digest()
        return prefix + base64.b64encode(digest * 3).decode()

    def add_folder(
        self,
        name: str,
        kind: str = "IPF.Appointment",
        *,
        distinguished: str = "",
        parent: str = "",
        may_write: bool = True,
    ) -> Folder:
        folder = Folder(self._id("AAMkF"), name, kind, parent, may_write, distinguished)
        self.folders.append(folder)
        return folder

    def add(self, item: Item, folder: Folder | None = None) -> Item:
        """Put an item, with its exceptions, into the calendar or another folder."""
        folder = folder or self.calendar
        item.id, item.folder = self._id("AAMk"), folder
        item.uid = item.uid or f"040000008200E00074C5B7101A82E008{next(self._ids):032X}"
        if item.organizer == ("", ""):
            item.organizer = (self.address, self.address.partition("@")[0].title())
        folder.items.append(item)
        for exception in item.exceptions:
            self.add_exception(item, exception)
        return item

    def add_exception(self, master: Item, exception: Item) -> Item:
        exception.id, exception.folder, exception.master = self._id("AAMkX"), master.folder, master
        exception.uid, exception.organizer, exception.zone = master.uid, master.organizer, master.zone
        exception.original_start = exception.original_start or exception.starts_at
        if exception not in master.exceptions:
            master.exceptions.append(exception)
        return exception

    def find(self, item_id: str) -> Item | None:
        for folder in self.folders:
            for item in folder.items:
                for each in (item, *item.exceptions):
                    if each.id == item_id:
                        return each
        return None

    def occurrence(self, master: Item, index: int) -> Item | None:
        """By its place in the series from 1 on; None where it was deleted or there is none."""
        start = next(itertools.islice(master.starts(), index - 1, None), None)
        if start is None or start in master.deleted:
            return None
        for exception in master.exceptions:
            if exception.original_start == start:
                return exception
        return self.plain_occurrence(master, start)

    def plain_occurrence(self, master: Item, start: datetime) -> Item:
        """An occurrence that nothing was changed of."""
        length: timedelta = master.ends_at - master.starts_at
        return Item(
            **{
                name: getattr(master, name)
                for name in ("subject", "body", "body_type", "zone", "location", "uid", "organizer", "my_response")
            },
            starts_at=start,
            ends_at=start + length,
            required=master.required,
            optional=master.optional,
            resources=master.resources,
            original_start=start,
            id=f"{master.id[:40]}{start:%Y%m%d%H%M}",
            version=master.version,
            folder=master.folder,
        )

    def delete(self, item: Item) -> None:
        assert item.folder is not None
        if item.master:
            item.master.exceptions.remove(item)
            assert item.original_start is not None
            item.master.deleted.append(item.original_start)
        else:
            item.folder.items.remove(item)
