"""The calendar of one user on an Exchange server, as the mailbox asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Self

from migrations_app.failures import Failure
from migrations_app.https.session import Account, Limits
from migrations_app.mailboxes.ews import events
from migrations_app.mailboxes.ews.characters import why_not_sent
from migrations_app.mailboxes.ews.client import Calendar, Client
from migrations_app.mailboxes.exchange.events import Change, Entry, ExchangeEvent, Kind
from migrations_app.mailboxes.exchange.source import Refused
from tenants_app.sentences import sentence

_TRIES = 3
"""How often a series is read whose exceptions change meanwhile."""


class EwsSource:
    """Implements :class:`migrations_app.mailboxes.exchange.source.Source` over EWS."""

    def __init__(
        self,
        account: Account,
        upn: str,
        *,
        sign_in_by: str = "ntlm",
        impersonate: bool = True,
        calendars: Collection[str] = (),
        allowed_hosts: Collection[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.client = Client(
            account, upn, sign_in_by=sign_in_by, impersonate=impersonate, allowed_hosts=allowed_hosts, limits=limits
        )
        self.names = {name.strip().casefold() for name in calendars} - {""}

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.__exit__()

    def calendars(self) -> list[Calendar]:
        """Those that MMS may change, of the names that it was given. Raises ``Failure``."""
        found = [calendar for calendar in self.client.calendars() if calendar.may_write]
        if self.names:
            found = [calendar for calendar in found if calendar.name.casefold() in self.names]
        if not found:
            raise self.none_to_change()
        return found

    def none_to_change(self) -> Failure:
        """That no calendar is there that MMS may change, of these names where some are meant."""
        told = (
            sentence(
                "%(upn)s has no calendar named %(names)s that MMS may change",
                upn=self.client.upn,
                names=", ".join(sorted(self.names)),
            )
            if self.names
            else sentence("%(upn)s has no calendar that MMS may change", upn=self.client.upn)
        )
        return Failure("mailbox-not-found", told)

    def list(self, now: datetime, keep: Callable[[], object]) -> Iterator[Sequence[Entry]]:
        before, self.client.adapter.keep = self.client.adapter.keep, keep
        try:
            for calendar in self.calendars():
                some: list[Entry] = []
                for item in self.client.items(calendar, now):
                    kind = events.kind_of(item)
                    if kind in {Kind.SINGLE, Kind.SERIES}:
                        some.append(Entry(*events.id_of(item), kind))
                    if len(some) == 100:
                        yield some
                        some = []
                if some:
                    yield some
        except events.Unreadable as error:
            raise Failure("mailbox-answer", sentence("it lists %(error)s", error=error.args[0])) from None
        finally:
            self.client.adapter.keep = before

    def read(self, ids: Sequence[str]) -> Mapping[str, ExchangeEvent]:
        """What is given out in a shape that no event has is left out like what is gone: it is listed still, by which it
        shows that it cannot be read, and it keeps nobody from the others."""
        found: dict[str, ExchangeEvent] = {}
        wanted = list(dict.fromkeys(ids))
        for _ in range(_TRIES):
            items = self.client.read(wanted)
            originals = {item_id: _modified(item) for item_id, item in items.items()}
            parts = self.client.read([part for each in originals.values() for part in each])
            wanted = []
            for item_id, item in items.items():
                if any(part not in parts for part in originals[item_id]):
                    wanted.append(item_id)  # one of its exceptions was deleted meanwhile, or cannot be read
                elif event := _event(item, originals[item_id], parts):
                    found[item_id] = event
            if not wanted:
                break
        return found

    def apply(self, change: Change) -> str:
        for text in (change.body or "", change.location or "", *change.properties.values()):
            if why := why_not_sent(text):
                raise Refused("meeting-refused-by-server", why)
        return self.client.write(change)


def _modified(item: object) -> Mapping[str, datetime]:
    try:
        return events.modified(item)
    except events.Unreadable:
        return {}


def _event(item: object, originals: Mapping[str, datetime], parts: Mapping[str, object]) -> ExchangeEvent | None:
    """A series with its exceptions, by when it had them; None where something of it cannot be read."""
    try:
        exceptions = [events.event_of(parts[part], original=original) for part, original in originals.items()]
        return events.event_of(item, sorted(exceptions, key=lambda each: each.recurrence_id or each.starts_at))
    except events.Unreadable:
        return None
