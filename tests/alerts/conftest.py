"""Contoso with somebody who wants to be told, and a receiver of webhooks on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from migrations_app.alerts import worker
from migrations_app.alerts.actions import change_alerts
from migrations_app.alerts.kinds import KINDS
from migrations_app.mail.servers import Connections
from migrations_app.models import AlertSettings
from migrations_app.monitoring import clock
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.scripted_server import ScriptedServer, Told, scripted

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)  # a Tuesday
SECRET = "a secret of thirty-two characters"


@pytest.fixture(autouse=True)
def operator(settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_ALLOWED_WEBHOOK_HOSTS = ["localhost"]
    settings.MMS_BASE_URL = "https://mms.contoso.com"


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """The clock of this machine, and of the database's server too."""
    monkeypatch.setattr(clock, "now", timezone.now)
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def wanted(hands: time_machine.Traveller, tenant: Tenant) -> AlertSettings:
    """Contoso, told of everything, from now on."""
    settings, _ = change_alerts(tenant, ACTOR, kinds=list(KINDS), recipients="ops@contoso.com")
    hands.shift(timedelta(minutes=1))
    return settings


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    """It takes everything until a test has it say something else."""
    with scripted(lambda asked: Told(204)) as server:
        yield server


@pytest.fixture
def hooked(wanted: AlertSettings, receiver: ScriptedServer) -> AlertSettings:
    """Told by the webhook alone."""
    url = f"{receiver.address}hook?key=1"
    settings, _ = change_alerts(wanted.tenant, ACTOR, recipients="", webhook_url=url, secret=SECRET)
    return settings


def work() -> None:
    """One turn of the main loop, as far as it is about alerts."""
    with Connections() as connections:
        worker.advance(timezone.now() + timedelta(minutes=1), connections)


@pytest.fixture
def minutes(hands: time_machine.Traveller) -> Callable[[int], None]:
    """Lets minutes go by, at each of which the cluster is woken."""

    def go_by(count: int) -> None:
        for _ in range(count):
            work()
            hands.shift(timedelta(minutes=1))
        work()

    return go_by
