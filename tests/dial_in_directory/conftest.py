"""Contoso with its directory on, and meetings whose rooms are on Jitsi's server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import OnlineMeeting
from tenants_app.changes.tenants import change_tenant, renew_directory_key
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.directory import MAPPER, NOW, NUMBERS, Hold
from tests.support.jitsi_client import JitsiMeet, TelephoneBridge
from tests.support.samples import calendar


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def key(tenant: Tenant) -> str:
    """The key of Contoso's directory, which is on."""
    change_tenant(tenant, ACTOR, dial_in_directory=True)
    return renew_directory_key(tenant, ACTOR)


@pytest.fixture
def jitsi(key: str) -> JitsiMeet:
    return JitsiMeet(NUMBERS, MAPPER)


@pytest.fixture
def bridge(key: str) -> TelephoneBridge:
    return TelephoneBridge(MAPPER, key)


@pytest.fixture
def hold() -> Hold:
    """Remembers an online meeting, and puts what it belongs to into the user's mailbox where ``lines`` say when."""

    def remember(
        user: ConferencingUser,
        key: str,
        uid: str = "budget@contoso.com",
        *events: list[str],
        join_url: str = "",
        service: str = "Link",
        made_under: str = "https://meet.contoso.com",
        recurrence_id: str = "",
        age: timedelta = timedelta(0),
    ) -> OnlineMeeting:
        if events:
            body = calendar(*events).replace(b"anna@contoso.com", user.upn.encode())
            EmbeddedMailbox(user).store([(uid, body)])
        name = user.upn.partition("@")[0]
        return OnlineMeeting.objects.create(
            tenant=user.tenant,
            user=user,
            uid=uid,
            service=service,
            made_under=made_under,
            join_url=join_url or f"{made_under}/{name}/{key}",
            room=key.lower(),
            recurrence_id=recurrence_id,
            created=NOW - age,
        )

    return remember
