"""The queue of record: one pending run per user, leases and tokens, retries, switches."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction  # noqa: F401 - for the condition of a skipped test
from django.utils import timezone
from django_q.models import OrmQ

from migrations_app.failures import Failure
from migrations_app.models import Run
from migrations_app.monitoring.progress import users_by_state
from migrations_app.retries import pause_before_retry
from migrations_app.runs import queue
from migrations_app.runs.queue import RunRequest
from migrations_app.targets import LINK, Targets
from migrations_app.triggers.rules import Reason
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR

WAITING_HELPS = Failure("mailbox-unavailable")
WAITING_IS_USELESS = Failure("unreadable-calendar-object")


def request(user: ConferencingUser, rule: str = "R11", sentence: str = "Started.") -> Run:
    queue.request_runs(user.tenant, [RunRequest(user, [Reason(rule, sentence)])], ACTOR.name)
    return Run.objects.get(user=user, state="Pending")


def claimed(user: ConferencingUser) -> Run:
    request(user)
    run = queue.claim()
    assert run is not None
    return run


def test_r18_a_second_change_joins_the_pending_run(anna: ConferencingUser) -> None:
    first = request(anna, "R2", "Licence.")
    second = request(anna, "R1", "Moved.")
    assert first.pk == second.pk
    assert [reason["rule"] for reason in Run.objects.get().reasons] == ["R2", "R1"]


def test_r18_the_same_reason_is_listed_once(anna: ConferencingUser) -> None:
    request(anna)
    request(anna)
    assert len(Run.objects.get().reasons) == 1


def test_r18_a_change_during_a_run_makes_one_new_pending_run(anna: ConferencingUser) -> None:
    running = claimed(anna)
    request(anna)
    request(anna)
    assert Run.objects.filter(state="Pending").count() == 1
    assert Run.objects.get(state="InProgress").pk == running.pk


def test_r18_a_users_new_run_waits_for_the_one_in_progress(anna: ConferencingUser) -> None:
    running = claimed(anna)
    request(anna)
    assert queue.claim() is None
    queue.succeed(running)
    assert queue.claim() is not None


@pytest.mark.parametrize("state", ["Pending", "InProgress"])
def test_r18_the_database_itself_refuses_a_second_run_of_a_user(anna: ConferencingUser, state: str) -> None:
    run = request(anna) if state == "Pending" else claimed(anna)
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(
            tenant=anna.tenant,
            user=anna,
            state=state,
            is_latest=False,
            due_at=timezone.now(),
            lease_token=run.lease_token,
            lease_until=run.lease_until,
        )


def test_r19_a_run_is_due_after_the_settling_time(anna: ConferencingUser) -> None:
    change_tenant(anna.tenant, ACTOR, settling_time=300)
    anna.tenant.refresh_from_db()
    run = request(anna)
    assert timedelta(seconds=290) < run.due_at - timezone.now() <= timedelta(seconds=300)
    assert queue.claim() is None


def test_r19_run_now_makes_it_due_at_once(anna: ConferencingUser) -> None:
    change_tenant(anna.tenant, ACTOR, settling_time=300)
    anna.tenant.refresh_from_db()
    queue.run_now(request(anna))
    assert queue.claim() is not None


def test_r12_a_pending_run_waits_while_the_service_is_off_and_goes_on_after(anna: ConferencingUser) -> None:
    request(anna)
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False)
    assert queue.claim() is None
    assert Run.objects.get().state == "Pending"
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=True)
    assert queue.claim() is not None


def test_r29_the_summary_counts_users_by_their_latest_run(anna: ConferencingUser, make_user: Any) -> None:
    queue.succeed(claimed(anna))
    queue.fail(claimed(anna), WAITING_IS_USELESS)
    queue.succeed(claimed(make_user("bruno.costa")))
    assert users_by_state(anna.tenant) == {"Pending": 0, "InProgress": 0, "Failed": 1, "Succeeded": 1}


def test_the_attempt_is_counted_before_the_work(anna: ConferencingUser) -> None:
    assert claimed(anna).attempts == 1
    assert Run.objects.get().attempts == 1


def test_r28_what_waiting_may_cure_is_pending_again_with_its_next_try(anna: ConferencingUser) -> None:
    queue.fail(claimed(anna), WAITING_HELPS)
    run = Run.objects.get()
    assert run.state == "Pending"
    assert timezone.now() < run.due_at < timezone.now() + timedelta(minutes=5)
    assert "could not be reached" in run.last_error_message


def test_r28_what_waiting_cannot_cure_fails_at_once(anna: ConferencingUser) -> None:
    queue.fail(claimed(anna), WAITING_IS_USELESS)
    run = Run.objects.get()
    assert (run.state, run.retry_count) == ("Failed", 0)
    assert run.finished_at is not None


def test_r28_the_server_may_say_when_to_come_back(anna: ConferencingUser) -> None:
    queue.fail(claimed(anna), Failure("mailbox-unavailable", retry_after=timedelta(hours=1)))
    assert timedelta(minutes=59) < Run.objects.get().due_at - timezone.now() < timedelta(minutes=61)


def test_r28_it_gives_up_after_nine_retries(anna: ConferencingUser) -> None:
    request(anna)
    for attempt in range(1, 11):
        Run.objects.update(due_at=timezone.now())
        run = queue.claim()
        assert run is not None
        assert run.attempts == attempt
        queue.fail(run, WAITING_HELPS)
    failed = Run.objects.get()
    assert (failed.state, failed.retry_count) == ("Failed", 9)
    assert "All retries within a day failed: the mailbox could not be reached." in failed.last_error_message
    assert "tries again by itself" not in failed.last_error_message


def test_r28_the_pauses_grow_and_fill_a_day() -> None:
    pauses = [pause_before_retry(attempt) for attempt in range(1, 10)]
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))
    assert timedelta(hours=21) < sum(pauses, timedelta()) < timedelta(hours=27)


def test_a_failed_run_does_not_come_back_when_a_newer_one_is_pending(anna: ConferencingUser) -> None:
    running = claimed(anna)
    request(anna)
    queue.fail(running, WAITING_HELPS)
    assert sorted(Run.objects.values_list("state", flat=True)) == ["Failed", "Pending"]


def test_r40_a_run_that_takes_over_does_what_the_failed_one_was_to_do(anna: ConferencingUser) -> None:
    move = Targets.of_move(LINK)
    queue.request_runs(anna.tenant, [RunRequest(anna, [Reason("R1", "Moved.")], move)], ACTOR.name)
    running = queue.claim()
    assert running is not None
    request(anna, "R5", "Another bridge.")
    queue.fail(running, WAITING_HELPS)
    newer = Run.objects.get(state=Run.State.PENDING)
    assert newer.targets == move.stored
    assert newer.migration_type == move.migration_type
    assert [each["rule"] for each in newer.reasons] == ["R1", "R5"]


def test_a_lost_lease_is_swept_back_into_the_queue(anna: ConferencingUser) -> None:
    run = claimed(anna)
    assert queue.sweep() == 0
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert queue.sweep() == 1
    again = queue.claim()
    assert again is not None
    assert (again.pk, again.attempts) == (run.pk, 2)


def test_a_worker_that_lost_its_lease_can_write_nothing(anna: ConferencingUser) -> None:
    slow = claimed(anna)
    Run.objects.filter(pk=slow.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    assert queue.claim() is not None
    with pytest.raises(queue.LeaseLost):
        queue.hold(slow, succeeded_meetings=5)
    with pytest.raises(queue.LeaseLost):
        queue.succeed(slow)
    assert (Run.objects.get().state, Run.objects.get().succeeded_meetings) == ("InProgress", 0)


# --- clocks that are set (runs waited for as long as the clock was set back) -----------------------------


def test_a_run_requested_before_the_clock_was_set_back_does_not_wait_for_that_time_to_come_again(
    anna: ConferencingUser,
) -> None:
    run = request(anna)
    then = timezone.now() + timedelta(hours=2)
    Run.objects.filter(pk=run.pk).update(created=then, due_at=then, modified=then)
    queue.sweep()
    found = queue.claim()
    assert found is not None
    assert found.pk == run.pk


def test_a_retry_put_off_before_the_clock_was_set_back_does_not_wait_either(anna: ConferencingUser) -> None:
    queue.fail(claimed(anna), WAITING_HELPS)
    then = timezone.now() + timedelta(hours=2)
    Run.objects.update(modified=then, due_at=then + timedelta(minutes=10))
    queue.sweep()
    assert queue.claim() is not None


def test_a_lease_taken_before_the_clock_was_set_back_is_lost(anna: ConferencingUser) -> None:
    run = claimed(anna)
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() + timedelta(hours=2))
    assert queue.sweep() == 1
    assert queue.claim() is not None


def test_a_sweep_leaves_settling_times_retries_and_leases_of_now_alone(
    anna: ConferencingUser, make_user: Callable[..., ConferencingUser]
) -> None:
    claimed(anna)
    queue.fail(claimed(make_user("bruno.costa")), WAITING_HELPS)
    change_tenant(anna.tenant, ACTOR, settling_time=300)
    request(make_user("carla.lind", tenant=Tenant.objects.get()))
    before = list(Run.objects.order_by("pk").values_list("state", "due_at", "lease_until"))
    assert queue.sweep() == 0
    assert list(Run.objects.order_by("pk").values_list("state", "due_at", "lease_until")) == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no other clock than this machine's")
def test_what_is_due_is_judged_by_the_database_servers_clock(anna: ConferencingUser) -> None:
    change_tenant(anna.tenant, ACTOR, settling_time=300)
    anna.tenant.refresh_from_db()
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        request(anna)  # on a web server whose clock is behind
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert queue.claim() is None  # by a worker whose clock is ahead
    Run.objects.update(due_at=timezone.now())
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        assert queue.claim() is not None  # by one whose clock is behind
        assert queue.sweep() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert queue.sweep() == 0


def test_requesting_many_runs_is_a_bulk_insert_and_a_handful_of_wake_ups(
    tenant: Tenant,
    old_bridge: Bridge,
    django_assert_max_num_queries: Callable[..., Any],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    rows = [{"upn": f"user{n}@contoso.com", "bridge": old_bridge} for n in range(1500)]
    users = create_users(tenant, rows, ACTOR)
    requests = [RunRequest(user, [Reason("R11", "Started.")]) for user in users]
    with django_capture_on_commit_callbacks(execute=True), django_assert_max_num_queries(90):
        queue.request_runs(tenant, requests, ACTOR.name)
    assert Run.objects.filter(state="Pending").count() == 1500
    assert 1 <= OrmQ.objects.count() <= 2


def test_waiting_wake_ups_are_not_added_to(
    anna: ConferencingUser, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    for _ in range(10):
        with django_capture_on_commit_callbacks(execute=True):
            queue.wake_cluster(50)
    assert OrmQ.objects.count() == 2


def test_runs_that_have_been_due_longest_come_first(make_user: Any) -> None:
    later, sooner = request(make_user("anna.rossi")), request(make_user("bruno.costa"))
    Run.objects.filter(pk=sooner.pk).update(due_at=timezone.now() - timedelta(hours=1))
    run = queue.claim()
    assert run is not None
    assert run.pk == sooner.pk != later.pk
