"""Several machines whose background services share one database: who is there, and who is silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django_q.models import OrmQ
from prometheus_client.core import GaugeMetricFamily

from migrations_app.models import Heartbeat, Machine
from migrations_app.monitoring import clock, machines, metrics
from migrations_app.monitoring.health import beat
from migrations_app.runs.wake_ups import add_wake_ups

pytestmark = pytest.mark.django_db


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """This process belongs to the cluster of the machine `one`, with 4 workers."""
    monkeypatch.setattr(machines._Own, "works", False)
    settings.MMS_MACHINE_NAME, settings.MMS_WORKERS = "one", 4
    machines.begin()
    yield
    machines._Own.works = False


def there(name: str, workers: int, **ago: float) -> None:
    Machine.objects.create(name=name, workers=workers, at=clock.now() - timedelta(**ago))


def test_a_cluster_leaves_a_sign_of_its_machine_and_others_do_not(in_cluster: None) -> None:
    beat()
    (found,) = machines.machines()
    assert (found.name, found.workers, found.is_silent) == ("one", 4, False)
    machines.leave()
    assert machines.machines()[0].workers == 0
    Machine.objects.all().delete()
    beat()  # a moment later
    assert machines.machines() == []


def test_what_is_no_cluster_is_no_machine() -> None:
    beat()
    assert machines.machines() == []


def test_wake_ups_are_for_the_workers_of_all_machines_that_give_signs(settings: Any) -> None:
    settings.MMS_WORKERS = 2
    assert machines.all_workers() == 2
    there("one", 4, seconds=5)
    there("two", 3, seconds=5)
    there("silent", 8, minutes=4)
    add_wake_ups(50)
    assert OrmQ.objects.count() == 7


def test_one_silent_machine_of_several_is_named_and_one_that_was_stopped_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Heartbeat.objects.create(name="worker", at=clock.now())
    there("one", 4, seconds=5)
    there("stopped", 0, hours=2)
    with pytest.raises(SystemExit, match="0"):
        call_command("check_worker")
    assert "silent" not in capsys.readouterr().out
    there("two", 4, minutes=5)
    with pytest.raises(SystemExit, match="1"):
        call_command("check_worker")
    assert "the machine two has been silent for 5 min" in capsys.readouterr().out


def test_a_machine_is_told_of_for_a_day(in_cluster: None) -> None:
    there("gone", 4, hours=25)
    there("two", 3, hours=23)
    assert [known.name for known in machines.machines()] == ["two"]
    beat()
    assert sorted(Machine.objects.values_list("name", flat=True)) == ["one", "two"]


def test_prometheus_gets_a_line_for_each_machine() -> None:
    there("one", 4, seconds=5)
    there("two", 0, hours=2)
    families = {family.name: family for family in metrics._cluster() if isinstance(family, GaugeMetricFamily)}
    at_work = {sample.labels["machine"]: sample.value for sample in families["mms_machine_workers"].samples}
    assert at_work == {"one": 4, "two": 0}
