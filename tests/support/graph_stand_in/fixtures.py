"""Fixtures: one stand-in for all tests of a process, as new for each of them.

from tests.support.graph_stand_in.fixtures import exchange_online, running_stand_in  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.graph_stand_in.stand_in import GraphStandIn, graph_stand_in


@pytest.fixture(scope="session")
def running_stand_in() -> Iterator[GraphStandIn]:
    with graph_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def exchange_online(running_stand_in: GraphStandIn) -> GraphStandIn:
    """A tenant with one application and no user."""
    running_stand_in.reset()
    return running_stand_in
