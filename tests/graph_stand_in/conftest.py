from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from migrations_app.mailboxes.exchange.events import ExchangeEvent, Kind, Person
from tests.support.graph_stand_in import GraphStandIn
from tests.support.graph_stand_in.adding import simple
from tests.support.graph_stand_in.fixtures import exchange_online, running_stand_in

__all__ = ["exchange_online", "running_stand_in"]

ANNA = "anna.rossi@contoso.com"
BEN = Person("ben@fabrikam.com", "Ben")
STARTS = datetime(2030, 1, 8, 10, tzinfo=UTC)
IMMUTABLE = 'IdType="ImmutableId"'
EVENTS = f"/users/{ANNA}/events"


@dataclass
class Asking:
    """Somebody who asks Graph with plain HTTP."""

    stand_in: GraphStandIn
    http: httpx2.Client
    token: str = ""

    def sign_in(self, **form: str) -> httpx2.Response:
        given = {
            "grant_type": "client_credentials",
            "client_id": self.stand_in.client_id,
            "client_secret": self.stand_in.secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        given = {name: value for name, value in {**given, **form}.items() if value}
        tenant = given.pop("tenant", self.stand_in.directory_id)
        return self.http.post(f"/{tenant}/oauth2/v2.0/token", data=given)

    def __call__(self, method: str, path: str, prefer: str = IMMUTABLE, **rest: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": prefer, **rest.pop("headers", {})}
        return self.http.request(method, f"/v1.0{path}", headers=headers, **rest)

    def get(self, path: str, prefer: str = IMMUTABLE, **params: str) -> httpx2.Response:
        return self("GET", path, prefer, params={f"${k}" if k in _OPTIONS else k: v for k, v in params.items()})

    def patch(self, key: str, body: Any, **headers: str) -> httpx2.Response:
        return self("PATCH", f"{EVENTS}/{key}", json=body, headers=headers)


_OPTIONS = {"select", "filter", "expand", "top", "orderby", "skip", "search", "count"}


@pytest.fixture(scope="session")
def http(running_stand_in: GraphStandIn) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=running_stand_in.graph, timeout=30) as http:
        yield http


@pytest.fixture
def asks(exchange_online: GraphStandIn, http: httpx2.Client) -> Asking:
    """Signed in, with Anna's mailbox there."""
    exchange_online.add_mailbox(ANNA, language="de")
    asking = Asking(exchange_online, http)
    asking.token = asking.sign_in().json()["access_token"]
    return asking


def meeting(uid: str = "one@contoso.com", **said: Any) -> ExchangeEvent:
    """Anna's, with Ben."""
    return simple(uid, ANNA, STARTS, STARTS + timedelta(hours=1), **{"attendees": (BEN,), **said})


def series(uid: str = "series@contoso.com", **said: Any) -> ExchangeEvent:
    """Five weeks, of which the second is two hours later, with a text of its own."""
    whole = meeting(uid, rrule="FREQ=WEEKLY;COUNT=5", **said)
    week = STARTS + timedelta(days=7)
    exception = replace(
        whole,
        kind=Kind.EXCEPTION,
        rrule="",
        recurrence_id=week,
        starts_at=week + timedelta(hours=2),
        ends_at=week + timedelta(hours=3),
        body="<html><body>Moved.</body></html>",
    )
    return replace(whole, exceptions=(exception,))


def error(response: httpx2.Response) -> tuple[int, str]:
    """The status, and the code that Graph tells."""
    return response.status_code, response.json()["error"]["code"]
