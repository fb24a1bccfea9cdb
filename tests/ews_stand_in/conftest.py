from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ews_stand_in import EwsStandIn, ews_stand_in


@pytest.fixture(scope="session")
def running() -> Iterator[EwsStandIn]:
    with ews_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def exchange(running: EwsStandIn) -> EwsStandIn:
    running.reset()
    return running
