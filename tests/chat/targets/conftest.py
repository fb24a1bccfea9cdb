from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrations_app.microsoft import sign_in
from tests.support.graph_stand_in import GraphStandIn
from tests.support.teams_chat_stand_in import OWNER, ROLES, STAND_IN


@pytest.fixture(scope="session")
def graph_server() -> Iterator[GraphStandIn]:
    with GraphStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def teams(graph_server: GraphStandIn) -> GraphStandIn:
    """Contoso's Teams, with two people, and the two accounts that a target names."""
    graph_server.reset()
    sign_in._tokens.clear()
    graph_server.application.roles = ROLES
    for upn in ("ann.lee@contoso.com", "bob.ray@contoso.com", OWNER, STAND_IN):
        graph_server.add_mailbox(upn)
    return graph_server
