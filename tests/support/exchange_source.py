"""A calendar of Exchange in memory: what a server does to what is written, whom it mails, and what goes wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, Self

from migrations_app.mailboxes.caldav.steps import Finding
from migrations_app.mailboxes.exchange.events import Change, Entry, ExchangeEvent, Kind
from migrations_app.mailboxes.exchange.source import Changed, Gone
from migrations_app.mailboxes.indexed import of_kind
from migrations_app.mailboxes.viewed import ViewedMailbox
from tenants_app.models import MailboxConnection

TEAMS = re.compile(r"https://teams\.microsoft\.com/[^\s\"'<>]+")
PAGE = 10


def kept(before: str, body: str, count: int) -> str:
    """The server leaves the join link alone."""
    return before


def follows_body(before: str, body: str, count: int) -> str:
    """The join link is whichever Teams link stands in the body; without one there is none."""
    found = TEAMS.search(body)
    return found[0].replace("&amp;", "&") if found else ""


def alternating(before: str, body: str, count: int) -> str:
    """Without its blob the link goes with one update, and comes back with the next."""
    return before if TEAMS.search(body) or count % 2 == 0 else ""


def anew_without_blob(before: str, body: str, count: int) -> str:
    """Without its blob a meeting gets another link with every update."""
    return before if not before or TEAMS.search(body) else another(count)


def always_anew(before: str, body: str, count: int) -> str:
    """Every update gives a Teams meeting another link."""
    return another(count) if before else ""


def another(count: int) -> str:
    return f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_other{count}%40thread.v2/0"


def as_outlook(body: str) -> str:
    """As a server writes HTML down: the same to a reader, in other octets."""
    body = body.replace("\r\n", "\n").replace("<br/>", "<br>").replace("&#43;", "+")
    body = re.sub(r"style=\"([^\"]*)\"", lambda found: f'style="{found[1].replace(": ", ":")}"', body)
    return re.sub(r"(?i)^<html>(?!<meta name=\"Generator\")", '<html><meta name="Generator" content="Server">', body)


def untouched(body: str) -> str:
    return body


@dataclass
class ExchangeCalendar:
    """The events of one mailbox."""

    events: dict[str, ExchangeEvent] = field(default_factory=dict)
    mails: Counter[str] = field(default_factory=Counter)
    """Updates that the server has sent, by event or exception."""
    blob: Callable[[str, str, int], str] = kept
    stores: Callable[[str], str] = untouched
    happens: Callable[[str, str], object] = lambda request, when: None
    """Called before and after each request with its name; raises what goes wrong."""
    requests: list[str] = field(default_factory=list)
    keys: int = 0

    def put(self, event: ExchangeEvent) -> None:
        """Store an event, with its exceptions, as the organizer's program does."""
        exceptions = tuple(replace(each, change_key=self.key()) for each in event.exceptions)
        self.events[event.id] = replace(event, change_key=self.key(), exceptions=exceptions)

    def key(self) -> str:
        self.keys += 1
        return f"key{self.keys}"


class MemorySource:
    """Implements :class:`migrations_app.mailboxes.exchange.source.Source` over such a calendar."""

    def __init__(self, calendar: ExchangeCalendar) -> None:
        self._calendar = calendar

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def list(self, now: datetime, keep: Callable[[], object]) -> Iterator[Sequence[Entry]]:
        entries = [
            Entry(event.id, event.change_key, event.kind)
            for event in self._calendar.events.values()
            if event.kind is Kind.SERIES or event.ends_at > now
        ]
        for start in range(0, max(len(entries), 1), PAGE):
            keep()
            self._ask("list")
            yield entries[start : start + PAGE]
            self._calendar.happens("list", "after")

    def read(self, ids: Sequence[str]) -> Mapping[str, ExchangeEvent]:
        self._ask("read")
        found = {each: self._calendar.events[each] for each in ids if each in self._calendar.events}
        self._calendar.happens("read", "after")
        return found

    def apply(self, change: Change) -> str:
        self._ask("apply")
        calendar = self._calendar
        master = next((each for each in calendar.events.values() if change.event_id in _ids(each)), None)
        if master is None:
            raise Gone
        event = next(each for each in (master, *master.exceptions) if each.id == change.event_id)
        if event.change_key != change.change_key:
            raise Changed
        calendar.mails[event.id] += 1
        body = event.body if change.body is None else calendar.stores(change.body)
        properties = {**event.properties, **change.properties}
        new = replace(
            event,
            change_key=calendar.key(),
            body=body,
            body_is_html=change.body_is_html if change.body is not None else event.body_is_html,
            location=event.location if change.location is None else change.location,
            properties={name: value for name, value in properties.items() if value},
            join_url=calendar.blob(event.join_url, body, sum(calendar.mails.values())),
        )
        if event is master:
            calendar.events[master.id] = new
        else:
            exceptions = tuple(new if each.id == new.id else each for each in master.exceptions)
            calendar.events[master.id] = replace(master, change_key=calendar.key(), exceptions=exceptions)
        calendar.happens("apply", "after")
        return new.change_key

    def _ask(self, request: str) -> None:
        self._calendar.requests.append(request)
        self._calendar.happens(request, "before")


def _ids(event: ExchangeEvent) -> set[str]:
    return {event.id, *(each.id for each in event.exceptions)}


class MemoryMailbox(ViewedMailbox):
    """A mailbox over such a calendar, found by its user."""

    whose = of_kind(MailboxConnection.Kind.GRAPH)
    calendars: ClassVar[dict[int, ExchangeCalendar]] = {}

    def source(self) -> MemorySource:
        return MemorySource(self.calendars[self.user.pk])

    def try_it(self) -> Iterator[Finding]:
        yield Finding("sign-in", True, "It is in memory.")
