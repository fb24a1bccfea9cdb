"""Anna's mailbox on a real Radicale, behind a proxy that can make any request fail; or on a stand-in for Graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations
from migrations_app.microsoft import sign_in
from tenants_app.changes.mailboxes import create_connection
from tenants_app.models import ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR
from tests.support.fault_proxy import FaultProxy, faulty, in_turn
from tests.support.graph_stand_in import GraphStandIn, graph_stand_in
from tests.support.meetings import plan
from tests.support.radicale_server import PASSWORD, SERVICE, RadicaleServer, radicale
from tests.support.remembered import Remembered


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadicaleServer]:
    people = ("anna.rossi@contoso.com", "bruno.costa@contoso.com")
    with radicale(tmp_path_factory.mktemp("radicale"), people) as running:
        yield running


@pytest.fixture(scope="package")
def gateway(server: RadicaleServer) -> Iterator[FaultProxy]:
    with faulty(server.address) as running:
        yield running


@pytest.fixture
def faults(gateway: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy without any fault planned, which the test may plan."""
    gateway.plan = in_turn()
    gateway.done.clear()
    yield gateway
    gateway.plan = in_turn()


@pytest.fixture
def connection(anna: ConferencingUser, faults: FaultProxy, settings: Any, remembered: Remembered) -> MailboxConnection:
    """Of all users of Contoso."""
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1", "localhost"]

    def make() -> MailboxConnection:
        return create_connection(
            anna.tenant,
            ACTOR,
            "Radicale",
            address=faults.address,
            username=SERVICE,
            password=PASSWORD,
            path_template="/{upn}/",
            make_default=True,
        )

    return remembered.make(f"connection to {faults.address}", make)


@pytest.fixture
def calendar(anna: ConferencingUser, server: RadicaleServer) -> Iterator[str]:
    """Anna's calendar; its href."""
    href = server.make_calendar(anna.upn, "work")
    yield href
    server.delete(href)


Store = Callable[..., dict[str, bytes]]


@pytest.fixture
def store(server: RadicaleServer, calendar: str, anna: ConferencingUser) -> Store:
    """Puts so many meetings with old blocks into Anna's calendar; their texts by UID."""

    def put(count: int, build: Callable[..., bytes] = invitations.skype_html) -> dict[str, bytes]:
        stored = {}
        for number in range(count):
            ((uid, body),) = split_objects(build(plan(anna, number)))
            server.put(f"{calendar}{number}.ics", body)
            stored[uid] = body
        return stored

    return put


@pytest.fixture(scope="session")
def running_graph() -> Iterator[GraphStandIn]:
    with graph_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def graph_server(running_graph: GraphStandIn) -> GraphStandIn:
    """Exchange Online with an empty mailbox of Anna's, as its stand-in has it."""
    running_graph.reset()
    sign_in._tokens.clear()
    running_graph.add_mailbox("anna.rossi@contoso.com")
    return running_graph


@pytest.fixture
def exchange_online(anna: ConferencingUser, graph_server: GraphStandIn, settings: Any) -> MailboxConnection:
    """The connection to it, of all users of Contoso."""
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1"]
    settings.MMS_MICROSOFT_ENDPOINTS = [graph_server.authority, graph_server.graph]
    return create_connection(
        anna.tenant,
        ACTOR,
        "Exchange Online",
        kind=MailboxConnection.Kind.GRAPH,
        directory_id=graph_server.directory_id,
        username=graph_server.client_id,
        password=graph_server.secret,
        make_default=True,
    )
