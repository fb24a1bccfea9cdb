"""What wakes the workers: the queue in the database or in Redis, and the questions of the cluster's own watchdog."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection  # noqa: F401 - asked by a condition of a skip
from django.test import Client
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from migrations_app.cluster import broker, redis_broker
from migrations_app.cluster.broker import DatabaseBroker, Tasks
from migrations_app.cluster.redis_broker import RedisBroker
from migrations_app.models import Heartbeat
from migrations_app.monitoring import clock
from migrations_app.runs.wake_ups import add_wake_ups
from tests.support.redis_server import MISSING, RedisServer

pytestmark = pytest.mark.django_db


def functions(tasks: Tasks) -> list[str]:
    return [SignedPackage.loads(task)["func"] for _, task in tasks or []]


WAKE_UP = ["migrations_app.tasks.work_queue"]


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The descriptor by which the watchdog asks this cluster."""
    questions, writing = os.pipe()
    os.set_blocking(questions, False)
    monkeypatch.setattr(broker, "_questions", None)
    broker.answer(questions)
    yield writing
    os.close(questions)
    os.close(writing)


def test_a_cluster_that_is_asked_takes_a_wake_up_that_no_other_sees(
    asking: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = DatabaseBroker()
    os.write(asking, b"??")
    assert not OrmQ.objects.exists()
    first, second = cluster.dequeue(), cluster.dequeue()
    assert functions(first) == functions(second) == WAKE_UP
    assert first is not None
    assert first[0][0] is None  # nothing to acknowledge
    assert not cluster.dequeue()

    os.write(asking, b"?")
    monkeypatch.setattr(broker, "_questions", None)  # the cluster of another machine
    assert not cluster.dequeue()


def test_a_watchdog_that_has_died_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    questions, writing = os.pipe()
    monkeypatch.setattr(broker, "_questions", questions)
    os.close(writing)
    assert not broker.is_asked()
    assert broker._questions is None
    os.close(questions)


def test_of_two_clusters_one_takes_a_wake_up_and_it_is_there_until_it_is_acknowledged() -> None:
    add_wake_ups(1)
    one, other = DatabaseBroker(), DatabaseBroker()
    assert one.queue_size() == 1
    taken = one.dequeue()
    assert functions(taken) == WAKE_UP
    assert not other.dequeue()
    assert (one.queue_size(), OrmQ.objects.count()) == (0, 1)
    assert taken is not None
    one.acknowledge(taken[0][0])
    assert not OrmQ.objects.exists()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no other clock than this machine's")
def test_a_wake_up_from_a_machine_whose_clock_is_ahead_is_seen_at_once() -> None:
    with time_machine.travel(timezone.now() + clock.TOLERANCE * 10):
        add_wake_ups(1)
    assert functions(DatabaseBroker().dequeue()) == WAKE_UP


# --- Redis ----------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    if MISSING:
        pytest.skip(MISSING)
    monkeypatch.setattr(Conf, "BROKER_CLASS", "migrations_app.cluster.redis_broker.RedisBroker")
    monkeypatch.setattr(redis_broker, "LOOK_EVERY", 0)
    RedisBroker.get_connection.cache_clear()
    with RedisServer(tmp_path) as running:
        settings.MMS_BROKER_URL = running.url
        yield running
    RedisBroker.get_connection.cache_clear()


def test_redis_hands_over_each_wake_up_once_and_no_more_than_there_are_workers(server: RedisServer) -> None:
    add_wake_ups(50)
    add_wake_ups(50)
    one, other = RedisBroker(), RedisBroker()
    assert one.queue_size() == 2
    assert not OrmQ.objects.exists()
    assert functions(one.dequeue()) == functions(other.dequeue()) == WAKE_UP
    assert one.queue_size() == 0
    assert one.ping()


def test_while_redis_is_gone_the_cluster_looks_by_itself_and_says_so_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, redis_broker.__name__)
    cluster = RedisBroker()
    server.stop()
    assert functions(cluster.dequeue()) == functions(cluster.dequeue()) == WAKE_UP
    cluster.set_stat("a", "b", 3)
    assert not cluster.ping()
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told.startswith("The broker at 127.0.0.1 (MMS_BROKER_URL) cannot be used: ")
    assert told.endswith("the workers look for what is due every 0 s.")

    server.start()
    add_wake_ups(1)
    assert functions(cluster.dequeue()) == WAKE_UP
    assert caplog.messages[-1] == "The broker answers again."
    assert cluster.queue_size() == 0


def test_while_redis_is_gone_pages_go_on_and_monitoring_warns(
    server: RedisServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    Heartbeat.objects.create(name="worker", at=clock.now())
    server.stop()
    add_wake_ups(1)
    (told,) = [record for record in caplog.records if record.name == "migrations_app.runs.wake_ups"]
    assert (told.levelno, told.exc_info) == (logging.WARNING, None)
    with pytest.raises(SystemExit, match="1"):
        call_command("check_worker")
    assert "the broker of MMS_BROKER_URL does not answer" in capsys.readouterr().out
    assert [found.id for found in run_checks(tags=["broker"])] == ["mms.W001"]
    page = Client().post("/accounts/forgotten/", {"email": "alice@example.org"})
    assert "No mail can be sent at the moment" in page.content.decode()
