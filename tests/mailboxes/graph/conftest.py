"""Anna's mailbox on the stand-in for Microsoft Graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrations_app.mailboxes.exchange.events import ExchangeEvent, Kind, Person
from migrations_app.mailboxes.graph.source import GraphSource
from migrations_app.microsoft.client import Graph
from migrations_app.microsoft.clouds import CLOUDS
from migrations_app.microsoft.sign_in import Application
from tests.support.graph_stand_in import GraphStandIn

ANNA = "anna.rossi@contoso.com"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def exchange(graph_server: GraphStandIn) -> GraphStandIn:
    """A tenant with Anna's mailbox, empty."""
    return graph_server


@pytest.fixture
def application(exchange: GraphStandIn) -> Application:
    cloud = CLOUDS["global"].reached_at(exchange.authority, exchange.graph)
    return Application(cloud, exchange.directory_id, exchange.client_id, exchange.secret)


@pytest.fixture
def graph(application: Application) -> Iterator[Graph]:
    with Graph(application, allowed_hosts=["127.0.0.1"], wait=lambda _: None) as graph:
        yield graph


@pytest.fixture
def source(graph: Graph) -> GraphSource:
    return GraphSource(graph, ANNA)


Meeting = Callable[..., ExchangeEvent]


@pytest.fixture
def meeting() -> Meeting:
    """A meeting of Anna's in a week, with one guest; ``days`` from now, and any other field."""

    def make(uid: str = "review", days: int = 7, **changes: Any) -> ExchangeEvent:
        starts_at = NOW + timedelta(days=days)
        values = {
            "id": "",
            "change_key": "",
            "uid": uid,
            "kind": Kind.SINGLE,
            "subject": uid.capitalize(),
            "organizer": Person(ANNA, "Anna Rossi"),
            "starts_at": starts_at,
            "ends_at": starts_at + timedelta(hours=1),
            "body": f"<html><body><p>About {uid}</p></body></html>",
            "attendees": (Person("bruno@fabrikam.com", "Bruno"),),
            **changes,
        }
        return ExchangeEvent(**values)

    return make
