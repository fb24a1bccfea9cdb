"""The mailbox that MMS keeps itself: calendar objects in the database, byte for byte as they were received."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.mailboxes.base import Listed, Stored, Write
from migrations_app.models import NO_END, CalendarObject
from tenants_app.models import ConferencingUser

_FACTS = (
    "uid",
    "subject",
    "organizer",
    "starts_at",
    "last_end",
    "attendee_count",
    "recipient_count",
    "cancelled",
    "unreadable",
)


def etag_of(body: bytes) -> str:
    """The ETag of a text; the same text always has the same one."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


class EmbeddedMailbox:
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over :class:`CalendarObject` rows."""

    def __init__(self, user: ConferencingUser) -> None:
        self.user = user
        self._objects = CalendarObject.objects.filter(user=user)

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        return [
            Listed(*row)
            for row in self._objects.filter(self._candidates(organizers, now))
            .order_by("starts_at", "uid")
            .values_list(*_FACTS)
        ]

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        rows = self._objects.exclude(self._candidates(organizers, now)).values_list(*_FACTS)
        return (Listed(*row) for row in rows.iterator())

    @staticmethod
    def _candidates(organizers: Collection[str], now: datetime) -> Q:
        # An unreadable object may be anything; it is listed, so that it fails by itself instead of vanishing.
        mine = Q(organizer__in=organizers, cancelled=False) | ~Q(unreadable="")
        return Q(last_end__gt=now) & mine

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        rows = self._objects.filter(uid__in=uids).values_list("body", "etag", *_FACTS)
        return {facts[0]: Stored(Listed(*facts), bytes(body), etag) for body, etag, *facts in rows}

    def write(self, writes: Sequence[Write]) -> set[str]:
        """One statement for all. What selection reads (dates, people) is not touched by a new meeting block."""
        ordered = sorted(writes, key=lambda w: w.uid)  # so that two who write do not lock each other out
        rows = [(w.body, etag_of(w.body), self.user.pk, w.uid, w.etag) for w in ordered]
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {CalendarObject._meta.db_table} SET body = %s, etag = %s "  # noqa: S608 - no outside text
                "WHERE user_id = %s AND uid = %s AND etag = %s",
                rows,
            )
            if cursor.rowcount == len(rows):
                return {w.uid for w in writes}
        stored = dict(self._objects.filter(uid__in=[w.uid for w in writes]).values_list("uid", "etag"))
        return {uid for _, etag, _, uid, _ in rows if stored.get(uid) == etag}

    @transaction.atomic
    def store(self, objects: Iterable[tuple[str, bytes]]) -> int:
        """Put (UID, text) pairs into the mailbox, replacing what has the same UID; how many were new.

        An object that cannot be read is kept as it came, marked with the reason: a mailbox holds such things.
        """
        rows = [self._row(uid, body) for uid, body in sorted(objects, key=itemgetter(0))]
        before = self._objects.count()
        CalendarObject.objects.bulk_create(
            rows,
            batch_size=100,
            update_conflicts=True,
            unique_fields=["user", "uid"],
            update_fields=["body", "etag", *_FACTS[1:]],
        )
        return self._objects.count() - before

    def _row(self, uid: str, body: bytes) -> CalendarObject:
        row = CalendarObject(user=self.user, uid=uid, body=body, etag=etag_of(body), last_end=NO_END)
        try:
            facts = read_facts(body)
        except UnreadableCalendar as error:
            row.unreadable = str(error)[:500]
            return row
        row.organizer = facts.organizer
        row.subject = facts.subject[:255]
        row.starts_at = facts.starts_at
        row.last_end = facts.ends_at or NO_END
        row.attendee_count = facts.attendee_count
        row.recipient_count = len(itip.read(body, self.user.addresses, now=timezone.now()).recipients)
        row.cancelled = facts.cancelled
        return row
