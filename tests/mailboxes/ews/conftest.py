from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from migrations_app.https.session import Account
from migrations_app.mailboxes.ews.source import EwsSource
from tests.support.ews_stand_in import PASSWORD, SERVICE, EwsStandIn, ews_stand_in

ANNA = "anna@contoso.com"
Open = Callable[..., EwsSource]


@pytest.fixture(scope="session")
def running() -> Iterator[EwsStandIn]:
    with ews_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def exchange(running: EwsStandIn) -> EwsStandIn:
    running.reset()
    running.mailbox(ANNA)
    return running


@pytest.fixture
def opened(exchange: EwsStandIn) -> Open:
    """A session with Anna's mailbox, signed in by the service account."""

    def open_(**changes: Any) -> EwsSource:
        what = {"address": exchange.address, "username": SERVICE, "password": PASSWORD, "ca_certificates": exchange.ca}
        account = Account(**{name: changes.pop(name, value) for name, value in what.items()})
        upn = changes.pop("upn", ANNA)
        return EwsSource(account, upn, **{"sign_in_by": "basic", "allowed_hosts": {"localhost"}} | changes)

    return open_
