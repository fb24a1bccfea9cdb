"""A tenant of Microsoft 365 on this machine, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tests.support.ews_stand_in import PASSWORD, SERVICE, EwsStandIn, ews_stand_in
from tests.support.graph_stand_in import GraphStandIn, graph_stand_in

ANNA, OUTSIDE, ATTENDEE = "anna.rossi@contoso.com", "ceo@contoso.com", "bruno@contoso.com"


@pytest.fixture(scope="session")
def running() -> Iterator[GraphStandIn]:
    with graph_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def online(running: GraphStandIn, settings: Any) -> GraphStandIn:
    """As new, with three mailboxes, of which MMS may reach two by a scope."""
    running.reset()
    settings.MMS_MICROSOFT_ENDPOINTS = [running.authority, running.graph]
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1"]
    for upn in (ANNA, OUTSIDE, ATTENDEE):
        running.add_mailbox(upn)
    running.restrict(ANNA, ATTENDEE)
    return running


@pytest.fixture
def connection(online: GraphStandIn, tenant: Tenant) -> MailboxConnection:
    found = MailboxConnection.objects.create(
        tenant=tenant,
        name="Exchange Online",
        kind="graph",
        username=online.client_id,
        directory_id=online.directory_id,
    )
    found.seal_password(online.secret)
    found.save()
    return found


@pytest.fixture(scope="session")
def serving() -> Iterator[EwsStandIn]:
    with ews_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def exchange(serving: EwsStandIn, settings: Any) -> EwsStandIn:
    """Anna's mailbox may be reached, another not."""
    serving.reset()
    settings.MMS_ALLOWED_MAIL_HOSTS = ["localhost", "127.0.0.1"]
    serving.mailbox(ANNA)
    serving.mailbox(OUTSIDE)
    serving.scope = {ANNA}
    return serving


@pytest.fixture
def connected(exchange: EwsStandIn, anna: ConferencingUser) -> MailboxConnection:
    found = MailboxConnection.objects.create(
        tenant=anna.tenant,
        name="Exchange",
        kind="exchange",
        address=exchange.address,
        username=SERVICE,
        ca_certificates=exchange.ca,
        sign_in_by="basic",
    )
    found.seal_password(PASSWORD)
    found.save()
    return found
