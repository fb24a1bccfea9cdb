"""Several workers at once, each with a database connection of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import pytest
from django.db import connection, connections, transaction

from migrations_app import queue
from migrations_app.decisions import Reason
from migrations_app.models import MeetingResult, Run, Update
from migrations_app.queue import RunRequest
from migrations_app.runner import work_run
from migrations_app.tasks import work_queue
from tenants_app import changes
from tenants_app.audit import Actor, Channel
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, Tenant
from tests.mailboxes import invite, messages_in

from ..conftest import ACTOR

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4
T = TypeVar("T")


def together(work: Callable[[int], T]) -> list[T]:
    """What ``work`` returns in each of several threads that begin at the same moment."""
    barrier = Barrier(WORKERS)

    def begin(number: int) -> T:
        barrier.wait()
        try:
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(begin, range(WORKERS)))


def test_no_run_is_claimed_twice(make_user: Callable[..., ConferencingUser]) -> None:
    users = [make_user(f"user{number}") for number in range(20)]
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, "Manual", [Reason("R11", "Started.")]) for user in users], "alice")

    def claim_all(_: int) -> list[int]:
        claimed = []
        while run := queue.claim():
            claimed.append(run.pk)
        return claimed

    claimed = [pk for some in together(claim_all) for pk in some]
    assert sorted(claimed) == sorted(Run.objects.values_list("pk", flat=True))


def test_workers_share_the_work_and_each_message_goes_out_once(
    make_user: Callable[..., ConferencingUser], outbox: Any
) -> None:
    users = [make_user(f"user{number}") for number in range(8)]
    for number, user in enumerate(users):
        invite(user, number)
        invite(user, number + 100)
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, "Manual", [Reason("R11", "Started.")]) for user in users], "alice")
    together(lambda _: work_queue())
    assert set(Run.objects.values_list("state", flat=True)) == {"Succeeded"}
    assert set(MeetingResult.objects.values_list("outcome", flat=True)) == {"Succeeded"}
    assert Counter(Update.objects.values_list("state", "attempts")) == {("Sent", 1): 16}
    assert len(messages_in(outbox)) == 16


def test_changes_of_one_user_at_the_same_time_make_one_run(anna: ConferencingUser) -> None:
    together(
        lambda number: changes.change_user(
            ConferencingUser.objects.get(pk=anna.pk),
            Actor(f"admin {number}", Channel.SCREEN),
            conference_id=changes.NEW_CONFERENCE_ID,
        )
    )
    assert Run.objects.filter(state="Pending").count() == Run.objects.count() == 1


def test_conference_ids_given_out_at_the_same_time_differ(
    make_user: Callable[..., ConferencingUser], new_bridge: Bridge
) -> None:
    users = [make_user(f"user{number}") for number in range(WORKERS)]
    together(lambda number: changes.change_user(users[number], ACTOR, bridge=new_bridge))
    assert ConferenceId.objects.filter(bridge=new_bridge).values("digits").distinct().count() == WORKERS


def test_a_sweep_beside_a_slow_worker_ends_in_one_result(anna: ConferencingUser) -> None:
    invite(anna)
    queue.request_runs(anna.tenant, [RunRequest(anna, "Manual", [Reason("R11", "Started.")])], "alice")
    slow = queue.claim()
    assert slow is not None
    Run.objects.update(lease_until=slow.started_at)
    queue.sweep()
    other = queue.claim()
    assert other is not None
    runs = [slow, other, other, slow]
    together(lambda number: work_run(runs[number]) if number < 2 else None)
    assert Run.objects.get().state == "Succeeded"
    assert MeetingResult.objects.count() == Update.objects.count() == 1


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: a claim waits instead of passing over"
)
def test_a_claim_passes_over_a_row_that_is_being_claimed(make_user: Callable[..., ConferencingUser]) -> None:
    users = [make_user(f"user{number}") for number in range(WORKERS)]
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, "Manual", [Reason("R11", "Started.")]) for user in users], "alice")
    claimed = together(lambda _: getattr(queue.claim(), "pk", None))
    assert len(set(claimed)) == WORKERS
    assert connection.vendor == "postgresql"


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: the claim waits for the change"
)
def test_a_run_that_a_change_is_joining_is_not_claimed_until_the_change_is_made(anna: ConferencingUser) -> None:
    first = RunRequest(anna, "Manual", [Reason("R11", "Started.")])
    queue.request_runs(anna.tenant, [first], "alice")

    def claim_elsewhere() -> Run | None:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: (queue.claim(), connections.close_all())[0]).result()

    with transaction.atomic():
        queue.request_runs(anna.tenant, [RunRequest(anna, "Manual", [Reason("R5", "Moved.")])], "alice")
        assert claim_elsewhere() is None
    run = claim_elsewhere()
    assert run is not None
    assert [reason["rule"] for reason in run.reasons] == ["R11", "R5"]


def test_large_requests_in_different_orders_do_not_lock_each_other_out(tenant: Tenant, old_bridge: Bridge) -> None:
    rows = [{"upn": f"user{number:04}@contoso.com", "bridge": old_bridge} for number in range(1100)]
    users = changes.create_users(tenant, rows, ACTOR)

    def request(number: int) -> int:
        ordered = users if number % 2 else users[::-1]
        requests = [RunRequest(user, "Manual", [Reason("R11", f"Started by {number}.")]) for user in ordered]
        return len(queue.request_runs(tenant, requests, "alice"))

    assert together(request) == [1100] * WORKERS
    assert Run.objects.count() == 1100
    assert all(len(reasons) == WORKERS for reasons in Run.objects.values_list("reasons", flat=True))
