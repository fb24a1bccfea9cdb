"""Looks of checks by real workers: threads with connections of their own, the main loop, and a real server (R69)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app import tasks
from migrations_app.models import RolloutCheck, RolloutEvent, Wave
from migrations_app.rollouts import looking
from migrations_app.rollouts.gates import gate_of
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import Deployment
from tests.support.actors import ACTOR
from tests.support.checks import a_check, without_checks
from tests.support.rollouts import a_rollout, a_wave
from tests.support.together import together

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_UNDER_WAY", looking._UnderWay())


@pytest.fixture
def wave() -> Wave:
    tenant = create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    rollout = without_checks(a_rollout(tenant))
    Deployment.objects.filter(pk=rollout.new_id).update(check_hosts=[HERE])
    return a_wave(rollout)


@pytest.fixture
def server(settings: Any) -> Iterator[socket.socket]:
    """Takes connections at a port of this machine, which checks may reach."""
    settings.MMS_ALLOWED_CHECK_HOSTS = [HERE]
    with closing(socket.create_server((HERE, 0))) as listening:
        yield listening


def test_workers_together_take_each_check_once_and_no_more_than_a_few(wave: Wave) -> None:
    for number in range(3 * looking.AT_ONCE):
        a_check(wave, name=f"Check {number}", due_at=timezone.now())
    claimed = together(lambda _: [looking._claim() for _ in range(looking.AT_ONCE)])
    taken = [check for some in claimed for check in some if check is not None]
    assert len(taken) == len({check.pk for check in taken}) == looking.AT_ONCE
    assert len({check.lease_token for check in RolloutCheck.objects.exclude(lease_token=None)}) == looking.AT_ONCE


def test_the_main_loop_looks_and_opens_and_closes_the_gate(wave: Wave, server: socket.socket) -> None:
    check = a_check(wave, parameters={"host": HERE, "port": server.getsockname()[1]}, due_at=timezone.now())
    runs = a_check(wave, "runs", parameters={"worker": True, "no_failed": True}, due_at=timezone.now())
    tasks.work(timezone.now() + timedelta(minutes=1))
    assert (check.results.get().outcome, runs.results.get().outcome) == ("Passed", "Passed")
    assert gate_of(wave).is_open

    server.close()
    RolloutCheck.objects.filter(pk=check.pk).update(due_at=timezone.now())
    tasks.work(timezone.now() + timedelta(minutes=1))
    failed = check.results.latest("pk")
    assert failed.outcome == "Failed"
    assert f"{HERE} takes no connection" in failed.sentence
    assert not gate_of(wave).is_open
    (event,) = RolloutEvent.objects.filter(kind=RolloutEvent.Kind.GATE_CLOSED)
    assert event.wave == wave
