"""History is pruned in small transactions, beside workers and people, and goes on where it was stopped (R30)."""

from __future__ import annotations

import io
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from migrations_app.mail.actions import send_updates_again
from migrations_app.models import LeftMeeting, MeetingResult, Run, UntoldNumber, Update, UpdateText
from migrations_app.runs import pruning, queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from tenants_app import bulk
from tenants_app.models import ConferencingUser, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.together import elsewhere

pytestmark = pytest.mark.django_db
beside_others = pytest.mark.django_db(transaction=True)
needs_row_locks = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
NOW = timezone.now()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the lock of SQLite here."""
    monkeypatch.setattr(bulk, "PAUSE", 0)


@pytest.fixture
def old_runs(anna: ConferencingUser) -> Callable[..., list[Run]]:
    """Makes runs that ended long ago, a minute after one another, each with a meeting and a message."""

    def make(count: int) -> list[Run]:
        made = []
        for number in range(count):
            at = NOW - timedelta(days=400) + timedelta(minutes=number)
            made.append(
                Run.objects.create(
                    tenant=anna.tenant,
                    user=anna,
                    state="Succeeded",
                    is_latest=False,
                    due_at=at,
                    finished_at=at,
                    total_meetings=1,
                )
            )
            result = MeetingResult.objects.create(run=made[-1], uid="x", outcome="Succeeded")
            Update.objects.create(result=result, tenant=anna.tenant, recipient_count=1, state="Sent")
        return made

    return make


class Stopped(Exception):
    """In the middle of it."""


def stop(deleted: Counter[str]) -> None:
    raise Stopped


def test_r30_each_transaction_is_small_and_no_run_is_looked_at_twice(
    old_runs: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_RUNS_AT_ONCE", 3)
    runs = old_runs(11)
    Update.objects.filter(result__run__in=runs[:4]).update(state="Queued")
    told: list[int] = []
    pruning.prune(NOW, lambda deleted: told.append(deleted["runs"]))
    assert told == [0, 2, 5, 7]
    assert set(Run.objects.all()) == set(runs[:4])


def test_r30_large_runs_share_no_transaction(
    old_runs: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_MEETINGS_AT_ONCE", 20)
    for run, meetings in zip(old_runs(5), (8, 8, 8, 50, 1), strict=True):
        Run.objects.filter(pk=run.pk).update(total_meetings=meetings)
    told: list[int] = []
    pruning.prune(NOW, lambda deleted: told.append(deleted["runs"]))
    assert told == [2, 3, 4, 5]
    assert not Run.objects.exists()


def test_runs_are_found_by_an_index(old_runs: Callable[..., list[Run]]) -> None:
    old_runs(1)
    ended = Run.objects.filter(finished_at__lt=NOW, state__in=["Succeeded", "Failed"], is_latest=False)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "runs_by_end" in ended.order_by("finished_at", "pk")[:10].explain()


@beside_others
@pytest.mark.parametrize("at_work", [1, 2])
def test_r30_killed_in_the_middle_it_goes_on_the_next_time(
    old_runs: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch, at_work: int
) -> None:
    """With -9: after the first transaction, and in the second."""
    monkeypatch.setattr(pruning, "_RUNS_AT_ONCE", 2)
    old_runs(6)
    connections.close_all()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            if at_work == 1:
                pruning.prune(NOW, lambda deleted: os.kill(os.getpid(), signal.SIGKILL))
            with connection.execute_wrapper(_kill_at(2)):
                pruning.prune(NOW)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert [Run.objects.count(), MeetingResult.objects.count(), Update.objects.count()] == [4, 4, 4]
    assert pruning.prune(NOW)["runs"] == 4
    assert not Run.objects.exists()


def _kill_at(turn: int) -> Callable[..., object]:
    """Kills right before runs are deleted for that time, after what hangs on them."""
    seen = Counter[str]()

    def watch(execute: Callable[..., object], sql: str, *call: object) -> object:
        seen.update(["runs"] * sql.startswith('DELETE FROM "migrations_app_run"'))
        if seen["runs"] == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, *call)

    return watch


def test_what_stops_it_leaves_what_it_had_done(
    old_runs: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_RUNS_AT_ONCE", 2)
    old_runs(3)
    with pytest.raises(Stopped):
        pruning.prune(NOW, stop)
    assert Run.objects.count() == 1


def test_all_that_hangs_on_a_run_goes_or_lets_go_of_it(
    anna: ConferencingUser, old_runs: Callable[..., list[Run]]
) -> None:
    (old,) = old_runs(1)
    toll = ServiceNumber.objects.filter(bridge=anna.bridge)[0]
    update = Update.objects.get()
    UpdateText.objects.create(update=update, body=b"", language="en")
    UntoldNumber.objects.create(update=update, number=toll, meeting_ends_at=NOW - timedelta(days=1))
    undo = Run.objects.create(
        tenant=anna.tenant, user=anna, state="Succeeded", due_at=NOW, finished_at=NOW, undoes=old, migration_type="Undo"
    )
    later = {"tenant": anna.tenant, "user": anna, "last_end": NOW + timedelta(days=1), "code": "needs-review"}
    left = LeftMeeting.objects.create(uid="y", run=old, request=update, **later)
    LeftMeeting.objects.create(uid="x", message=update, **later)
    pruning.prune(NOW)
    assert list(Run.objects.all()) == [undo]
    assert list(LeftMeeting.objects.all()) == [left]
    undo.refresh_from_db()
    left.refresh_from_db()
    assert (undo.undoes, left.run, left.request) == (None, None, None)
    assert not UpdateText.objects.exists()
    assert not UntoldNumber.objects.exists()


@beside_others
@needs_row_locks
def test_workers_claim_and_end_runs_meanwhile(
    make_user: Callable[..., ConferencingUser], old_runs: Callable[..., list[Run]]
) -> None:
    old_runs(3)
    bob = make_user("bob")
    invite(bob)

    def start_and_work() -> str:
        start_by_hand(bob.tenant, [bob], ACTOR, now_due=True)
        run = queue.claim()
        assert run is not None
        work_run(run)
        return Run.objects.get(pk=run.pk).state

    with transaction.atomic():
        assert pruning.prune(NOW)["runs"] == 3
        assert elsewhere(start_and_work) == "Succeeded"
    assert Run.objects.get().user == bob


@beside_others
@needs_row_locks
def test_what_a_person_is_just_deciding_is_left_to_the_next_time(
    anna: ConferencingUser, old_runs: Callable[..., list[Run]]
) -> None:
    first, second, third = old_runs(3)
    Update.objects.filter(result__run=first).update(state="Failed", error_code="mail-refused")
    MeetingResult.objects.filter(run=second).update(spans=b"x", digest="x")
    with transaction.atomic():
        send_updates_again(first, ACTOR)
        start_undo(second, ACTOR)
        assert elsewhere(lambda: pruning.prune(NOW))["runs"] == 1
    assert not Run.objects.filter(pk=third.pk).exists()
    assert pruning.prune(NOW)["runs"] == 0
    assert {first, second} <= set(Run.objects.all())


def test_in_a_terminal_it_says_how_far_it_is(
    old_runs: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(pruning, "_RUNS_AT_ONCE", 2)
    old_runs(3)
    said = Terminal()
    call_command("prune_history", stdout=said)
    first, second, end = said.getvalue().split("\r")
    assert (first, second) == ("2 runs deleted so far …", "3 runs deleted so far …")
    assert end.startswith("Deleted 3 runs with 3 meetings and 3 messages")
