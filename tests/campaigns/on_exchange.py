"""Mailboxes in an Exchange on-premises for `make campaign`: the stand-in for it, which changes its ways as it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from django.utils import timezone
from lxml import html as markup

from migrations_app.mailboxes.exchange.as_calendar import to_calendar
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from tests.support.ews_stand_in import ONE_BY_ONE, PASSWORD, PATH, SERVICE, TOGETHER, EwsStandIn, ews_stand_in
from tests.support.ews_stand_in.invitations import event_of_item, item_of
from tests.support.ews_stand_in.store import Item
from tests.support.exchange_html import by_exchange
from tests.support.fault_proxy import FaultProxy, faulty
from tests.support.meetings import told
from tests.support.processes import LOADED

ONCE_TOO_OFTEN = 99


class OnExchange:
    """What meetings are there, shown as calendar objects: of a series, the parts to come. Their SEQUENCE counts
    how often each was written."""

    has_teams, has_series = True, True
    settings: dict[str, str] = {
        LOADED: "phonenumbers.geocoder migrations_app.mailboxes.ews.discovery migrations_app.mailboxes.ews.source",
    }

    def __init__(self, server: EwsStandIn, proxy: FaultProxy) -> None:
        self._server, self.proxy = server, proxy
        self._items: dict[str, Item] = {}
        self._keys = cycle((TOGETHER, ONE_BY_ONE))
        server.normalise = by_exchange

    def connecting(self, users: Sequence[str]) -> str:
        address = f"{self.proxy.address.rstrip('/')}{PATH}"
        return f"connect_exchange({[*users]!r}, {address!r}, {SERVICE!r}, {PASSWORD!r})"

    def begin_move(self) -> None:
        self._server.change_keys = next(self._keys)

    def calendar(self, upn: str) -> str:
        return f"/{upn}/"

    def put(self, href: str, body: bytes, upn: str) -> None:
        self._items[href] = self._server.mailbox(upn).add(item_of(body))

    def get(self, href: str, upn: str) -> bytes:
        with self._server.lock:
            items = self._server.mailbox(upn).calendar.items
            if href.endswith("/"):
                return b"BEGIN:VEVENT" * len(items)
            item = self._items[href]
            if item not in items:
                return b""
            event = _as_seen(event_of_item(item))
            written = Counter(item_id for uid, item_id in self._server.writes if uid == item.uid)
            times = {written[part.id] for part in _to_come(item)}
        sequence = max(times) if len(times) == 1 else ONCE_TOO_OFTEN
        to_come = [each for each in event.exceptions if each.ends_at > timezone.now()]
        exceptions = tuple(replace(_as_seen(each), sequence=sequence) for each in to_come)
        return to_calendar(replace(event, sequence=sequence, exceptions=exceptions))

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        """Of a series each part is told by itself: it counts as often as all of its parts were."""
        with self._server.lock:
            mails, self._server.mails = self._server.mails, []
        parts = {item.uid: len(_to_come(item)) for item in self._items.values()}
        found = Counter((mail.uid, address, mail.original_start) for mail in mails for address in mail.recipients)
        together: dict[tuple[str, str], list[int]] = {}
        for (uid, address, _), times in found.items():
            together.setdefault((uid, address), []).append(times)
        of_all = {
            (uid, address): times[0] if len({*times}) == 1 and len(times) == parts.get(uid, 1) else ONCE_TOO_OFTEN
            for (uid, address), times in together.items()
        }
        return Counter(of_all) + told(outbox)


def _to_come(item: Item) -> list[Item]:
    """The parts of a meeting that a run changes."""
    return [item, *(each for each in item.exceptions if each.ends_at > timezone.now())]


def _as_seen(event: ExchangeEvent) -> ExchangeEvent:
    """With what a reader sees of the body, however the server has written it down."""
    return replace(event, body=" ".join(markup.fromstring(event.body).text_content().split()))


@contextmanager
def mailboxes_on_exchange(users: Sequence[str]) -> Iterator[OnExchange]:
    """Empty mailboxes of these users."""
    with ews_stand_in(tls=False) as server, faulty(server.origin) as proxy:
        for upn in users:
            server.mailbox(upn)
        yield OnExchange(server, proxy)
