"""What tests of probes need: a CA of their own, and bounds within which this machine may be reached."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from migrations_app.rollouts.probes.answers import Answer
from migrations_app.rollouts.probes.bounds import Bounds
from migrations_app.rollouts.probes.kinds import KINDS

HERE = ("localhost", "127.0.0.1")
Probe = Callable[..., Answer]
ServerTls = Callable[..., ssl.SSLContext]


@pytest.fixture
def probe() -> Probe:
    """Measures by one kind. This machine is listed and allowed, unless a test says something else."""

    def measure(kind: str, *, seconds: float = 20, hosts: Any = HERE, private: Any = HERE, **values: Any) -> Answer:
        bounds = values.pop("bounds", None) or Bounds(hosts, seconds, private)
        return KINDS[kind].measure(values, bounds)

    return measure


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca(authority: trustme.CA) -> str:
    """As an administrator gives it to a check."""
    return authority.cert_pem.bytes().decode()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ServerTls:
    """The TLS of a server: for which name, for how many days, issued by whom."""

    def make(name: str = "localhost", days: float = 100, issuer: trustme.CA = authority) -> ssl.SSLContext:
        now = datetime.now(UTC)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issuer.issue_cert(
            name, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
        ).configure_cert(context)
        return context

    return make


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test has ended: servers that never stop talking stop then."""
    event = threading.Event()
    yield event
    event.set()
