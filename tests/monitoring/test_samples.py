"""What charts and rates are made of: minutes and hours, measured once, with gaps where nobody was awake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from migrations_app.models import Run, Sample, Update
from migrations_app.monitoring import clock, samples
from migrations_app.monitoring.over_time import STRETCHES, over_time
from migrations_app.runs.pruning import prune
from tenants_app.models import ConferencingUser, Tenant

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database server does not travel."""
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC))


def measure(moment: datetime) -> bool:
    with time_machine.travel(moment, tick=False):
        return samples.take()


def minutes(count: int, end: datetime = NOON, **values: Any) -> None:
    """Measured minutes, the last of which ended at ``end``."""
    tenant = Tenant.objects.get(slug="contoso")
    Sample.objects.bulk_create(
        Sample(tenant=tenant, at=end - timedelta(minutes=back), **values) for back in range(count)
    )


def test_a_minute_says_how_users_stand_and_what_was_done_in_it(make_user: MakeUser, make_run: MakeRun) -> None:
    in_it, after = NOON - timedelta(seconds=20), NOON + timedelta(seconds=2)
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge", finished_at=in_it)
    used_up = {"last_error_code": "retries-used-up", "last_error_cause": "mailbox-unavailable"}
    make_run(make_user("bruno"), "Failed", finished_at=in_it, **used_up)
    done = make_run(make_user("clara"), meetings=[("A", "Succeeded", ""), ("B", "Succeeded", "")], finished_at=in_it)
    make_run(make_user("dora"), finished_at=after)
    make_run(make_user("emil"), "Pending")
    Update.objects.filter(result__run=done).update(state="Sent", sent_at=in_it, tenant=done.tenant)
    assert measure(NOON + timedelta(seconds=6))
    sample = Sample.objects.get(length=Sample.MINUTE)

    assert sample.at == NOON
    assert (sample.failed, sample.pending, sample.in_progress, sample.succeeded) == (2, 1, 0, 2)
    assert (sample.runs_ended, sample.meetings, sample.sent) == (3, done.total_meetings, 2)
    assert sample.failures == {"no-bridge": 1, "mailbox-unavailable": 1}


def test_a_minute_is_measured_once_and_not_before_what_ended_in_it_is_committed(tenant: Tenant) -> None:
    assert measure(NOON + timedelta(seconds=6))
    assert not measure(NOON + timedelta(seconds=50))
    assert not measure(NOON + timedelta(seconds=64))
    assert measure(NOON + timedelta(seconds=65))
    measured = Sample.objects.filter(length=Sample.MINUTE).order_by("at")
    assert list(measured.values_list("at", flat=True)) == [NOON, NOON + timedelta(minutes=1)]


def test_wake_ups_that_are_not_exact_leave_no_gap_but_an_outage_does(tenant: Tenant) -> None:
    for seconds in (5.1, 64.9, 125.1, 400):
        measure(NOON + timedelta(seconds=seconds))
    measured = Sample.objects.filter(length=Sample.MINUTE).order_by("at").values_list("at", flat=True)

    assert [(at - NOON) // timedelta(minutes=1) for at in measured] == [0, 1, 2, 6]


def test_it_asks_as_much_for_many_tenants_as_for_one(tenant: Tenant) -> None:
    with CaptureQueriesContext(connection) as few:
        measure(NOON + timedelta(minutes=20, seconds=30))
    Tenant.objects.bulk_create(Tenant(slug=f"t{n}", name=f"T{n}", domain=f"t{n}.example.org") for n in range(20))
    with CaptureQueriesContext(connection) as many:
        measure(NOON + timedelta(minutes=21, seconds=30))

    assert Sample.objects.count() == 22
    assert len(many) == len(few)


def test_an_hour_that_is_over_is_one_row_with_what_was_done_in_all_of_it(tenant: Tenant) -> None:
    minutes(30, NOON - timedelta(minutes=1), failed=3, sent=2, failures={"no-bridge": 1})
    measure(NOON + timedelta(minutes=7))
    measure(NOON + timedelta(minutes=8))
    hour = Sample.objects.get(length=Sample.HOUR)

    assert (hour.at, hour.measured) == (NOON, 30)
    assert (hour.failed, hour.sent, hour.failures) == (3, 60, {"no-bridge": 30})


def test_hours_before_an_outage_are_not_forgotten_and_old_minutes_go(tenant: Tenant) -> None:
    minutes(5, NOON - timedelta(hours=5))
    minutes(5, NOON - timedelta(hours=3))
    minutes(1, NOON - timedelta(hours=40))
    measure(NOON + timedelta(seconds=10))
    hours = Sample.objects.filter(length=Sample.HOUR).order_by("at")

    assert list(hours.values_list("at", flat=True)) == [NOON - timedelta(hours=5), NOON - timedelta(hours=3), NOON]
    assert not Sample.objects.filter(at__lt=NOON - samples.MINUTES_KEPT).exists()


def test_r30_hours_go_with_the_history(tenant: Tenant) -> None:
    for days in (200, 10):
        Sample.objects.create(tenant=tenant, at=NOON - timedelta(days=days), length=Sample.HOUR)
    prune(NOON - timedelta(days=150))

    assert Sample.objects.get().at == NOON - timedelta(days=10)


def test_what_is_in_its_way_stops_nobody(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("locked")

    monkeypatch.setattr(samples, "_minute", fail)
    assert not measure(NOON)
    assert not Sample.objects.exists()


@pytest.mark.parametrize("name", STRETCHES)
def test_a_stretch_in_which_nobody_measured_is_a_gap_and_never_nothing(tenant: Tenant, name: str) -> None:
    stretch = STRETCHES[name]
    Sample.objects.create(tenant=tenant, at=NOON, length=stretch.by, measured=stretch.by, failed=0, sent=5)
    found = over_time(tenant, stretch, NOON + timedelta(seconds=30))

    assert [bucket.of("failed") for bucket in found.drawn[-2:]] == [None, 0]
    assert [bucket.of("sent") for bucket in found.told[-2:]] == [None, 5]
    assert (found.end, found.end - found.begin) == (NOON, stretch.length)
    assert found.missing == stretch.length - timedelta(minutes=stretch.by)


def test_of_several_minutes_moments_count_last_and_what_was_done_counts_in_all(tenant: Tenant) -> None:
    minutes(2, NOON - timedelta(minutes=1), pending=9, sent=1)
    minutes(1, pending=4, sent=1)
    last = over_time(tenant, STRETCHES["day"], NOON).drawn[-1]

    assert (last.minutes, last.of("pending"), last.of("sent")) == (3, 4, 3)


def test_a_stretch_is_one_statement(tenant: Tenant) -> None:
    minutes(60)
    with CaptureQueriesContext(connection) as queries:
        over_time(tenant, STRETCHES["day"], NOON)

    assert len(queries) == 1
