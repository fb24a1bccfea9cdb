"""The CalDAV client: everything that MMS asks of a calendar server, and the one thing that it does there.

Addresses come in two forms. An *address* is whole (``https://dav.contoso.com/principals/anna/``), an *href* is the path
on the account's server, percent-encoded in one form, so that two hrefs of the same object are equal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urljoin
from xml.etree.ElementTree import Element

from migrations_app.calendars.content_lines import all_events, uid_of
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import Failure
from migrations_app.https.addresses import normal, parse
from migrations_app.https.network import Certificate
from migrations_app.mailboxes.caldav.answers import Refused, failure_of, refusal_of, retry_after
from migrations_app.mailboxes.caldav.bodies import (
    caldav,
    calendar_multiget,
    calendar_query,
    calendarserver,
    dav,
    propfind,
    sync_collection,
)
from migrations_app.mailboxes.caldav.discovery import WELL_KNOWN, is_within, service_addresses
from migrations_app.mailboxes.caldav.multistatus import Multistatus, Response, preconditions
from migrations_app.mailboxes.caldav.transport import Account, Answer, Interrupted, Limits, TooLarge, Transport
from tenants_app.sentences import sentence

__all__ = [
    "Account",
    "Calendar",
    "Certificate",
    "Changed",
    "Changes",
    "Client",
    "Entry",
    "Features",
    "Gone",
    "Limits",
    "Refused",
    "Resource",
    "TokenExpired",
    "Unsettled",
    "Written",
]

BATCH = 50
"""Objects that are asked for at once."""
_MOST_PAGES = 2_000
"""Parts that a list of changes may come in; a server that cuts it into more goes round in circles."""
_LONGEST_NAME = 255
_LONGEST_TAG = 300
"""Characters of an ETag that are kept; those of servers have some tens."""
_CTAG = "ctag:"
"""How a token begins that is none of the server's, but the CTag of the calendar (no sync-collection there)."""
_XML = {"Content-Type": 'application/xml; charset="utf-8"'}
_ICALENDAR = {"Content-Type": "text/calendar; charset=utf-8"}
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NOT_OFFERED = {400, 403, 404, 405, 409, 415, 422, 501}
"""What servers answer to a report that they do not know; 404 is one of a calendar that is not there, too."""
_TOKEN_REFUSED = {400, 403, 409, 410, 412, 422}


class TokenExpired(Exception):
    """The server does not know any more what has changed since then. Ask again without a token."""


class Changed(Exception):
    """The object is not the one any more that the ETag names (412). Many servers say so of one that is gone, too."""


class Gone(Exception):
    """There is no object at this href any more (404, 410)."""


class Unsettled(Exception):
    """Nobody knows whether the object was written: read it back, and never write again on suspicion.

    ``why`` is one clause; ``retry_after`` what the server asks for before the next request.
    """

    def __init__(self, why: str, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Features:
    """What a server says that it can do, at one path."""

    auto_schedule: bool
    """It tells attendees itself: ``calendar-auto-schedule`` in the DAV header of OPTIONS (RFC 6638 section 2)."""
    calendar_access: bool
    """It is a CalDAV server: ``calendar-access`` in the same header (RFC 4791 section 5.1)."""
    sync_collection: bool
    """It lists changes: ``sync-collection`` among ``supported-report-set`` (RFC 6578 section 3.2). Only the path of a
    calendar is sure to say so.
    """
    server: str
    """The product, for people: the Server header up to the first space; empty where it hides it."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A collection that can hold meetings."""

    href: str
    name: str
    is_default: bool
    """Where others' invitations arrive (``schedule-default-calendar-URL``, RFC 6638 section 9.2), else the first that
    is the user's own and can be written to.
    """
    components: frozenset[str]
    """What it takes; empty where it does not say, and that means everything (RFC 4791 section 5.2.3)."""
    ctag: str
    sync_token: str
    may_write: bool
    """Whether ``current-user-privilege-set`` (RFC 3744) has ``write-content``; true where the server does not tell."""
    owner: str
    """Href of the principal whom it belongs to; empty where the server does not tell."""
    subscribed: bool
    """A calendar from elsewhere that the server only shows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that is new or was changed. ``etag`` is None where it is gone, "" where the server gives none."""

    href: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class Resource:
    """An object as it is stored. What the server does not give is "".

    ``body`` is empty where the object is larger than ``Limits.answer``, so that it counts as one that cannot be read.
    """

    href: str
    etag: str
    schedule_tag: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """An object was written. ``etag`` is None where the server gives no strong one: it may have altered the object.

    Radicale gives one although it alters objects, so only reading tells what is stored.
    """

    etag: str | None
    schedule_tag: str


@dataclass(slots=True)
class Changes:
    """What has changed in a calendar; gone through once.

    ``next_token`` is what to ask with next time, known once all entries have been seen; "" where nothing can be asked.
    """

    is_complete_list: bool
    """Everything that there is was listed, so that whatever is not among it is gone."""
    _entries: Iterator[Entry] = field(repr=False)
    next_token: str = ""

    def __iter__(self) -> Iterator[Entry]:
        return self._entries


class Client:
    """A session with the server of one account; a context manager. One thread at a time.

    Methods raise ``Failure`` with a code of the catalogue for whatever prevents an answer: ``mailbox-unavailable``
    (with ``retry_after`` where the server says it), ``mailbox-sign-in-refused``, ``mailbox-forbidden``,
    ``mailbox-not-found``, ``mailbox-certificate``, ``mailbox-address``, ``mailbox-answer``. Its detail names host or
    path, and no secret.
    """

    def __init__(self, account: Account, allowed_hosts: Collection[str] = (), limits: Limits | None = None) -> None:
        self._account = account
        self._allowed_hosts = allowed_hosts
        self._transport = Transport(account, allowed_hosts, limits)
        self._without_sync: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the server has shown; None before the first request, and without TLS."""
        return self._transport.certificate

    @property
    def address(self) -> str:
        """Where the server is: the account's address, or what DNS named instead (see :meth:`discover`)."""
        return self._transport.origin.url(self._transport.path)

    # What is where

    def features(self, href: str = "") -> Features:
        """What the server says that it can do at this href, best that of a calendar; else at the account's address."""
        href = self._href(href or self._transport.path)
        with self._transport.ask("OPTIONS", href, {}) as answer:
            if answer.status // 100 != 2:
                raise failure_of(answer)
            offered = {token.strip().lower() for line in answer.headers.get_list("dav") for token in line.split(",")}
            server = answer.headers.get("server", "").split(" ")[0][:80]
        sync = False
        # Some answer OPTIONS to everybody; this is also the proof that the sign-in is good.
        for response in self._propfind(href, "0", [dav("supported-report-set")]):
            sync = sync or response.has(dav("supported-report-set"), dav("sync-collection"))
        return Features(
            auto_schedule="calendar-auto-schedule" in offered,
            calendar_access="calendar-access" in offered,
            sync_collection=sync,
            server=server if server.isprintable() else "",
        )

    def discover(self) -> str:
        """The address of the principal who is signed in (RFC 6764 section 6).

        Asked are the account's address, the well-known one of its host, and what DNS names for the host, if that is the
        host itself or below it. The client then speaks to the server where it was found. Raises ``Failure`` with what
        was tried.
        """
        tried: list[tuple[str, Failure]] = []
        for href in dict.fromkeys([self._transport.path, WELL_KNOWN]):
            address = self._transport.origin.url(href)
            try:
                return self._principal_at(href)
            except Failure as failure:
                if failure.code in {"mailbox-sign-in-refused", "mailbox-certificate"}:
                    raise
                tried.append((address, failure))
                if self._transport.opened == 0:
                    break  # the host itself is not to be had
        host = self._transport.origin.host
        for address in service_addresses(host):
            try:
                return self._principal_by_dns(address, host)
            except Failure as failure:
                if failure.code in {"mailbox-sign-in-refused", "mailbox-certificate"}:
                    raise
                tried.append((address, failure))
        # What waiting may cure is not said to be a wrong address.
        code = next((failure.code for _, failure in tried if failure.cures_by_waiting), "mailbox-address")
        retry = next((failure.retry_after for _, failure in tried if failure.retry_after), None)
        told = "; ".join(f"{address} ({failure.detail})" for address, failure in tried)
        raise Failure(
            code,
            sentence(
                "no CalDAV server found at %(told)s; DNS (_caldavs._tcp.%(host)s) names no other", told=told, host=host
            ),
            retry,
        )

    def principal(self, template: str, upn: str) -> str:
        """The address of a user's principal, or calendar home, by a path with ``{upn}``, ``{local}`` and ``{domain}``.

        For service accounts that may reach other people's calendars. Each part is percent-encoded.
        """
        local, _, domain = upn.rpartition("@")
        path = urljoin(self._transport.path, template.strip())
        for name, value in (("upn", upn), ("local", local or upn), ("domain", domain)):
            if value in {".", ".."}:
                raise Failure("mailbox-not-found", sentence("%(upn)s names no mailbox", upn=upn))
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        if "{" in path or "://" in path or not path.startswith("/"):
            raise Failure(
                "mailbox-address", sentence("the path template may hold {upn}, {local} and {domain}, and is a path")
            )
        return self._transport.origin.url(normal(path))

    def calendars(self, principal: str) -> list[Calendar]:
        """The calendars of a principal that can hold meetings, in the server's order.

        It may be a calendar home, too, or a single calendar: Cyrus shows others' calendars only one by one. What the
        user has subscribed to or may only read is among them, and marked.
        """
        href = self._href(principal)
        homes: list[str] = []
        inboxes: list[str] = []
        asked = [caldav("calendar-home-set"), caldav("schedule-inbox-URL"), dav("resourcetype")]
        answer = self._propfind(href, "0", asked)
        depth = "1"
        for response in answer:
            if response.has(dav("resourcetype"), caldav("calendar")):
                depth = "0"
            homes += answer.resolved(response.properties.get(caldav("calendar-home-set")))
            inboxes += answer.resolved(response.properties.get(caldav("schedule-inbox-URL")))
        found: dict[str, Calendar] = {}
        defaults: list[str] = []
        for home in dict.fromkeys(homes or [href]):
            answer = self._propfind(home, depth, _OF_A_CALENDAR)
            for response in answer:
                defaults += answer.resolved(response.properties.get(caldav("schedule-default-calendar-URL")))
                calendar = _calendar(response, answer)
                if calendar is not None:
                    found.setdefault(calendar.href, calendar)
        if found and not defaults and inboxes:
            defaults = self._default_of(inboxes[0])
        return _with_default(list(found.values()), defaults, href)

    # What is in a calendar

    def changes(self, calendar_href: str, sync_token: str = "") -> Changes:
        """What has changed since a token was given (``next_token`` of an earlier answer); everything without one.

        By sync-collection (RFC 6578), and by CTag and ETags where the server has none. Raises ``TokenExpired`` where
        the server knows the token no more: begin anew without one.
        """
        href = self._href(calendar_href)
        if not sync_token.startswith(_CTAG) and href not in self._without_sync:
            answer = self._report(href, sync_collection(sync_token), depth="0")
            if answer.status == 207:
                changes = Changes(is_complete_list=not sync_token, _entries=iter(()))
                changes._entries = self._synced(href, answer, sync_token, changes)
                return changes
            with answer:
                named = preconditions(answer.body) if answer.status in _TOKEN_REFUSED else []
                if "valid-sync-token" in named or (sync_token and answer.status in _TOKEN_REFUSED - {403}):
                    raise TokenExpired
                if answer.status not in _NOT_OFFERED or "need-privileges" in named:
                    raise failure_of(answer)
            self._without_sync.add(href)
        return self._compared(href, sync_token)

    def _synced(self, href: str, answer: Answer, token: str, changes: Changes) -> Iterator[Entry]:
        for _ in range(_MOST_PAGES):
            with answer:
                told = Multistatus(answer)
                is_cut = False
                for response in told:
                    if response.href.rstrip("/") == href.rstrip("/"):
                        is_cut = is_cut or response.status == 507  # RFC 6578 section 3.6
                    elif response.status in {404, 410}:
                        yield Entry(response.href, None)
                    elif response.status // 100 == 2 and not response.href.endswith("/"):
                        yield Entry(response.href, _tag(response.text(dav("getetag"))))
            if not is_cut:
                changes.next_token = told.sync_token
                return
            if told.sync_token in {"", token}:
                break
            token = told.sync_token
            answer = self._report(href, sync_collection(token), depth="0")
            if answer.status != 207:
                with answer:
                    if "valid-sync-token" in preconditions(answer.body):
                        raise TokenExpired
                    raise failure_of(answer)
        raise Failure(
            "mailbox-answer",
            sentence(
                "%(host)s lists the changes of %(href)s without an end", host=self._transport.origin.host, href=href
            ),
        )

    def _compared(self, href: str, token: str) -> Changes:
        ctag = ""
        # Before the list: what changes in between is then listed once more the next time.
        for response in self._propfind(href, "0", [calendarserver("getctag")]):
            ctag = response.text(calendarserver("getctag"))
        now = f"{_CTAG}{ctag}" if ctag else ""
        if token and token == now:
            return Changes(is_complete_list=False, _entries=iter(()), next_token=now)
        changes = Changes(is_complete_list=True, _entries=iter(()))
        listed = self._propfind(href, "1", [dav("getetag"), dav("resourcetype")])

        def entries() -> Iterator[Entry]:
            for response in listed:
                is_collection = response.href.endswith("/") or response.has(dav("resourcetype"), dav("collection"))
                if response.status == 200 and not is_collection and response.href != href:
                    yield Entry(response.href, _tag(response.text(dav("getetag"))))
            changes.next_token = now

        changes._entries = entries()
        return changes

    def read(self, calendar_href: str, hrefs: Iterable[str]) -> Iterator[Resource]:
        """The objects at these hrefs of a calendar; those that are gone are missing. In no order.

        Line endings are CRLF whatever they were: XML knows only one. ``get`` gives the octets as they are.
        """
        calendar = self._href(calendar_href)
        wanted = [self._href(href) for href in dict.fromkeys(hrefs)]
        for start in range(0, len(wanted), BATCH):
            yield from self._read(calendar, wanted[start : start + BATCH])

    def _read(self, calendar: str, hrefs: Sequence[str]) -> Iterator[Resource]:
        if len(hrefs) == 1:
            yield from self._read_singly(hrefs)
            return
        half = len(hrefs) // 2
        try:
            answer = self._report(calendar, calendar_multiget(hrefs), depth="0")
        except TooLarge:
            yield from chain(self._read(calendar, hrefs[:half]), self._read(calendar, hrefs[half:]))
            return
        with answer:
            if answer.status in {413, 507}:
                yield from chain(self._read(calendar, hrefs[:half]), self._read(calendar, hrefs[half:]))
                return
            if answer.status in {405, 501}:
                yield from self._read_singly(hrefs)
                return
            if answer.status != 207:
                raise failure_of(answer)
            left = dict.fromkeys(hrefs)
            try:
                for response in Multistatus(answer):
                    data = response.properties.get(caldav("calendar-data"))
                    if response.status in {404, 410}:
                        left.pop(response.href, None)
                    elif response.href in left and data is not None and data.text:
                        del left[response.href]
                        yield Resource(
                            response.href,
                            _tag(response.text(dav("getetag"))),
                            _tag(response.text(caldav("schedule-tag"))),
                            _with_crlf(data.text),
                        )
            except Failure as failure:
                # One object with a character that XML has not makes the whole answer unreadable, and only that one
                # must suffer.
                if failure.code != "mailbox-answer":
                    raise
        yield from self._read_singly(left)

    def _read_singly(self, hrefs: Iterable[str]) -> Iterator[Resource]:
        for href in hrefs:
            resource = self.get(href)
            if resource is not None:
                yield resource

    def get(self, href: str) -> Resource | None:
        """The object at this href, octet for octet; None where it is gone."""
        href = self._href(href)
        try:
            answer = self._transport.ask("GET", href, {})
        except TooLarge:
            return Resource(href, "", "", b"")
        with answer:
            if answer.status in {404, 410}:
                return None
            if answer.status != 200:
                raise failure_of(answer)
            return Resource(
                href,
                _tag(answer.headers.get("etag", "")),
                _tag(answer.headers.get("schedule-tag", "")),
                answer.body.read(),
            )

    def find(self, calendar_hrefs: Iterable[str], uid: str) -> list[str]:
        """The hrefs of all objects with this UID in these calendars."""
        try:
            query = calendar_query(uid)
        except ValueError:
            return []
        found: list[str] = []
        for calendar_href in calendar_hrefs:
            href = self._href(calendar_href)
            with self._report(href, query, depth="1") as answer:
                if answer.status != 207:
                    raise failure_of(answer)
                for response in Multistatus(answer):
                    data = response.properties.get(caldav("calendar-data"))
                    if response.status == 200 and data is not None and _has_uid(_with_crlf(data.text or ""), uid):
                        found.append(response.href)
        return list(dict.fromkeys(found))

    # What MMS does there

    def put(self, href: str, body: bytes, *, etag: str, schedule_tag: str = "") -> Written:
        """Replace the object at this href, if it still is the one with ``etag`` (and ``schedule_tag``, if it has one).

        It is sent once. Raises ``Changed`` or ``Gone`` where the object is another one by now or none, ``Refused``
        where the server does not take the new one, ``Unsettled`` where nobody knows what became of it, and ``Failure``
        where it certainly was not written. ``ValueError`` without an ETag: nothing is ever written unconditionally.
        """
        if not _tag(etag):
            raise ValueError("an object without an ETag cannot be replaced safely")
        href = self._href(href)
        headers = {**_ICALENDAR, "If-Match": _quoted(etag)}
        if _tag(schedule_tag):
            headers["If-Schedule-Tag-Match"] = _quoted(schedule_tag)
        try:
            answer = self._transport.write(href, headers, body)
        except Interrupted as interrupted:
            raise Unsettled(interrupted.why) from None
        with answer:
            status = answer.status
            if status in {200, 201, 204}:
                tag = _tag(answer.headers.get("etag", ""))
                is_strong = bool(tag) and not tag.startswith("W/")
                return Written(tag if is_strong else None, _tag(answer.headers.get("schedule-tag", "")))
            if status == 412:
                raise Changed
            if status in {404, 410}:
                raise Gone
            if status in {403, 409, 413, 415, 422, 507}:
                raise refusal_of(answer)
            certainly_not = 400 <= status < 500 and status != 408
            if certainly_not or (status == 503 and retry_after(answer) is not None):
                raise failure_of(answer)
            raise Unsettled(
                sentence(
                    "%(host)s answered %(status)s about %(href)s", host=answer.origin.host, status=status, href=href
                ),
                retry_after(answer),
            )

    # How it is asked

    def _propfind(self, href: str, depth: str, properties: Iterable[str]) -> Multistatus:
        answer = self._transport.ask("PROPFIND", href, {**_XML, "Depth": depth}, propfind(properties))
        if answer.status != 207:
            with answer:
                raise failure_of(answer)
        return Multistatus(answer)

    def _report(self, href: str, body: bytes, depth: str) -> Answer:
        return self._transport.ask("REPORT", href, {**_XML, "Depth": depth}, body)

    def _href(self, address: str) -> str:
        """The path of an address on this server, or of an href in whatever form it comes."""
        if address.startswith("/"):
            return normal(address)
        origin, path = parse(address)
        if origin != self._transport.origin:
            raise Failure(
                "mailbox-address", sentence("%(origin)s is not the server of this connection", origin=str(origin))
            )
        return path

    def _principal_at(self, href: str) -> str:
        answer = self._propfind(href, "0", [dav("current-user-principal")])
        for response in answer:
            principals = answer.resolved(response.properties.get(dav("current-user-principal")))
            if principals:
                return self._transport.origin.url(principals[0])
            if response.has(dav("current-user-principal"), dav("unauthenticated")):
                raise Failure(
                    "mailbox-sign-in-refused",
                    sentence("%(host)s let MMS in as nobody", host=self._transport.origin.host),
                )
        raise Failure("mailbox-address", sentence("it does not say who is signed in at %(href)s", href=href))

    def _principal_by_dns(self, address: str, host: str) -> str:
        origin, path = parse(address)
        if not is_within(origin.host, host):
            raise Failure(
                "mailbox-address",
                sentence("DNS names %(host)s, which is not a part of %(host2)s", host=origin.host, host2=host),
            )
        before = self._transport
        account = replace(self._account, address=address)
        self._transport = Transport(account, self._allowed_hosts, before.session.limits)
        self._transport.session.ends_at = before.session.ends_at
        try:
            principal = self._principal_at(path)
        except Failure:
            self._transport.close()
            self._transport = before
            raise
        before.close()
        return principal

    def _default_of(self, inbox: str) -> list[str]:
        """The default calendar that a scheduling inbox names; none where it cannot be asked."""
        try:
            answer = self._propfind(inbox, "0", [caldav("schedule-default-calendar-URL")])
            return [
                href
                for response in answer
                for href in answer.resolved(response.properties.get(caldav("schedule-default-calendar-URL")))
            ]
        except Failure as failure:
            if failure.code in {"mailbox-forbidden", "mailbox-not-found"}:
                return []
            raise


_OF_A_CALENDAR = [
    dav("resourcetype"),
    dav("displayname"),
    dav("owner"),
    dav("sync-token"),
    dav("current-user-privilege-set"),
    calendarserver("getctag"),
    caldav("supported-calendar-component-set"),
    caldav("schedule-default-calendar-URL"),
]
_NO_PLACES_FOR_MEETINGS = {"schedule-inbox", "schedule-outbox", "deleted-calendar", "trash-bin", "dropbox"}


def _calendar(response: Response, answer: Multistatus) -> Calendar | None:
    kinds = response.properties.get(dav("resourcetype"))
    if response.status != 200 or kinds is None or kinds.find(caldav("calendar")) is None:
        return None
    names = {str(kind.tag).partition("}")[2] for kind in kinds}
    if names & _NO_PLACES_FOR_MEETINGS:
        return None
    components = _components(response.properties.get(caldav("supported-calendar-component-set")))
    if components and "VEVENT" not in components:
        return None
    privileges = response.properties.get(dav("current-user-privilege-set"))
    subscribed = "subscribed" in names
    owners = answer.resolved(response.properties.get(dav("owner")))
    return Calendar(
        href=response.href,
        name=(response.text(dav("displayname")) or unquote(response.href.rstrip("/").rpartition("/")[2]))[
            :_LONGEST_NAME
        ],
        is_default=False,
        components=components,
        ctag=response.text(calendarserver("getctag")),
        sync_token=response.text(dav("sync-token")),
        may_write=not subscribed
        and (
            privileges is None
            or response.has(dav("current-user-privilege-set"), dav("all"), dav("write"), dav("write-content"))
        ),
        owner=owners[0] if owners else "",
        subscribed=subscribed,
    )


def _components(element: Element | None) -> frozenset[str]:
    if element is None:
        return frozenset()
    return frozenset(component.get("name", "").upper() for component in element.iter(caldav("comp")))


def _with_default(calendars: list[Calendar], defaults: Collection[str], principal: str) -> list[Calendar]:
    hrefs = {calendar.href.rstrip("/"): calendar for calendar in calendars}
    chosen = next((hrefs[href.rstrip("/")] for href in defaults if href.rstrip("/") in hrefs), None)
    if chosen is None:
        own = [calendar for calendar in calendars if calendar.may_write and calendar.owner in {"", principal}]
        chosen = next(iter(own or [calendar for calendar in calendars if calendar.may_write] or calendars), None)
    return [replace(calendar, is_default=calendar is chosen) for calendar in calendars]


def _tag(text: str) -> str:
    """An ETag or Schedule-Tag as it is stated; empty where it could not be kept and sent back."""
    text = text.strip()
    return text if len(text) <= _LONGEST_TAG and _VISIBLE.fullmatch(text) else ""


def _quoted(tag: str) -> str:
    """An ETag for a condition. Some servers forget the quotes in their properties."""
    tag = tag.strip()
    return tag if tag.startswith(('"', 'W/"')) else f'"{tag}"'


def _with_crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def _has_uid(body: bytes, uid: str) -> bool:
    try:
        return any(uid_of(body, event) == uid for event in all_events(body))
    except UnreadableCalendar:
        return False
