"""Mailboxes of Exchange: events that the engine sees as calendar objects, whichever protocol leads to them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from django.db.models import Q, QuerySet
from django.utils import timezone

from migrations_app.calendars.content import content_of
from migrations_app.failures import Failure
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.base import PartlyWritten, Stored, Write, WrittenAmiss
from migrations_app.mailboxes.exchange.as_calendar import changes, etag_of, to_calendar
from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent
from migrations_app.mailboxes.exchange.join_links import changed_link, lost_link, unshown_link, with_exceptions
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Source, Unsettled
from migrations_app.mailboxes.findings import Finding
from migrations_app.mailboxes.indexed import UNSEEN, VERSION, IndexedMailbox, Keep
from migrations_app.models import IndexedMeeting, MailboxScan
from migrations_app.rewriting.written_numbers import digit_rows
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence

BATCH = 20
"""Events that are read together."""


class ViewedMailbox(IndexedMailbox):
    """The part of :class:`migrations_app.mailboxes.base.Mailbox` that Exchange Online and on-premises share.

    A row of the index has the event's id as its path, its text's digest as ETag, and the change key, which the server
    moves for more than MMS reads, as schedule tag. Each kind says whose mailboxes are of it (``whose``).
    """

    writes_in_parts: ClassVar[bool] = True
    most_attendees: ClassVar[int] = 500
    """Exchange Online takes no update of a meeting with more."""
    most_octets: ClassVar[int] = 4_000_000
    """Nor of a larger text."""

    def __init__(self, user: ConferencingUser) -> None:
        super().__init__(user)
        self._events: dict[str, ExchangeEvent] = {}
        """What was read last, by id: what is written next is a change of it."""

    @abstractmethod
    def source(self) -> Source:
        """A session with the user's calendar. Raises ``Failure``."""

    @abstractmethod
    def try_it(self) -> Iterator[Finding]:
        """What works and what does not, step by step, in words."""

    @property
    def tells_attendees(self) -> bool:
        return True

    # Looking

    def _look(self, scan: MailboxScan, keep: Keep) -> None:
        with self.source() as source:
            there, unread = self._list(source, keep)
            ids = set(self.index.values_list("href", flat=True))
            # Not listed is what is over, was deleted, or moved from one page of the list to another.
            unread |= self._read_into(source, sorted(ids - there), keep)
            anew = self.index.filter(Q(etag="") | Q(version__lt=VERSION)).order_by("pk")
            unread |= self._read_into(source, list(anew.values_list("href", flat=True)), keep)
            if unread:  # deleted meanwhile, or is it?
                listed = {entry.id for entries in source.list(timezone.now(), keep) for entry in entries}
                self._forget(unread - listed)
                self._note_unreadable(unread & listed)
            over = self.index.filter(last_end__lte=timezone.now()).values_list("href", flat=True)
            self._forget(set(over) - there)

    def _note_unreadable(self, ids: Collection[str]) -> None:
        """The server lists these, and gave none of them out that MMS can read, though it was asked again."""
        self.note_unseen("", ids)
        self.index.filter(href__in=ids).update(unreadable=UNSEEN)

    def _list(self, source: Source, keep: Keep) -> tuple[set[str], set[str]]:
        """What the server lists, with what it knows and has changed read; and what of it could not be read."""
        there, unread = set[str](), set[str]()
        for entries in source.list(timezone.now(), keep):
            throttling.note_success(self.connection)
            listed = {entry.id: entry.change_key for entry in entries}
            there |= listed.keys()
            for some in batched(sorted(listed)):
                known = dict(self.index.filter(href__in=some).values_list("href", "schedule_tag"))
                changed = [href for href in some if known.get(href) != listed[href]]
                unread |= self._read_into(source, changed, keep)
        return there, unread

    def _read_into(self, source: Source, ids: Sequence[str], keep: Keep) -> set[str]:
        """Read these into the index; those that the server did not give out."""
        missing = set[str]()
        for some in batched(ids, BATCH):
            keep()
            events = source.read(some)
            self._note(events.values())
            missing |= set(some) - events.keys()
        return missing

    def _note(self, events: Collection[ExchangeEvent]) -> None:
        self.note("", [(event.id, etag_of(event), event.change_key, to_calendar(event)) for event in events])

    def _forget(self, ids: Collection[str]) -> None:
        for some in batched(sorted(ids)):
            self.forget(self.index.filter(href__in=some))

    # Reading

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """As it stands there now; of each the event is kept, because what is read may be written."""
        self._events = {}
        found: dict[str, Stored] = {}
        rows = list(self.index.filter(uid__in=uids).order_by("href"))
        with self.source() as source:
            found |= {stored.listed.uid: stored for stored in self._all(source, rows)}
            missing = [uid for uid in uids if uid not in found]
            if missing:
                self._find(source, {row.href for row in rows} - self._events.keys())
                rows = list(self.index.filter(uid__in=missing).order_by("href"))
                found |= {stored.listed.uid: stored for stored in self._all(source, rows)}
        return found

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return self.read(uids)

    def _all(self, source: Source, rows: Sequence[IndexedMeeting]) -> Iterator[Stored]:
        """Those of these that are there; of one that stands twice both."""
        for some in batched(rows, BATCH):
            events = source.read([row.href for row in some])
            for row in some:
                if row.href in events:
                    yield self._stored(row, events[row.href])

    def _find(self, source: Source, gone: set[str]) -> None:
        """Look whether the server lists what it did not give out, and what it lists that is not known yet: a meeting
        that was moved may have another id. Raises ``Failure`` where it lists one of them still."""
        listed = [entry.id for entries in source.list(timezone.now(), lambda: None) for entry in entries]
        if not gone.isdisjoint(listed):
            raise Failure("mailbox-unavailable", sentence("it lists a meeting, and says that it is not there"))
        self._forget(gone)
        for some in batched(listed):
            known = set(self.index.filter(href__in=some).values_list("href", flat=True))
            self._read_into(source, [href for href in some if href not in known], lambda: None)

    def _stored(self, row: IndexedMeeting, event: ExchangeEvent) -> Stored:
        self._events[row.href] = event
        stored = self.stored(row, etag_of(event), event.change_key, to_calendar(event))
        return replace(stored, obstacle=self._obstacle(event))

    def _obstacle(self, event: ExchangeEvent) -> Failure | None:
        # Of a series what is over is not written, so it is in nobody's way.
        event = replace(event, exceptions=tuple(each for each in event.exceptions if each.ends_at > timezone.now()))
        if not event.is_organizer:
            return Failure("not-organizer", sentence("Exchange says that this calendar is not its organizer's"))
        if len(event.attendees) > self.most_attendees:
            told = sentence(
                "it has %(count)s attendees, and Exchange updates at most %(most)s",
                count=len(event.attendees),
                most=self.most_attendees,
            )
            return Failure("meeting-too-large-for-exchange", told)
        if any(each.is_unsent for each in with_exceptions(event)):
            # Exchange would send what the organizer may still be thinking about.
            told = sentence(
                "Its organizer has not sent the invitation, or the last changes of it, and a change would send them"
            )
            return Failure("needs-review", told)
        link = unshown_link(event)
        if link:
            return Failure(
                "needs-review",
                sentence("Its invitation does not show the Teams link that Exchange has for it, %(link)s", link=link),
            )
        return None

    @classmethod
    def read_upcoming(
        cls, users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
    ) -> Iterator[tuple[int, Stored]]:
        theirs = users.filter(cls.whose).select_related("tenant__mailbox", "mailbox", "mailbox_credential")
        for user in theirs.order_by("pk").iterator(chunk_size=100):
            mailbox = cls(user)
            for some in batched(mailbox.upcoming(now, showing, uids), BATCH):
                rows = list(mailbox.index.filter(uid__in=some).order_by("href"))
                with mailbox.source() as source:
                    read = list(mailbox._all(source, rows))
                missing = set(some) - {stored.listed.uid for stored in read}
                if missing:
                    read += mailbox.read(sorted(missing)).values()
                for stored in read:
                    yield user.pk, stored

    # Writing

    def write(self, writes: Sequence[Write], keep: Keep = lambda: None) -> Mapping[str, Failure | Stored | None]:
        answers: dict[str, Failure | Stored | None] = {}
        rows = {row.uid: row for row in self.index.filter(uid__in=[write.uid for write in writes])}
        with self.source() as source:
            for write in writes:
                row = rows.get(write.uid)
                if row is None or row.etag != write.etag:
                    continue  # somebody has changed it since, or taken it away
                try:
                    answer = self._write(source, row, write, keep)
                except (Changed, Gone, Unsettled):
                    continue  # it is read and decided anew: then it shows what of it was written after all
                except Failure as failure:
                    if answers:
                        raise PartlyWritten(answers, failure) from failure
                    raise
                answers[write.uid] = answer
        return answers

    def _write(self, source: Source, row: IndexedMeeting, write: Write, keep: Keep) -> Failure | Stored:
        """Write one meeting, part by part; what stands there then, or why it is not what was to be. Raises ``Changed``
        or ``Gone`` where somebody was faster, ``Unsettled`` where it is not known what stands there, or ``Failure``
        where the mailbox cannot be reached."""
        before = self._events.get(row.href)
        if before is None or etag_of(before) != write.etag:
            keep()
            before = _there(source, row.href)
        if etag_of(before) != write.etag:
            raise Changed
        try:
            parts = changes(before, write.body)
        except ValueError as error:
            return Failure(
                "internal-error", sentence("not to be written into Exchange: %(error)s", error=error.args[0])
            )
        refusal = self._refusal(before, parts, write)
        if refusal:
            return refusal
        written: list[Change] = []
        current, key = before, ""
        for part in parts:
            if written:
                keep()
                current = self._rest(source, current, written, before)
            keep()
            try:
                key = source.apply(replace(part, change_key=_key(current, part.event_id)))
            except Refused as refused:
                if not written:
                    return refused
                keep()
                stored = self._stored(row, _there(source, row.href))
                return WrittenAmiss(refused.code, refused.detail, stored)
            written.append(part)
        keep()
        try:
            after = _there(source, row.href)
        except Failure as failure:
            raise Unsettled from failure
        is_moved_on = bool(parts) and _key(after, parts[-1].event_id) != key
        return self._answer(row, write, before, after, parts, is_moved_on=is_moved_on)

    def _refusal(self, event: ExchangeEvent, parts: Sequence[Change], write: Write) -> Failure | None:
        """Why this is not sent."""
        size = max((len((part.body or "").encode("utf-8", "replace")) for part in parts), default=0)
        if size > self.most_octets:
            told = sentence(
                "its text has %(size)s octets, and Exchange takes at most %(most)s", size=size, most=self.most_octets
            )
            return Failure("meeting-too-large-for-exchange", told)
        lost = "" if write.makes_anew else lost_link(event, parts)
        return Failure("join-link-missing", lost) if lost else None

    @staticmethod
    def _rest(
        source: Source, current: ExchangeEvent, written: Sequence[Change], before: ExchangeEvent
    ) -> ExchangeEvent:
        """The meeting as it stands after a part was written, with the keys that the next is conditional on. Raises
        ``Changed`` where what was not written yet is not what it was."""
        now = _there(source, before.id)
        done = {change.event_id for change in written}
        if _said_beside(now, done) != _said_beside(before, done):
            raise Changed
        return now

    def _answer(
        self,
        row: IndexedMeeting,
        write: Write,
        before: ExchangeEvent,
        after: ExchangeEvent,
        parts: Sequence[Change],
        *,
        is_moved_on: bool,
    ) -> Failure | Stored:
        """What is there after all was written; servers write texts in their own way."""
        was = to_calendar(before)
        stored = replace(self._stored(row, after), is_moved_on=is_moved_on)
        if parts and content_of(stored.body) == content_of(was):
            told = sentence("it says that it took the meeting, and has the old one still")
            return Failure("meeting-refused-by-server", told)
        changed = changed_link(before, after, parts)
        if changed:
            return WrittenAmiss("join-link-changed", changed, stored)
        if digit_rows(write.body) - digit_rows(was) - digit_rows(stored.body):
            told = sentence("it has changed the meeting, and left out numbers that were written")
            return WrittenAmiss("meeting-refused-by-server", told, stored)
        return stored


def _there(source: Source, event_id: str) -> ExchangeEvent:
    event = source.read([event_id]).get(event_id)
    if event is None:
        raise Gone
    return event


def _key(event: ExchangeEvent, event_id: str) -> str:
    """The change key of the event or of one of its exceptions. Raises ``Gone``."""
    for each in with_exceptions(event):
        if each.id == event_id:
            return each.change_key
    raise Gone


def _said_beside(event: ExchangeEvent, done: Collection[str]) -> str:
    """What the event says but for the exceptions that were written."""
    rest = tuple(each for each in event.exceptions if each.id not in done)
    return content_of(to_calendar(replace(event, exceptions=rest)))
