"""The mailbox that MMS keeps itself: calendar objects in the database, byte for byte as they were received."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import ClassVar

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Length, Lower

from migrations_app.failures import Failure
from migrations_app.mailboxes.base import Listed, Stored, Write
from migrations_app.mailboxes.listing import COLUMNS, FACTS, ListedByRows, facts_of
from migrations_app.models import CalendarObject
from tenants_app.models import ConferencingUser, MailboxConnection


def etag_of(body: bytes) -> str:
    """The ETag of a text; the same text always has the same one."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


class EmbeddedMailbox(ListedByRows):
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over :class:`CalendarObject` rows."""

    is_outside: ClassVar[bool] = False
    tries: ClassVar[int] = 2
    writes_in_parts: ClassVar[bool] = False
    tells_of_series_and_occurrences: ClassVar[bool] = False
    related = "calendar_objects"
    whose = Q(mailbox=None, tenant__mailbox=None) | Q(mailbox__kind=MailboxConnection.Kind.EMBEDDED)

    @property
    def rows(self) -> QuerySet[CalendarObject]:
        return CalendarObject.objects.filter(user=self.user).annotate(size=Length("body"))

    @property
    def tells_attendees(self) -> bool:
        return False

    @property
    def as_of(self) -> None:
        return None

    def refresh(self, keep: Callable[[], object]) -> None:
        """What is in the database needs no look."""

    @property
    def left_alone_until(self) -> None:
        return None

    def note_failure(self, failure: Failure) -> None:
        """Each of these mailboxes stands for itself."""

    @staticmethod
    def read_upcoming(
        users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
    ) -> Iterator[tuple[int, Stored]]:
        theirs = Q(organizer=Lower("user__upn")) | Q(organizer=Lower("user__sip_address")) | Q(organizer="")
        if uids is not None:
            theirs &= Q(uid__in=uids)
        rows = (
            CalendarObject.objects.filter(
                theirs, user__in=users.filter(EmbeddedMailbox.whose), last_end__gt=now, cancelled=False
            )
            .annotate(size=Length("body"))
            .values_list("user", "body", "etag", *FACTS)
        )
        for user, body, etag, *facts in rows.iterator(chunk_size=100):
            yield user, Stored(Listed(*facts), bytes(body), etag)

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        rows = self.rows.filter(uid__in=uids).values_list("body", "etag", *FACTS)
        return {facts[0]: Stored(Listed(*facts), bytes(body), etag) for body, etag, *facts in rows}

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return self.read(uids)

    def write(self, writes: Sequence[Write], keep: Callable[[], object] = lambda: None) -> Mapping[str, None]:
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
                return dict.fromkeys(w.uid for w in writes)
        stored = dict(self.rows.filter(uid__in=[w.uid for w in writes]).values_list("uid", "etag"))
        return dict.fromkeys(uid for _, etag, _, uid, _ in rows if stored.get(uid) == etag)

    @transaction.atomic
    def store(self, objects: Iterable[tuple[str, bytes]]) -> int:
        """Put (UID, text) pairs into the mailbox, replacing what has the same UID. Returns how many were new.

        An object that cannot be read is kept as it came, marked with the reason: a mailbox holds such things.
        """
        rows = [self._row(uid, body) for uid, body in sorted(objects, key=itemgetter(0))]
        before = self.rows.count()
        CalendarObject.objects.bulk_create(
            rows,
            batch_size=100,
            update_conflicts=True,
            unique_fields=["user", "uid"],
            update_fields=["body", "etag", *(name for name in COLUMNS if name != "uid")],
        )
        return self.rows.count() - before

    def _row(self, uid: str, body: bytes) -> CalendarObject:
        return CalendarObject(user=self.user, body=body, etag=etag_of(body), **facts_of(uid, body, self.user))
