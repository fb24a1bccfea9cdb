"""Runs that take long: the worker keeps its lease while it is at work, and loses it only when it is silent.

Time stands still but where a test moves it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from migrations_app.rewriting.examine import Examined
from migrations_app.runs import outcomes, queue
from migrations_app.runs.commit import Committer
from migrations_app.runs.outcomes import Decided
from migrations_app.runs.queue import LEASE, LONGEST_LEASE, RunRequest
from migrations_app.runs.worker import work_run
from migrations_app.triggers.rules import Reason
from tenants_app.models import ConferencingUser
from tests.support.clock import clock
from tests.support.meetings import invite

Passes = Callable[[float], None]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passes]:
    with clock(monkeypatch) as moved:
        yield moved.passes


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something happen before each meeting is looked at."""

    def install(happens: Callable[[], None]) -> None:
        examined = outcomes.examined

        def examined_slowly(*args: Any) -> Examined | Decided:
            happens()
            return examined(*args)

        monkeypatch.setattr(outcomes, "examined", examined_slowly)

    return install


def claimed(user: ConferencingUser) -> Run:
    queue.request_runs(user.tenant, [RunRequest(user, [Reason("R11", "Started.")])], "alice")
    run = queue.claim()
    assert run is not None
    return run


def test_a_batch_that_takes_longer_than_a_lease_is_done_once(
    anna: ConferencingUser, passes: Passes, slowly: Callable[[Callable[[], None]], None]
) -> None:
    """100 meetings of four seconds each, in one batch; another worker sweeps after each."""
    for number in range(100):
        invite(anna, number)
    swept: list[int] = []

    def four_seconds() -> None:
        passes(4)
        swept.append(queue.sweep())

    slowly(four_seconds)
    work_run(claimed(anna))
    run = Run.objects.get()
    assert (run.state, run.attempts, run.succeeded_meetings) == ("Succeeded", 1, 100)
    assert swept == [0] * 100
    assert Counter(Update.objects.values_list("result__outcome", flat=True)) == {"Succeeded": 100}


def test_one_large_meeting_is_done_within_its_lease(
    anna: ConferencingUser,
    passes: Passes,
    slowly: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A text of as many octets as a worker does in four leases, which it takes one octet less than."""
    _, body = invite(anna)
    needed = 4 * LEASE.total_seconds()
    monkeypatch.setattr(queue, "OCTETS_PER_SECOND", len(body) / needed)
    swept: list[int] = []

    def long() -> None:
        passes(needed)
        swept.append(queue.sweep())

    slowly(long)
    work_run(claimed(anna))
    assert (Run.objects.get().state, Run.objects.get().attempts, swept) == ("Succeeded", 1, [0])


def test_after_a_large_meeting_the_lease_is_as_short_as_any(
    anna: ConferencingUser, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, body = invite(anna)
    run = claimed(anna)
    monkeypatch.setattr(queue, "OCTETS_PER_SECOND", len(body) / 300)
    queue.keep(run, len(body))
    assert Run.objects.get().lease_until == timezone.now() + timedelta(seconds=300) + LEASE
    queue.keep(run, 1000 * len(body))
    assert Run.objects.get().lease_until == timezone.now() + LONGEST_LEASE
    queue.hold(run)
    assert Run.objects.get().lease_until == timezone.now() + LEASE


def test_the_lease_is_renewed_by_time_and_costs_nothing_in_between(
    anna: ConferencingUser, passes: Passes, django_assert_num_queries: Any
) -> None:
    run = claimed(anna)
    with django_assert_num_queries(0):
        for _ in range(9):
            passes(1)
            queue.keep(run)
    with django_assert_num_queries(1):
        passes(2)
        queue.keep(run)
    assert Run.objects.get().lease_until == timezone.now() + LEASE


def test_a_worker_that_was_silent_for_longer_writes_nothing(
    anna: ConferencingUser, passes: Passes, slowly: Callable[[Callable[[], None]], None]
) -> None:
    for number in range(3):
        invite(anna, number)
    before = set(CalendarObject.objects.values_list("etag", flat=True))

    def sleeps() -> None:
        passes(LEASE.total_seconds() + 1)
        queue.sweep()

    slowly(sleeps)
    work_run(claimed(anna))
    run = Run.objects.get()
    assert (run.state, run.attempts) == ("Pending", 1)
    assert not MeetingResult.objects.exists()
    assert set(CalendarObject.objects.values_list("etag", flat=True)) == before


@pytest.mark.parametrize("renew", [queue.keep, queue.hold])
def test_a_sweep_does_not_take_a_run_away_whose_lease_was_renewed_meanwhile(
    anna: ConferencingUser, passes: Passes, monkeypatch: pytest.MonkeyPatch, renew: Callable[[Run], None]
) -> None:
    """The sweep has read that the lease is over and waits for the database, which the worker has."""
    run = claimed(anna)
    passes(LEASE.total_seconds() + 1)
    lock = queue.lock_users

    def renewed_first(pks: Any) -> None:
        renew(run)
        lock(pks)

    monkeypatch.setattr(queue, "lock_users", renewed_first)
    assert queue.sweep() == 0
    assert Run.objects.get().state == "InProgress"


def test_meetings_are_committed_by_octets_as_well_as_by_number(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(invite(anna, number)[1]) for number in range(12)]
    monkeypatch.setattr(outcomes, "OCTETS", 3 * max(sizes))
    batches: list[list[int]] = []
    commit, read = Committer.commit, EmbeddedMailbox.read

    def watched(self: Committer, results: Any, **options: Any) -> set[str]:
        batches.append([len(each.write.body) for each in results])
        return commit(self, results, **options)

    def watched_read(self: EmbeddedMailbox, uids: Any) -> Any:
        found = read(self, uids)
        assert sum(len(stored.body) for stored in found.values()) <= 3 * max(sizes)
        return found

    monkeypatch.setattr(Committer, "commit", watched)
    monkeypatch.setattr(EmbeddedMailbox, "read", watched_read)
    work_run(claimed(anna))
    assert sum(map(len, batches)) == 12
    assert max(map(len, batches)) >= 3
    assert Run.objects.get().succeeded_meetings == 12


def test_a_meeting_larger_than_a_batch_is_a_batch_of_its_own(anna: ConferencingUser) -> None:
    for number in range(4):
        invite(anna, number)
    listed = EmbeddedMailbox(anna).list_candidates(anna.addresses, timezone.now())
    assert [meeting.size for meeting in listed] == [
        len(bytes(CalendarObject.objects.get(uid=meeting.uid).body)) for meeting in listed
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "OCTETS", 1)
        assert [len(batch) for batch in outcomes.in_batches(listed)] == [1, 1, 1, 1]
        patch.setattr(outcomes, "OCTETS", sum(meeting.size for meeting in listed[:2]))
        assert len(next(outcomes.in_batches(listed))) == 2
        patch.setattr(outcomes, "BATCH", 3)
        patch.setattr(outcomes, "OCTETS", 10**9)
        assert [len(batch) for batch in outcomes.in_batches(listed)] == [3, 1]


def test_the_search_for_old_numbers_at_the_end_of_a_run_has_a_lease_for_all_that_it_reads(
    anna: ConferencingUser, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [len(invite(anna, number)[1]) for number in range(5)]
    monkeypatch.setattr(queue, "OCTETS_PER_SECOND", sum(sizes) / 600)
    record = Committer.record_what_invitations_say

    def long(self: Committer) -> None:
        passes(600)
        queue.sweep()
        record(self)

    monkeypatch.setattr(Committer, "record_what_invitations_say", long)
    work_run(claimed(anna))
    assert (Run.objects.get().state, Run.objects.get().attempts) == ("Succeeded", 1)
