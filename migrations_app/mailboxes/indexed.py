"""Mailboxes outside: what MMS lists of them stands in an index, filled by scans; the texts stay where they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.failures import Failure
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.base import NO_END, AsOf, Listed, Stored
from migrations_app.mailboxes.listing import COLUMNS, FACTS, LONGEST_UID, ListedByRows, facts_of
from migrations_app.mailboxes.shown import note_shown, shown_meeting
from migrations_app.models import IndexedMeeting, MailboxScan, NumberRelease, ShownMeeting
from migrations_app.monitoring import clock
from migrations_app.rewriting.written_numbers import SHORTEST_ROW, digit_rows, digits_of, shown_numbers, where_shown
from tenants_app import fingerprints
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, MailboxConnection
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tenants_app.sentences import sentence

Keep = Callable[[], object]
"""Called before each request: it renews a lease, or raises where time is over."""
SCAN_EVERY = timedelta(hours=1)
"""How old what is listed may become before the background service looks again."""
VERSION = 1
"""Of what the index says of a text. Raise it with every change of that, or of
:func:`migrations_app.rewriting.written_numbers.digit_rows`: all is read anew then, and until then searched in full."""
_OF_A_LOOK = ["connection", "calendars", "scanned_at", "failures", "code", "detail"]
"""What a look writes of its row; the lease is its owner's."""
_LONGEST_DIGITS = 4_000
"""Characters of a meeting's rows of digits; one that has more is read itself."""
UNSEEN = sentence("The mailbox's server lists it, and did not give it out when it was asked")
_TWICE = "The same meeting stands twice in the mailbox"
"""How what is said of such a meeting begins, in English."""


def of_kind(kind: str) -> Q:
    """Users whose mailbox is of this kind."""
    return Q(mailbox__kind=kind) | Q(mailbox=None, tenant__mailbox__kind=kind)


class IndexedMailbox(ListedByRows):
    """The part of :class:`migrations_app.mailboxes.base.Mailbox` that all mailboxes outside share."""

    is_outside: ClassVar[bool] = True
    tries: ClassVar[int] = 3
    writes_in_parts: ClassVar[bool] = False
    tells_of_series_and_occurrences: ClassVar[bool] = False
    related = "indexed_meetings"
    whose = ~Q(mailbox=None, tenant__mailbox=None) & ~Q(mailbox__kind=MailboxConnection.Kind.EMBEDDED)
    """Of this class, those of all kinds outside; each kind narrows it (:func:`of_kind`)."""

    def __init__(self, user: ConferencingUser) -> None:
        super().__init__(user)
        connection = user.mailbox_connection
        if connection is None:
            raise ValueError(f"{user} has no mailbox connection.")
        self.connection = connection

    @classmethod
    def count_stored(cls, users: QuerySet[ConferencingUser]) -> dict[int, int]:
        return super().count_stored(users.filter(mailbox_scan__scanned_at__isnull=False))

    @property
    def index(self) -> QuerySet[IndexedMeeting]:
        """What is known of the mailbox, one row for each object in it."""
        return IndexedMeeting.objects.filter(user=self.user)

    @property
    def rows(self) -> QuerySet[IndexedMeeting]:
        # Of a meeting that stands twice, one row: it is one that fails.
        another = IndexedMeeting.objects.filter(user=self.user, uid=OuterRef("uid"), pk__lt=OuterRef("pk"))
        return self.index.exclude(Exists(another))

    @property
    def tells_attendees(self) -> bool:
        return self.connection.tells_attendees

    @property
    def as_of(self) -> AsOf:
        scan = MailboxScan.objects.filter(user=self.user).first()
        return AsOf(scan.scanned_at, scan.problem) if scan else AsOf(None)

    @property
    def left_alone_until(self) -> datetime | None:
        return throttling.left_alone_until(self.connection)

    def note_failure(self, failure: Failure) -> datetime | None:
        if failure.is_of_one_mailbox and failure.retry_after:
            throttling.leave_mailbox_alone(self.user, failure.retry_after)
        return throttling.note_failure(self.connection, failure)

    def sign_in(self) -> tuple[str, str]:
        """User name and password, of the connection's service account or the user's own. Raises ``Failure``."""
        try:
            if self.connection.username:
                return self.connection.username, self.connection.password
            credential = getattr(self.user, "mailbox_credential", None)
            if credential is None:
                raise Failure(
                    "mailbox-without-sign-in",
                    sentence("%(connection)s has no service account", connection=str(self.connection)),
                )
            if credential.server != self.connection.server:
                raise Failure(
                    "mailbox-without-sign-in",
                    sentence(
                        "the password of %(upn)s was given for %(server)s and is sent to no other server",
                        upn=self.user.upn,
                        server=credential.server,
                    ),
                )
            return credential.username, credential.password
        except (NoSecretsKey, UnopenableSecret) as error:
            raise Failure(
                "secret-unopenable", sentence("that of %(connection)s", connection=str(self.connection))
            ) from error

    # The index

    def refresh(self, keep: Keep) -> None:
        """Look for what has changed in the mailbox since the last look. Goes on where an earlier look was cut off."""
        scan = begin_scan(self.user, self.connection)
        began = clock.now()
        try:
            self._look(scan, keep)
        except Failure as failure:
            scan.failures += 1
            scan.code, scan.detail = failure.code, failure.detail
            scan.save(update_fields=_OF_A_LOOK)
            raise
        scan.scanned_at, scan.due_at = began, began + SCAN_EVERY
        scan.failures, scan.code, scan.detail = 0, "", ""
        scan.save(update_fields=[*_OF_A_LOOK, "due_at"])

    def note_how_far(self, scan: MailboxScan) -> None:
        """From here the next look goes on where this one is cut off."""
        scan.save(update_fields=_OF_A_LOOK)

    @abstractmethod
    def _look(self, scan: MailboxScan, keep: Keep) -> None:
        """Bring the index up to date; ``keep`` is called before each request. Raises ``Failure``."""

    def note(self, calendar: str, texts: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Take texts that were read, each with href, ETag and schedule tag, into the index.

        The service numbers that they show are noted, so that none of them is released meanwhile (R35); and all rows of
        digits, so that any number can be looked for later without reading the texts.
        """
        rows = [
            IndexedMeeting(
                user=self.user,
                calendar=calendar,
                href=href,
                etag=etag,
                schedule_tag=tag,
                size=len(body),
                version=VERSION,
                **facts_of(_uid(href, body), body, self.user),
            )
            for href, etag, tag, body in texts
        ]
        if not rows:
            return
        now, shown = timezone.now(), set[int]()
        releases = NumberRelease.objects.filter(tenant=self.user.tenant, state__in=NumberRelease.OPEN)
        leaving = {release.e164: release for release in releases}
        holding: dict[tuple[str, str], ShownMeeting] = {}
        for row, (*_, body) in zip(rows, texts, strict=True):
            # What others organize, and what is over, is searched for no number.
            if row.organizer in {*self.user.addresses, ""} and row.last_end > now and not row.cancelled:
                digits = " ".join(sorted(digit_rows(body)))
                row.digits = digits if len(digits) <= _LONGEST_DIGITS else None
                possible = [number for number in self._numbers if digits_of(number) in digits]
                for number in shown_numbers(body, possible, now):
                    shown.add(self._numbers[number])
                    if number in leaving:
                        places = where_shown(body, number, now)
                        meeting = shown_meeting(leaving[number], self.user.pk, row, places)
                        holding[number, row.uid] = meeting
        with transaction.atomic():
            IndexedMeeting.objects.bulk_create(
                rows,
                batch_size=100,
                update_conflicts=True,
                unique_fields=["user", "href"],
                update_fields=["calendar", "etag", "schedule_tag", "size", "digits", "version", *COLUMNS],
            )
            self._mark_those_that_stand_twice({row.uid for row in rows})
            if shown:
                fingerprints.add_numbers(self.user, shown)
            note_shown(list(holding.values()))

    def note_unseen(self, calendar: str, hrefs: Collection[str]) -> None:
        """The server lists these, and did not give them out: they are read anew at the next look, and until then count
        as what cannot be read, so that none of them is lost from sight."""
        known = self.index.filter(href__in=hrefs)
        there = set(known.values_list("href", flat=True))
        known.update(etag="")
        IndexedMeeting.objects.bulk_create(
            [
                IndexedMeeting(
                    user=self.user, calendar=calendar, href=href, uid=href[-500:], last_end=NO_END, unreadable=UNSEEN
                )
                for href in hrefs
                if href not in there
            ],
            ignore_conflicts=True,
        )

    def forget(self, rows: QuerySet[IndexedMeeting]) -> None:
        """These are gone from the mailbox."""
        uids = list(rows.values_list("uid", flat=True))
        with transaction.atomic():
            rows.delete()
            # What stood twice may stand once by now: it is read anew.
            for some in batched(uids):
                self.index.filter(uid__in=some).exclude(unreadable="").update(etag="")

    def _mark_those_that_stand_twice(self, uids: Collection[str]) -> None:
        # Nobody could tell which of them counts, and a change of one would leave the other wrong.
        places: dict[str, list[str]] = {}
        for uid, href in self.index.filter(uid__in=uids).order_by("href").values_list("uid", "href"):
            places.setdefault(uid, []).append(href)
        for uid, hrefs in places.items():
            if len(hrefs) > 1:
                told = sentence(
                    "The same meeting stands twice in the mailbox, at %(one)s and %(other)s: delete one of them, or "
                    "move it to another mailbox",
                    one=hrefs[0],
                    other=hrefs[1],
                )
                self.index.filter(uid=uid).update(unreadable=told)

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return dict(self.user.tenant.service_numbers.values_list("number", "pk"))

    def upcoming(self, now: datetime, showing: str, uids: Collection[str] | None) -> list[str]:
        """The UIDs of what :meth:`migrations_app.mailboxes.base.Mailbox.read_upcoming` reads."""
        rows = self.index.filter(organizer__in=[*self.user.addresses, ""], last_end__gt=now, cancelled=False)
        digits = digits_of(showing) if showing else ""
        if len(digits) >= SHORTEST_ROW:
            is_unknown = Q(digits=None) | Q(version__lt=VERSION) | Q(etag="")
            rows = rows.filter(is_unknown | Q(digits__contains=digits))
        if uids is not None:
            rows = rows.filter(uid__in=uids)
        return list(dict.fromkeys(rows.order_by("pk").values_list("uid", flat=True)))

    def stored(self, row: IndexedMeeting, etag: str, schedule_tag: str, body: bytes) -> Stored:
        """The meeting as it was read just now; the index follows where it has changed since the scan."""
        if row.etag != etag or row.schedule_tag != schedule_tag:
            self.note(row.calendar, [(row.href, etag, schedule_tag, body)])
        facts = facts_of(row.uid, body, self.user)
        listed = {name: getattr(row, name) for name in FACTS} | {"size": len(body), "unreadable": ""} | facts
        if row.unreadable.startswith(_TWICE):
            listed["unreadable"] = row.unreadable
        return Stored(Listed(**listed), body, etag)


def _uid(href: str, body: bytes) -> str:
    """The UID of an object; of one that cannot be read its path, so that it has a name of its own."""
    with suppress(UnreadableCalendar):
        uid = read_facts(body).uid
        if 0 < len(uid) <= LONGEST_UID:
            return uid
    return href[-LONGEST_UID:]


def begin_scan(user: ConferencingUser, connection: MailboxConnection) -> MailboxScan:
    """The scan's row; where the user had another connection before, from the beginning."""
    scan, _ = MailboxScan.objects.get_or_create(user=user, defaults={"connection": connection})
    if scan.connection_id != connection.pk:
        IndexedMeeting.objects.filter(user=user).delete()
        scan.connection, scan.calendars, scan.scanned_at = connection, {}, None
    return scan
