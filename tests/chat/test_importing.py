"""Importing rooms: in order, each message once, whatever goes wrong in between (R111, R112)."""

from __future__ import annotations

import errno
import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app import registry
from migrations_app.chat import import_engine, importing, leases, plans
from migrations_app.chat.archive.records import Category, Message, Principal, Room
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.chat.archives import open_stored
from migrations_app.chat.targets.base import TargetProblem, Unanswered
from migrations_app.models import ChatPlan, ChatRoom, ChatShift
from migrations_app.monitoring import clock
from migrations_app.retries import RETRIES
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer, limits
from tests.support.chat_plans import BEGAN, a_plan, a_target, forget_leases, imported, stored, worked

pytestmark = pytest.mark.django_db


def keys(room: int, messages: int = 5) -> list[str]:
    return [f"{room}/{n}" for n in range(1, messages + 1)]


def test_r112_rooms_are_made_closed_then_messages_by_n_with_files_then_members_then_opened(
    tenant: Tenant, server: FakeServer
) -> None:
    plan = imported(a_plan(tenant))

    assert plan.state == ChatPlan.State.IMPORTED
    steps = [(step, about) for step, about in server.calls if step not in {"look", "written"}]
    assert steps == [
        ("begin_category", "Operations"),
        ("begin_room", "Alpha"),
        ("write", "Alpha"),
        ("finish_room", "Alpha"),
        ("begin_room", "Beta"),
        ("write", "Beta"),
        ("finish_room", "Beta"),
        ("finish", ""),
    ]
    alpha = server.there("Alpha")
    assert alpha.keys == keys(1)
    assert alpha.files == {"1/3": b"The plan of Alpha"}
    assert alpha.finished_as is not None
    assert alpha.finished_as.managers == {"ann@contoso.com"}
    room = plan.rooms.get(name="Alpha")
    assert (room.state, room.written, room.cursor_n, room.unanswered) == (ChatRoom.State.IMPORTED, 5, 5, False)
    assert room.compare_asked_at is not None


# --- answers that are lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write done", "write one"])
def test_r111_a_write_whose_answer_was_lost_is_settled_by_reading(
    tenant: Tenant, server: FakeServer, step: str
) -> None:
    """The target would write everything once more: whatever is sent twice is there twice."""
    server.repeats = True
    limits(server, messages_per_second=0.3)  # three in a batch
    lost = iter(["1/2", "2/5"] if step == "write one" else ["Alpha", "Beta"])
    next_lost = next(lost)

    def lose(where: str, about: str) -> None:
        nonlocal next_lost
        if (where, about) == (step, next_lost):
            next_lost = next(lost, "")
            raise Unanswered

    server.at = lose
    plan = imported(a_plan(tenant))

    assert plan.state == ChatPlan.State.IMPORTED
    assert next_lost == ""
    assert server.there("Alpha").keys == keys(1)
    assert server.there("Beta").keys == keys(2)
    assert not plan.rooms.filter(unanswered=True).exists()


@pytest.mark.parametrize("step", ["begin_category", "begin_room", "finish_room", "finish"])
def test_r111_what_is_asked_besides_messages_may_be_asked_again(tenant: Tenant, server: FakeServer, step: str) -> None:
    has_lost = False

    def lose(where: str, about: str) -> None:
        nonlocal has_lost
        if where == f"{step} done" and not has_lost:
            has_lost = True
            raise Unanswered

    server.at = lose
    server.repeats = True
    plan = imported(a_plan(tenant))
    assert plan.state == ChatPlan.State.IMPORTING
    forget_leases()
    plan = worked(plan)

    assert plan.state == ChatPlan.State.IMPORTED
    assert len(server.rooms) == 2
    assert len(server.categories) == 1
    assert server.there("Alpha").keys == keys(1)
    assert server.there("Beta").keys == keys(2)


def test_r111_that_a_batch_is_about_to_be_sent_is_noted_before(tenant: Tenant, server: FakeServer) -> None:
    seen = []

    def look(step: str, about: str) -> None:
        if step == "write":
            seen.append(ChatRoom.objects.get(name=about).unanswered)

    server.at = look
    imported(a_plan(tenant))

    assert seen == [True, True]


# --- killed -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As a process ends that is killed: nothing is done after it."""


def test_r111_killed_at_any_step_it_goes_on_without_loss_or_double(tenant: Tenant, server: FakeServer) -> None:
    """Before each statement that writes, and before and after whatever is asked of the target."""
    server.repeats = True
    limits(server, messages_per_second=0.2, times_are_unique=True)
    plan = a_plan(tenant, stored(tenant, rooms=("Alpha",), messages=3))
    importing.start(plan, ACTOR)
    died = 0
    for last in itertools.count(1):
        with rolled_back():
            server.rooms.clear()
            server.categories.clear()
            steps = itertools.count(1)

            def step(*_: object, steps: Iterator[int] = steps, last: int = last) -> None:
                if next(steps) == last:
                    raise Killed

            def statement(execute: Any, sql: str, *args: Any, step: Any = step) -> Any:
                if not sql.startswith("SELECT"):  # before which it dies as it does after what was written last
                    step()
                return execute(sql, *args)

            server.at = step
            try:
                with connection.execute_wrapper(statement):
                    worked(plan)
                is_over = True
            except Killed:
                is_over = False
                died += 1
            server.at = lambda step, about: None
            forget_leases()
            ended = worked(plan)

            assert ended.state == ChatPlan.State.IMPORTED, last
            assert server.there("Alpha").keys == keys(1, 3), last
            assert len(server.rooms) == 1
            assert server.there("Alpha").is_open
            assert plan.rooms.values_list("written", "cursor_n").get() == (3, 3)
        if is_over:
            break
    assert died > 35


@contextmanager
def rolled_back() -> Iterator[None]:
    """Whatever is written within is forgotten."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_r111_a_cursor_that_is_behind_the_target_writes_nothing_twice(tenant: Tenant, server: FakeServer) -> None:
    """The database was put back to how it stood before the last batches."""
    server.repeats = True
    limits(server, messages_per_second=0.1)
    plan = imported(a_plan(tenant))
    ChatPlan.objects.update(state=ChatPlan.State.IMPORTING)
    with open_stored(plan.archive) as archive:
        _, offset = next(archive.messages_from("1", 0))
    ChatRoom.objects.filter(name="Alpha").update(state="Waiting", cursor_n=1, cursor_offset=offset, written=1)

    worked(plan)

    assert server.there("Alpha").keys == keys(1)
    assert ChatRoom.objects.get(name="Alpha").written == 5


# --- workers ----------------------------------------------------------------------------------------------------------


def test_r111_two_workers_never_have_the_same_room(tenant: Tenant, server: FakeServer) -> None:
    plan = started(tenant)

    first, second, third = (leases.claim_room(plan) for _ in range(3))

    assert (first and first.name, second and second.name, third) == ("Alpha", "Beta", None)


def test_r111_a_target_that_takes_one_room_at_a_time_gets_one(tenant: Tenant, server: FakeServer) -> None:
    limits(server, rooms_at_once=1)
    plan = started(tenant)

    first, second = leases.claim_room(plan), leases.claim_room(plan)

    assert first is not None
    assert second is None
    assert not import_engine.is_due(clock.now())
    leases.leave_room(first, ChatRoom.State.IMPORTED)
    assert leases.claim_room(plan) is not None


def test_r111_a_worker_that_was_taken_over_writes_nothing_more(tenant: Tenant, server: FakeServer) -> None:
    limits(server, messages_per_second=0.2)
    plan = a_plan(tenant)

    def take_over(step: str, about: str) -> None:
        if step == "write done" and about == "Alpha" and len(server.asked("write")) == 1:
            ChatRoom.objects.filter(name="Alpha").update(
                lease_token=uuid.uuid4(), lease_until=clock.now() + leases.LEASE
            )

    server.at = take_over
    imported(plan)

    assert server.asked("write").count("Alpha") == 1
    alpha = ChatRoom.objects.get(name="Alpha")
    assert (alpha.unanswered, alpha.written, alpha.state) == (True, 0, ChatRoom.State.WRITING)
    forget_leases()
    assert worked(plan).state == ChatPlan.State.IMPORTED
    assert server.there("Alpha").keys == keys(1)


def test_r111_the_main_loop_imports_and_gives_way(tenant: Tenant, server: FakeServer) -> None:
    plan = plans.make_plan(tenant, ACTOR, stored(tenant), a_target(tenant))
    assert registry.is_due(clock.now())
    registry.advance(timezone.now() + timedelta(minutes=1))
    plan.refresh_from_db()
    assert plan.state == ChatPlan.State.READY
    importing.start(plan, ACTOR)
    assert registry.is_due(clock.now())

    registry.advance(timezone.now() + timedelta(minutes=1))

    plan.refresh_from_db()
    assert plan.state == ChatPlan.State.IMPORTED
    assert not import_engine.is_due(clock.now())


def test_r12_a_tenant_that_is_switched_off_is_passed_over(tenant: Tenant, server: FakeServer) -> None:
    plan = started(tenant)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)

    assert not import_engine.is_due(clock.now())
    with pytest.raises(ValidationError, match="switched off"):
        importing.start(a_plan(tenant, stored(tenant, name="Another"), a_target(tenant, "Elsewhere")), ACTOR)
    assert plan.state == ChatPlan.State.IMPORTING


def started(tenant: Tenant) -> ChatPlan:
    """A plan that a worker has begun: no room of it is written yet."""
    plan = a_plan(tenant)
    importing.start(plan, ACTOR)
    plan.refresh_from_db()
    import_engine.work(plan, lambda: True)
    plan.refresh_from_db()
    assert plan.prepared_at is not None
    return plan


# --- pausing, failing, trying again -----------------------------------------------------------------------------------


def test_r111_paused_after_a_batch_it_goes_on_from_there(tenant: Tenant, server: FakeServer) -> None:
    limits(server, messages_per_second=0.2)
    plan = a_plan(tenant)

    def pause(step: str, about: str) -> None:
        if step == "write" and server.asked("write") == ["Alpha"]:
            importing.pause(plan, ACTOR)

    server.at = pause
    paused = imported(plan)
    assert paused.state == ChatPlan.State.PAUSED
    alpha = ChatRoom.objects.get(name="Alpha")
    assert (alpha.state, alpha.lease_until) == (ChatRoom.State.WAITING, None)
    assert server.asked("begin_room") == ["Alpha"]
    server.at = lambda step, about: None
    server.repeats = True

    importing.resume(plan, ACTOR, reason="Quiet now")

    assert worked(plan).state == ChatPlan.State.IMPORTED
    assert server.there("Alpha").keys == keys(1)
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-4:] == ["plan chat import", "start chat import", "pause chat import", "resume chat import"]


def fails_in(server: FakeServer, *rooms: str, **how: Any) -> None:
    def fail(step: str, about: str) -> None:
        if step == "write" and about in rooms:
            raise TargetProblem("chat-target-refused", "The target refuses it.", **how)

    server.at = fail


def test_r111_a_room_that_fails_does_not_stop_the_others_and_is_retried(tenant: Tenant, server: FakeServer) -> None:
    fails_in(server, "Alpha")
    plan = a_plan(tenant)
    ChatPlan.objects.update(max_failed_percent=60)
    ended = imported(plan)

    assert ended.state == ChatPlan.State.IMPORTED
    alpha, beta = ended.rooms.order_by("name")
    assert (alpha.state, alpha.error_code, alpha.error_detail) == (
        ChatRoom.State.FAILED,
        "chat-target-refused",
        "The target refuses it.",
    )
    assert beta.state == ChatRoom.State.IMPORTED
    server.at = lambda step, about: None

    assert importing.retry(plan, ACTOR, [alpha.pk]) == 1

    ended = worked(plan)
    assert ended.state == ChatPlan.State.IMPORTED
    assert {room.state for room in ended.rooms.all()} == {ChatRoom.State.IMPORTED}
    assert server.there("Alpha").keys == keys(1)
    assert server.finished == 2


def test_r111_what_waiting_may_help_is_tried_again_after_a_pause(tenant: Tenant, server: FakeServer) -> None:
    fails_in(server, "Alpha", waits=True, retry_after=90)
    plan = imported(a_plan(tenant))

    alpha = plan.rooms.get(name="Alpha")
    assert (plan.state, alpha.state, alpha.attempts) == (ChatPlan.State.IMPORTING, ChatRoom.State.WAITING, 1)
    assert timedelta(seconds=80) < alpha.retry_at - clock.now() < timedelta(seconds=91)
    assert plan.rooms.get(name="Beta").state == ChatRoom.State.IMPORTED
    assert not import_engine.is_due(clock.now())
    ChatPlan.objects.update(max_failed_percent=60)
    for _ in range(RETRIES):
        forget_leases()
        worked(plan)

    plan.refresh_from_db()
    assert plan.state == ChatPlan.State.IMPORTED
    assert plan.rooms.get(name="Alpha").state == ChatRoom.State.FAILED


def test_r111_what_is_about_the_target_stops_all_and_fails_no_room(tenant: Tenant, server: FakeServer) -> None:
    fails_in(server, "Alpha", "Beta", is_of_room=False)
    plan = imported(a_plan(tenant))

    assert (plan.state, plan.problem) == (ChatPlan.State.STOPPED, "The target refuses it.")
    assert {room.state for room in plan.rooms.all()} == {ChatRoom.State.WAITING}
    server.at = lambda step, about: None
    importing.resume(plan, ACTOR)
    assert worked(plan).state == ChatPlan.State.IMPORTED


def test_r111_a_full_disk_stops_the_import_says_so_and_fails_no_room(tenant: Tenant, server: FakeServer) -> None:
    def full(step: str, about: str) -> None:
        if step == "write":
            raise OSError(errno.ENOSPC, "No space left on device")

    server.at = full
    plan = imported(a_plan(tenant))

    told = "A file below MMS_DATA_DIR cannot be read or written: No space left on device."
    assert (plan.state, plan.problem) == (ChatPlan.State.STOPPED, told)
    assert {room.state for room in plan.rooms.all()} == {ChatRoom.State.WAITING}
    server.at = lambda step, about: None
    importing.resume(plan, ACTOR)
    assert worked(plan).state == ChatPlan.State.IMPORTED


def test_r111_a_target_that_is_away_for_a_while_lets_the_import_wait(tenant: Tenant, server: FakeServer) -> None:
    fails_in(server, "Alpha", is_of_room=False, waits=True, retry_after=30)
    plan = imported(a_plan(tenant))

    assert (plan.state, plan.attempts) == (ChatPlan.State.IMPORTING, 1)
    assert plan.retry_at > clock.now()
    assert not import_engine.is_due(clock.now())
    server.at = lambda step, about: None
    forget_leases()
    ended = worked(plan)
    assert (ended.state, ended.attempts, ended.problem) == (ChatPlan.State.IMPORTED, 0, "")


@pytest.mark.parametrize(
    ("rule", "bad", "why"),
    [
        ({}, "ABC", "3 rooms have failed one after another."),
        ({"max_failed_percent": 0}, "B", "1 room has failed, and the import is set to stop at the first."),
        (
            {"min_finished": 4, "max_failed_percent": 20},
            "AC",
            "2 of 4 finished rooms have failed, which is more than 20 %.",
        ),
    ],
)
def test_r78_an_import_stops_by_itself(
    tenant: Tenant, server: FakeServer, rule: dict[str, int], bad: str, why: str
) -> None:
    fails_in(server, *bad)
    plan = a_plan(tenant, stored(tenant, rooms=tuple("ABCDEF"), messages=1))
    ChatPlan.objects.update(**rule)
    ended = imported(plan)

    assert (ended.state, ended.problem) == (ChatPlan.State.STOPPED, why)
    assert ended.rooms.filter(state=ChatRoom.State.WAITING).exists()
    server.at = lambda step, about: None
    importing.resume(plan, ACTOR)
    assert worked(plan).state == ChatPlan.State.IMPORTED


def test_r111_something_unexpected_fails_the_room_without_a_traceback(
    tenant: Tenant, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(step: str, about: str) -> None:
        if step == "write" and about == "Alpha":
            raise ZeroDivisionError

    server.at = break_down
    plan = imported(a_plan(tenant))

    assert plan.rooms.get(name="Alpha").error_code == "internal-error"
    assert "ZeroDivisionError" in caplog.text


# --- once more, in part, and after changes ----------------------------------------------------------------------------


def test_r111_importing_the_same_archive_again_adds_nothing(tenant: Tenant, server: FakeServer) -> None:
    server.repeats = True
    archive, target = stored(tenant), a_target(tenant)
    imported(a_plan(tenant, archive, target))
    del server.there("Beta").messages[2]  # what was lost there is written again

    again = imported(a_plan(tenant, archive, target))

    assert again.state == ChatPlan.State.IMPORTED
    assert len(server.rooms) == 2
    assert server.there("Alpha").keys == keys(1)
    assert sorted(server.there("Beta").keys) == keys(2)
    assert len(server.there("Beta").keys) == 5


def test_r120_merging_adds_messages_to_a_room_that_is_there(tenant: Tenant, server: FakeServer) -> None:
    server.add("Alpha")
    plan = imported(a_plan(tenant, on_conflict="merge"))

    assert len(server.rooms) == 2
    assert server.there("Alpha").keys == keys(1)
    assert plan.rooms.get(name="Alpha").target_id == server.there("Alpha").id


def test_r111_rooms_can_be_chosen_and_the_rest_follows(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    beta = plan.rooms.get(name="Beta")

    plan = imported(plan, rooms=[beta])

    assert [room.name for room in server.rooms.values()] == ["Beta"]
    assert plan.rooms.get(name="Alpha").state == ChatRoom.State.PLANNED
    imported(plan)
    assert server.there("Alpha").keys == keys(1)
    with pytest.raises(ValidationError, match="No room is left"):
        importing.start(plan, ACTOR)


def test_r110_where_the_target_has_changed_since_it_is_planned_anew(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    plans.decide(plan, ACTOR, [plan.rooms.get(name="Beta")], deselect=True, reason="Nobody reads it")
    plan = plans.plan_now(plan)
    server.add("Alpha")

    plan = imported(plan)

    assert plan.state == ChatPlan.State.OUTDATED
    assert server.asked("begin_room") == []
    new = plans.plan_now(plan.replaced_by)
    assert (new.number, new.state) == (plan.number + 1, ChatPlan.State.READY)
    assert [finding.code for finding in new.findings.filter(severity="error")] == ["name-taken"]
    beta = new.rooms.get(name="Beta")
    assert (beta.state, beta.reason) == (ChatRoom.State.DESELECTED, "Nobody reads it")
    with pytest.raises(ValidationError, match="Source or target have changed"):
        importing.start(plan, ACTOR)


def test_r118_moved_times_are_kept_with_the_cursor(tenant: Tenant, server: FakeServer, tmp_path: Path) -> None:
    limits(server, times_are_unique=True, messages_per_second=0.2)
    folder = tmp_path / "same"
    with ArchiveWriter(folder) as writer:
        writer.principal(Principal("ann", sip="ann@contoso.com", name="Ann"))
        writer.category(Category("c1", "Operations"))
        done = writer.messages("1", [Message(n, BEGAN, "ann", text=str(n)) for n in range(1, 6)])
        writer.room(Room("1", "c1", "Alpha", messages=done.messages, first=done.first, last=done.last))
        writer.finish(source="mms-chat: test")
    imported(a_plan(tenant, stored(tenant, folder)))

    times = [message.at for message in server.there("Alpha").messages]
    assert times == [BEGAN + timedelta(milliseconds=n) for n in range(5)]
    assert list(ChatShift.objects.values_list("n", "milliseconds")) == [(2, 1), (3, 2), (4, 3), (5, 4)]


def test_r111_one_import_at_a_time_goes_into_a_target(tenant: Tenant, server: FakeServer) -> None:
    target = a_target(tenant)
    first = a_plan(tenant, target=target)
    second = a_plan(tenant, stored(tenant, name="Another"), target)
    importing.start(first, ACTOR)

    with pytest.raises(ValidationError, match=f"Plan {first.number} is being imported into New home"):
        importing.start(second, ACTOR)


def test_r111_a_batch_takes_the_same_few_statements_however_many_messages(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant, stored(tenant, rooms=("Alpha",), messages=400))
    few = a_plan(tenant, stored(tenant, name="Few", rooms=("Beta",), messages=4), a_target(tenant, "Elsewhere"))
    counts = []
    for each in (few, plan):
        importing.start(each, ACTOR)
        each.refresh_from_db()
        with CaptureQueriesContext(connection) as queries:
            worked(each)
        counts.append(len(queries))

    assert len(server.asked("write")) == 2
    assert counts[0] == counts[1]


def test_r110_why_an_import_cannot_begin(tenant: Tenant, server: FakeServer) -> None:
    server.add("Alpha")
    plan = plans.make_plan(tenant, ACTOR, stored(tenant), a_target(tenant))
    assert plans.why_not_started(plan) == "The plan is still being made: wait until it is ready."
    plan = plans.plan_now(plan)
    assert plans.why_not_started(plan) == "1 error is left: put it right, or leave its room out."
    assert plans.why_not_started(plan, [plan.rooms.get(name="Beta")]) == ""
    with pytest.raises(ValidationError, match="1 error is left"):
        importing.start(plan, ACTOR)
    assert server.asked("begin_room") == []
