"""Mailboxes on a CalDAV server (RFC 4791)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from django.conf import settings
from django.db.models import Q, QuerySet

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.revision import highest_sequence
from migrations_app.failures import Failure, describe
from migrations_app.https.session import SOMEBODY_WAITS
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.base import PartlyWritten, Stored, Write
from migrations_app.mailboxes.caldav.client import (
    BATCH,
    Account,
    Calendar,
    Changed,
    Client,
    Entry,
    Gone,
    Refused,
    TokenExpired,
    Unsettled,
)
from migrations_app.mailboxes.caldav.steps import check
from migrations_app.mailboxes.findings import Finding
from migrations_app.mailboxes.indexed import VERSION, IndexedMailbox, Keep, begin_scan, of_kind
from migrations_app.models import IndexedMeeting, MailboxScan
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, MailboxConnection
from tenants_app.sentences import sentence


class CalDavMailbox(IndexedMailbox):
    """Implements :class:`migrations_app.mailboxes.base.Mailbox` over a CalDAV server."""

    whose = of_kind(MailboxConnection.Kind.CALDAV)

    def _look(self, scan: MailboxScan, keep: Keep) -> None:
        with self._client() as client:
            keep()
            calendars = self._calendars(client)
            self._note_who_tells(client, calendars)
            throttling.note_success(self.connection)
            hrefs = [calendar.href for calendar in calendars]
            self.forget(self.index.exclude(calendar__in=hrefs))
            scan.calendars = {href: token for href, token in scan.calendars.items() if href in hrefs}
            for href in hrefs:
                scan.calendars[href] = self._scan(client, href, scan.calendars.get(href, ""), keep)
                self.note_how_far(scan)
            self._read_anew(client, keep)

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """Each by itself and octet for octet, since what is read may be written."""
        found: dict[str, Stored] = {}
        rows = list(self.index.filter(uid__in=uids).order_by("href"))
        with self._client() as client:
            for row in rows:
                resource = client.get(row.href)
                if resource is not None:
                    found[row.uid] = self.stored(row, resource.etag, resource.schedule_tag, resource.body)
            # What was moved to another calendar since the last look has the same UID there.
            for uid in [uid for uid in uids if uid not in found]:
                found |= self._moved(client, uid)
            self._confirm_gone(client, [row for row in rows if row.uid not in found])
        return found

    def _confirm_gone(self, client: Client, rows: Sequence[IndexedMeeting]) -> None:
        """Look whether the server lists them still: a meeting is not given up because of one answer. Raises ``Failure``
        where it does."""
        if not rows:
            return
        scan = begin_scan(self.user, self.connection)
        for calendar in {row.calendar for row in rows}:
            scan.calendars[calendar] = self._scan(client, calendar, scan.calendars.get(calendar, ""), lambda: None)
        scan.save(update_fields=["connection", "calendars"])
        listed = self.index.filter(pk__in=[row.pk for row in rows]).first()
        if listed is not None:
            failure = Failure(
                "mailbox-unavailable", sentence("it lists %(href)s, and says that it is not there", href=listed.href)
            )
            failure.is_of_one_mailbox = True
            raise failure

    def write(self, writes: Sequence[Write], keep: Keep = lambda: None) -> Mapping[str, Failure | Stored | None]:
        answers: dict[str, Failure | Stored | None] = {}
        rows = {row.uid: row for row in self.index.filter(uid__in=[write.uid for write in writes])}
        with self._client() as client:
            for write in writes:
                keep()
                row = rows.get(write.uid)
                if row is None or row.etag != write.etag:
                    continue  # somebody has changed it since, or taken it away
                if not write.etag:
                    answers[write.uid] = Failure("mailbox-ignores-conditions", sentence("it gives the meeting no ETag"))
                    continue
                try:
                    written = client.put(row.href, write.body, etag=row.etag, schedule_tag=row.schedule_tag)
                except (Changed, Gone, Unsettled):
                    continue  # it is read back, and decided anew: then it shows whether it was written after all
                except Refused as refused:
                    answers[write.uid] = refused
                    continue
                except Failure as failure:
                    if answers:
                        raise PartlyWritten(answers, failure) from failure
                    raise
                self.index.filter(pk=row.pk).update(
                    etag=written.etag or "", schedule_tag=written.schedule_tag, size=len(write.body)
                )
                # Who tells no ETag may store other octets than were sent (RFC 4791 section 5.3.4), or none.
                answers |= {write.uid: None} if written.etag else self._read_back(client, row, write)
        return answers

    def _read_back(self, client: Client, row: IndexedMeeting, write: Write) -> dict[str, Failure | Stored | None]:
        """What became of a text that the server says it took, by its UID; empty where nobody knows, so that the meeting
        is read and decided anew."""
        try:
            resource = client.get(row.href)
        except Failure:
            return {}
        if resource is None:
            return {}
        if resource.body == write.body:
            return {write.uid: None}
        try:
            sent, there = (highest_sequence(body, all_events(body)) for body in (write.body, resource.body))
        except UnreadableCalendar:
            return {write.uid: None}
        if resource.etag == write.etag and there < sent:
            told = sentence("it says that it took the meeting, and has the old one still")
            return {write.uid: Failure("meeting-refused-by-server", told)}
        row.etag = ""
        return {write.uid: self.stored(row, resource.etag, resource.schedule_tag, resource.body)}

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        """Some at a time, which takes one request where reading takes one for each."""
        return {stored.listed.uid: stored for stored in self._look_at(uids)}

    def _look_at(self, uids: Sequence[str]) -> Iterator[Stored]:
        """Of one that stands twice both."""
        rows = {row.href: row for row in self.index.filter(uid__in=uids).order_by("href")}
        hrefs: dict[str, list[str]] = {}
        for row in rows.values():
            hrefs.setdefault(row.calendar, []).append(row.href)
        missing = set(uids) - {row.uid for row in rows.values()}
        if rows:
            with self._client() as client:
                for calendar, theirs in hrefs.items():
                    for resource in client.read(calendar, theirs):
                        if resource.href not in rows:
                            continue  # it was not asked for
                        row = rows.pop(resource.href)
                        yield self.stored(row, resource.etag, resource.schedule_tag, resource.body)
        missing |= {row.uid for row in rows.values()}
        if missing:
            yield from self.read(sorted(missing)).values()

    @staticmethod
    def read_upcoming(
        users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
    ) -> Iterator[tuple[int, Stored]]:
        theirs = users.filter(CalDavMailbox.whose).select_related("tenant__mailbox", "mailbox", "mailbox_credential")
        for user in theirs.order_by("pk").iterator(chunk_size=100):
            mailbox = CalDavMailbox(user)
            for some in batched(mailbox.upcoming(now, showing, uids), BATCH):
                for stored in mailbox._look_at(some):
                    yield user.pk, stored

    def try_it(self) -> Iterator[Finding]:
        """What works and what does not, step by step, in words (see :mod:`migrations_app.mailboxes.caldav.steps`)."""
        try:
            account = self.account()
        except Failure as failure:
            yield Finding("sign-in", False, describe(failure.code, failure.detail), failure.code)
            return
        yield from check(
            account,
            self.user.upn,
            template=self.connection.path_template,
            allowed_hosts=settings.MMS_ALLOWED_MAIL_HOSTS,
            limits=SOMEBODY_WAITS,
        )

    def account(self) -> Account:
        """How to sign in. Raises ``Failure``."""
        username, password = self.sign_in()
        address = self.connection.found_at or self.connection.address
        return Account(address, username, password, self.connection.ca_certificates)

    def _client(self) -> Client:
        return Client(self.account(), settings.MMS_ALLOWED_MAIL_HOSTS)

    def _calendars(self, client: Client) -> list[Calendar]:
        template = self.connection.path_template
        before = client.address
        principal = client.principal(template, self.user.upn) if template else client.discover()
        if client.address != before:  # whoever reads and writes what is listed here must go there too
            self.connection.found_at = client.address
            MailboxConnection.objects.filter(pk=self.connection.pk).update(found_at=client.address)
        calendars = [calendar for calendar in client.calendars(principal) if calendar.may_write]
        names = {name.strip().casefold() for name in self.connection.calendars.split(",")} - {""}
        if names:
            calendars = [calendar for calendar in calendars if calendar.name.casefold() in names]
        if not calendars:
            told = (
                sentence(
                    "%(upn)s has no calendar named %(names)s that MMS may change",
                    upn=self.user.upn,
                    names=self.connection.calendars,
                )
                if names
                else sentence("%(upn)s has no calendar that MMS may change", upn=self.user.upn)
            )
            raise Failure("mailbox-not-found", told)
        return calendars

    def _note_who_tells(self, client: Client, calendars: Sequence[Calendar]) -> None:
        tells = client.features(calendars[0].href).auto_schedule
        if tells and self.connection.username and self.connection.who_tells == MailboxConnection.WhoTells.DETECT:
            # Cyrus, for one, schedules nothing where a service account writes into the calendar of somebody else.
            raise Failure("mailbox-who-tells")
        if tells != self.connection.server_tells:
            self.connection.server_tells = tells
            MailboxConnection.objects.filter(pk=self.connection.pk).update(server_tells=tells)

    def _scan(self, client: Client, calendar: str, token: str, keep: Keep) -> str:
        """Bring the index of one calendar up to date; the token with which the next look goes on."""
        try:
            changes = client.changes(calendar, token)
        except TokenExpired:
            changes = client.changes(calendar)
        seen: set[str] = set()
        entries = iter(changes)
        while some := list(islice(entries, BATCH)):
            keep()
            if changes.is_complete_list:
                seen.update(entry.href for entry in some if entry.etag is not None)
            self._take(client, calendar, some)
        if changes.is_complete_list:
            known = self.index.filter(calendar=calendar).values_list("pk", "href")
            gone = [pk for pk, href in known.iterator() if href not in seen]
            for start in range(0, len(gone), BATCH):
                self.forget(self.index.filter(pk__in=gone[start : start + BATCH]))
        return changes.next_token

    def _take(self, client: Client, calendar: str, entries: Sequence[Entry]) -> None:
        gone = [entry.href for entry in entries if entry.etag is None]
        if gone:
            self.forget(self.index.filter(href__in=gone))
        there = {entry.href: entry.etag for entry in entries if entry.etag is not None}
        known = dict(self.index.filter(href__in=list(there)).values_list("href", "etag"))
        self._read_into(client, calendar, [href for href, etag in there.items() if not etag or known.get(href) != etag])

    def _read_anew(self, client: Client, keep: Keep) -> None:
        """What the index says no ETag of is not what it was, although the server names it as unchanged; and what an
        earlier release has read is said otherwise now."""
        unknown: dict[str, list[str]] = {}
        to_be_read = self.index.filter(Q(etag="") | Q(version__lt=VERSION))
        for calendar, href in to_be_read.order_by("pk").values_list("calendar", "href"):
            unknown.setdefault(calendar, []).append(href)
        for calendar, hrefs in unknown.items():
            for some in batched(hrefs, BATCH):
                keep()
                self._read_into(client, calendar, some)

    def _read_into(self, client: Client, calendar: str, hrefs: Sequence[str]) -> None:
        texts = [
            (resource.href, resource.etag, resource.schedule_tag, resource.body)
            for resource in client.read(calendar, hrefs)
        ]
        self.note(calendar, texts)
        self.note_unseen(calendar, set(hrefs) - {href for href, *_ in texts})

    def _moved(self, client: Client, uid: str) -> dict[str, Stored]:
        scan = MailboxScan.objects.filter(user=self.user).first()
        calendars: list[str] = list(scan.calendars) if scan else []
        for calendar in calendars:
            for href in client.find([calendar], uid):
                resource = client.get(href)
                if resource is not None:
                    self.note(calendar, [(href, resource.etag, resource.schedule_tag, resource.body)])
                    self.forget(self.index.filter(uid=uid).exclude(href=href))
                    row = IndexedMeeting.objects.get(user=self.user, href=href)
                    return {uid: self.stored(row, resource.etag, resource.schedule_tag, resource.body)}
        return {}
