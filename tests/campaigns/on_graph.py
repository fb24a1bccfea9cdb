"""Mailboxes in Exchange Online for `make campaign`: the stand-in for Graph, which changes its ways at each move."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from migrations_app.mailboxes.exchange.as_calendar import to_calendar
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from migrations_app.rewriting import links
from tests.support.exchange_events import event_of
from tests.support.fault_proxy import FaultProxy, faulty
from tests.support.graph_stand_in import Behaviour, GraphStandIn, graph_stand_in
from tests.support.meetings import join_links, told
from tests.support.processes import LOADED


class OnGraph:
    """What meetings are in Exchange, shown as calendar objects. Their SEQUENCE counts how often each was written, and a
    line of its own says which link the server has for the meeting. What is over of a series is not looked at."""

    has_teams = has_series = True

    def __init__(self, server: GraphStandIn, proxy: FaultProxy) -> None:
        self._server, self.proxy = server, proxy
        self._ids: dict[str, str] = {}
        self._behaviours = cycle(Behaviour)
        self._seen = 0

    @property
    def settings(self) -> dict[str, str]:
        """Signing in goes past the proxy: the sign-in names its own addresses."""
        endpoints = f"{self._server.authority},{self.proxy.address.rstrip('/')}"
        return {"MMS_MICROSOFT_ENDPOINTS": endpoints, LOADED: "phonenumbers.geocoder msal"}

    def connecting(self, users: Sequence[str]) -> str:
        account = f"{self._server.directory_id!r}, {self._server.client_id!r}, {self._server.secret!r}"
        return f"connect_graph({[*users]!r}, {account})"

    def begin_move(self) -> None:
        self._server.behaviour = next(self._behaviours)

    def calendar(self, upn: str) -> str:
        return f"/{upn}/"

    def put(self, href: str, body: bytes, upn: str) -> None:
        self._ids[href] = self._server.add_event(upn, known_to_server(event_of(body)))

    def get(self, href: str, upn: str) -> bytes:
        if href.endswith("/"):
            return b"".join(to_calendar(replace(event, exceptions=())) for event in self._server.events(upn))
        try:
            event = self._server.event(upn, self._ids[href])
        except KeyError:
            return b""
        to_come = [each for each in event.exceptions if each.ends_at > datetime.now(UTC)]
        text = to_calendar(replace(self._shown(event), exceptions=tuple(map(self._shown, to_come))))
        return text.replace(b"END:VEVENT", b"X-LINK-OF-SERVER:" + event.join_url.encode() + b"\r\nEND:VEVENT")

    def _shown(self, event: ExchangeEvent) -> ExchangeEvent:
        """As people see it: servers write the same text in many ways."""
        writes = [
            each
            for each in self._server.requests
            if each.method == "PATCH" and event.id in each.path and each.status < 300
        ]
        return replace(event, body=" ".join(html.unescape(event.body).split()), sequence=len(writes))

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        """How often of the part that was told of most often. With a series each of its exceptions is told of, too, and
        that is not counted for these."""
        new, self._seen = self._server.mails[self._seen :], len(self._server.mails)
        parts = Counter((mail.uid, mail.of, address) for mail in new for address in mail.recipients)
        series = {
            event.id: [each.id for each in event.exceptions]
            for upn in {mail.mailbox for mail in new}
            for event in self._server.events(upn)
        }
        for (uid, of, address), count in [*parts.items()]:
            for exception in series.get(of, ()):
                parts[uid, exception, address] -= count
        found = Counter[tuple[str, str]]()
        for (uid, _, address), count in parts.items():
            found[uid, address] = max(found[uid, address], count)
        return found + told(outbox)


def known_to_server(event: ExchangeEvent) -> ExchangeEvent:
    """The server knows the link of a Teams meeting; an exception that was only moved has the text of its series."""
    link = next((link for link in join_links(event.body) if links.is_teams(link)), "")
    exceptions = tuple(replace(each, body=each.body or event.body) for each in event.exceptions)
    return replace(event, join_url=link, exceptions=exceptions)


@contextmanager
def mailboxes_on_graph(users: Sequence[str]) -> Iterator[OnGraph]:
    """Empty mailboxes of these users."""
    with graph_stand_in() as server, faulty(server.graph) as proxy:
        for upn in users:
            server.add_mailbox(upn)
        yield OnGraph(server, proxy)
