"""The mailbox that MMS keeps itself: calendar objects in the database, byte for byte as they were received."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from operator import itemgetter

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Length, Lower
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.mailboxes.base import NO_END, FutureMeetings, Listed, Stored, Write
from migrations_app.models import CalendarObject
from tenants_app.models import ConferencingUser

_FACTS = tuple(field.name for field in fields(Listed))
"""What a listed meeting says stands in columns of the same names, but for the size, which the database counts."""
_COLUMNS = tuple(name for name in _FACTS if name != "size")


def etag_of(body: bytes) -> str:
    """The ETag of a text; the same text always has the same one."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


class EmbeddedMailbox:
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over :class:`CalendarObject` rows."""

    def __init__(self, user: ConferencingUser) -> None:
        self.user = user
        self._objects = CalendarObject.objects.filter(user=user).annotate(size=Length("body"))

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

    def list_upcoming(self, now: datetime) -> Sequence[Listed]:
        to_come = self._objects.filter(last_end__gt=now).order_by(F("starts_at").asc(nulls_first=True), "uid")
        return [Listed(*row) for row in to_come.values_list(*_FACTS)]

    @staticmethod
    def read_upcoming(users: QuerySet[ConferencingUser], now: datetime) -> Iterator[tuple[int, Stored]]:
        theirs = Q(organizer=Lower("user__upn")) | Q(organizer=Lower("user__sip_address")) | Q(organizer="")
        rows = (
            CalendarObject.objects.filter(theirs, user__in=users, last_end__gt=now, cancelled=False)
            .annotate(size=Length("body"))
            .values_list("user", "body", "etag", *_FACTS)
        )
        for user, body, etag, *facts in rows.iterator(chunk_size=100):
            yield user, Stored(Listed(*facts), bytes(body), etag)

    @staticmethod
    def count_upcoming(users: QuerySet[ConferencingUser], now: datetime) -> FutureMeetings:
        # Asked of the users, who may be few, and not of all the meetings that there are.
        theirs = Q(calendar_objects__organizer=Lower("upn")) | Q(calendar_objects__organizer=Lower("sip_address"))
        readable = Q(calendar_objects__cancelled=False, calendar_objects__unreadable="")
        attendees = F("calendar_objects__attendee_count")
        found = (
            users.order_by()
            .filter(theirs, readable, calendar_objects__last_end__gt=now)
            .aggregate(
                meetings=Count("calendar_objects"),
                invitations=Coalesce(Sum(attendees - 1, filter=Q(calendar_objects__attendee_count__gt=0)), 0),
            )
        )
        return FutureMeetings(**found)

    @staticmethod
    def _candidates(organizers: Collection[str], now: datetime) -> Q:
        # An unreadable object may be anything; it is listed, so that it fails by itself instead of vanishing.
        mine = Q(organizer__in=organizers, cancelled=False) | ~Q(unreadable="")
        return Q(last_end__gt=now) & mine

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        rows = self._objects.filter(uid__in=uids).values_list("body", "etag", *_FACTS)
        return {facts[0]: Stored(Listed(*facts), bytes(body), etag) for body, etag, *facts in rows}

    def write(self, writes: Sequence[Write]) -> set[str]:
        """All in one statement. The facts (dates, people) stay, because a new meeting block does not change them."""
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
        """Put (UID, text) pairs into the mailbox, replacing what has the same UID. Returns how many were new.

        An object that cannot be read is kept as it came, marked with the reason: a mailbox holds such things.
        """
        rows = [self._row(uid, body) for uid, body in sorted(objects, key=itemgetter(0))]
        before = self._objects.count()
        CalendarObject.objects.bulk_create(
            rows,
            batch_size=100,
            update_conflicts=True,
            unique_fields=["user", "uid"],
            update_fields=["body", "etag", *_COLUMNS[1:]],
        )
        return self._objects.count() - before

    def _row(self, uid: str, body: bytes) -> CalendarObject:
        stored = {"user": self.user, "body": body, "etag": etag_of(body)}
        try:
            facts = read_facts(body)
        except UnreadableCalendar as error:
            return CalendarObject(**stored, uid=uid, last_end=NO_END, unreadable=str(error)[:500])
        recipients = itip.read(body, self.user.addresses, now=timezone.now()).recipients
        listed = replace(Listed.of(facts, len(recipients)), uid=uid, subject=facts.subject[:255])
        facts_stored = {name: value for name, value in asdict(listed).items() if name in _COLUMNS}
        return CalendarObject(**stored, **facts_stored)
