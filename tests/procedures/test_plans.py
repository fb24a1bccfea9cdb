"""Planned jobs: nothing happens before the time, nothing begins outside the window, and nobody is told twice (R37)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from migrations_app import tasks
from migrations_app.failures import Failure
from migrations_app.models import BulkAction, NumberRelease, Plan, Run, Update
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import queue_state
from migrations_app.procedures import bulk_actions, number_release, plans
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs import queue
from migrations_app.runs.actions import make_due_now, start_by_hand
from migrations_app.runs.plans import When, read_when
from migrations_app.runs.pruning import prune
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import change_user
from tenants_app.local_times import DailyWindow
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.two_tenants import furnish

MakeUsers = Callable[..., list[ConferencingUser]]
START, RETRY, MOVE = (KINDS[name] for name in ("start", "retry", "move"))
NIGHT = DailyWindow(time(22), time(6))


class Time:
    """What time it is for everybody, in the words of the people in Rome."""

    def __init__(self, wall: time_machine.Coordinates) -> None:
        self._wall = wall

    def is_(self, text: str) -> datetime:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        self._wall.move_to(moment)
        return moment


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """Monday 30 November 2026, 10:00 in Rome, in UTC everywhere in these tests: 09:00."""
    monkeypatch.setattr(clock, "now", timezone.now)
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False) as wall:
        yield Time(wall)


@pytest.fixture
def rome(now: Time, tenant: Tenant) -> Tenant:
    return change_tenant(tenant, ACTOR, time_zone="Europe/Rome")


@pytest.fixture
def three(rome: Tenant, make_users: MakeUsers) -> list[ConferencingUser]:
    return make_users({name: {} for name in ("anna", "bruno", "clara")}, of=rome)


def everybody(tenant: Tenant) -> Any:
    return ConferencingUser.objects.filter(tenant=tenant)


def planned(
    tenant: Tenant, typed: str = "Saturday 22:00", window: DailyWindow | None = None, **more: Any
) -> BulkAction:
    when = read_when(tenant, {"not_before": typed}) or When(clock.now())
    kind = more.pop("kind", START)
    return bulk_actions.perform(tenant, kind, everybody(tenant), ACTOR, when=When(when.not_before, window), **more)


def go_on() -> None:
    """What the cluster does with each wake-up, but for the runs."""
    queue.sweep()
    for procedure in (plans, bulk_actions, number_release, plans):
        while procedure.advance(timezone.now() + timedelta(minutes=1)):
            pass


def claimed() -> list[str]:
    """Whose runs begin now, and end."""
    names = []
    while run := queue.claim():
        names.append(run.user.upn.partition("@")[0])
        queue.succeed(run)
    return sorted(names)


def state(plan: Plan) -> str:
    plan.refresh_from_db()
    return plan.state


def plan_of(job: BulkAction | NumberRelease) -> Plan:
    assert job.plan is not None
    return job.plan


# --- it waits, begins, and ends ---------------------------------------------------------------------------


def test_r37_nothing_happens_before_the_earliest_start_and_all_of_it_then(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    action = planned(rome)
    plan = plan_of(action)
    go_on()
    assert (plan.not_before, action.state, Run.objects.count()) == (datetime(2026, 12, 5, 21, tzinfo=UTC), "Waiting", 0)
    now.is_("2026-12-05T20:59:59")
    go_on()
    assert (state(plan), Run.objects.count()) == ("Planned", 0)
    now.is_("2026-12-05T21:00:00")
    assert bulk_actions.is_due(clock.now())
    go_on()

    assert state(plan) == "Begun"
    assert set(Run.objects.values_list("plan", "state", "due_at")) == {(plan.pk, "Pending", clock.now())}
    assert claimed() == ["anna", "bruno", "clara"]
    go_on()
    assert (state(plan), plan.finished_at) == ("Done", clock.now())
    entry = AuditEntry.objects.get(action="start runs for many users")
    assert entry.after["earliest start"] == "2026-12-05T21:00+00:00"


def test_r37_the_move_itself_waits_too(
    now: Time, rome: Tenant, three: list[ConferencingUser], new_bridge: Bridge, wakes: list[Any]
) -> None:
    options = {"bridge": new_bridge.pk, "bridge_name": new_bridge.name}
    plan = plan_of(planned(rome, kind=MOVE, options=options))
    go_on()
    assert not everybody(rome).filter(bridge=new_bridge).exists()
    now.is_("2026-12-05T21:00:00")
    go_on()

    assert everybody(rome).filter(bridge=new_bridge).count() == 3
    assert set(Run.objects.values_list("plan", flat=True)) == {plan.pk}


def test_r37_a_window_alone_opens_tonight(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    when = read_when(rome, {"window_from": "22:00", "window_to": "6:00"})
    action = bulk_actions.perform(rome, START, everybody(rome), ACTOR, when=when)

    assert plan_of(action).opens_at == datetime(2026, 11, 30, 21, tzinfo=UTC)
    assert plan_of(action).closes_at == datetime(2026, 12, 1, 5, tzinfo=UTC)
    now.is_("2026-12-01T02:00:00")  # the cluster was down in the evening
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]


def test_r37_within_the_window_a_few_users_are_done_at_once(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    now.is_("2026-11-30T22:00:00")
    action = bulk_actions.perform(rome, START, everybody(rome), ACTOR, when=When(clock.now(), NIGHT))

    assert (action.state, state(plan_of(action))) == ("Done", "Begun")
    assert claimed() == ["anna", "bruno", "clara"]


def test_r37_runs_that_have_not_begun_when_the_window_closes_wait_for_the_next(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT))
    now.is_("2026-11-30T21:00:00")
    go_on()
    first = queue.claim()
    assert first is not None
    now.is_("2026-12-01T05:00:00")
    assert queue.claim() is None  # whoever comes first after the window, before anybody has looked at the plans
    assert not queue_state().longest_wait
    queue.fail(first, Failure("mailbox-unavailable"))
    go_on()

    assert claimed() == []
    assert set(Run.objects.exclude(pk=first.pk).values_list("due_at", flat=True)) == {plan.opens_at + timedelta(days=1)}
    now.is_("2026-12-01T12:00:00")
    go_on()
    assert claimed() == []  # neither is one begun that is to be tried again
    now.is_("2026-12-01T21:00:00")
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]


@pytest.mark.parametrize(
    ("back_at", "begins"),
    [("2026-12-05T22:30:00", True), ("2026-12-06T04:59:59", True), ("2026-12-06T05:00:00", False)],
)
def test_r37_a_cluster_that_was_down_begins_within_the_window_or_waits_for_the_next(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any], back_at: str, begins: bool
) -> None:
    plan = plan_of(planned(rome, window=NIGHT))
    now.is_(back_at)
    go_on()

    assert (claimed() != []) is begins
    assert (state(plan) == "Begun") is begins
    now.is_("2026-12-06T21:00:00")
    go_on()
    assert (claimed() != []) is not begins


def test_r37_a_clock_that_was_set_back_makes_nothing_begin_early_nor_a_day_late(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT))
    now.is_("2026-12-01T12:00:00")
    go_on()
    assert state(plan) == "Planned"
    assert plan.opens_at == datetime(2026, 12, 1, 21, tzinfo=UTC)
    now.is_("2026-11-30T20:00:00")
    go_on()
    assert claimed() == []
    now.is_("2026-11-30T23:00:00")
    go_on()
    while run := queue.claim():
        queue.fail(run, Failure("mailbox-unavailable"))
    assert Run.objects.filter(state="Pending", attempts=1).count() == 3
    now.is_("2026-11-30T12:00:00")  # what bears a time to come does not wait for it, but for the window
    go_on()
    assert claimed() == []


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2026-10-24", "2026-10-24T20:00", "2026-10-25T05:00"),  # the clocks go back: nine hours
        ("2027-03-27", "2027-03-27T21:00", "2027-03-28T04:00"),  # and forward: seven
    ],
)
def test_r37_a_window_follows_the_clocks_of_the_tenant(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any], day: str, opens: str, closes: str
) -> None:
    now.is_(f"{day}T09:00:00")
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT))
    assert [plan.opens_at.isoformat()[:16], plan.closes_at and plan.closes_at.isoformat()[:16]] == [opens, closes]
    now.is_(f"{opens}:00")
    go_on()
    assert queue.claim() is not None
    now.is_(f"{closes}:00")
    go_on()
    assert queue.claim() is None


def test_two_tenants_have_their_own_evenings(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    other = create_tenant(ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none")
    furnish(other)
    other = change_tenant(other, ACTOR, time_zone="America/New_York")
    for tenant in (rome, other):
        planned(tenant, "tonight 22:00", NIGHT)
    now.is_("2026-11-30T21:00:00")
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]
    now.is_("2026-12-01T05:30:00")  # morning in Rome, half past midnight in New York
    go_on()
    assert not Run.objects.filter(tenant=rome, state="Pending").exists()
    assert claimed() == ["frank.moor"]


def test_a_window_moves_with_the_time_zone_of_the_tenant_at_once(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT))
    now.is_("2026-11-30T21:00:00")
    go_on()
    change_tenant(rome, ACTOR, time_zone="America/New_York")

    assert claimed() == []
    plan.refresh_from_db()
    assert plan.opens_at == datetime(2026, 12, 1, 3, tzinfo=UTC)


def test_r12_a_planned_job_waits_for_the_service(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    action = planned(rome, window=NIGHT)
    change_tenant(rome, ACTOR, meeting_migration_enabled=False)
    now.is_("2026-12-05T21:00:00")
    go_on()
    action.refresh_from_db()
    assert (action.state, Run.objects.count(), state(plan_of(action))) == ("Waiting", 0, "Planned")
    change_tenant(rome, ACTOR, meeting_migration_enabled=True)
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]


def test_r37_a_worker_that_dies_between_two_pieces_leaves_whole_ones(
    now: Time, rome: Tenant, three: list[ConferencingUser], monkeypatch: pytest.MonkeyPatch, wakes: list[Any]
) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 1)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 1)
    monkeypatch.setattr(bulk_actions, "TURN", timedelta(0))
    action = planned(rome, window=NIGHT)
    now.is_("2026-12-05T21:00:00")
    steps = iter([None, KeyboardInterrupt])

    def killed(plan: Plan) -> None:
        if error := next(steps):
            raise error
        begin(plan)

    begin = bulk_actions.begin
    with monkeypatch.context() as patch:
        patch.setattr(bulk_actions, "begin", killed)
        with pytest.raises(KeyboardInterrupt):
            go_on()
    assert (state(plan_of(action)), Run.objects.count()) == ("Begun", 1)
    now.is_("2026-12-06T12:00:00")  # it goes on when the plan is open, and with whom was not done
    go_on()
    assert Run.objects.count() == 1
    now.is_("2026-12-06T21:00:00")
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]


# --- beside other changes ---------------------------------------------------------------------------------


def test_r18_a_change_meanwhile_starts_the_users_own_run_and_the_planned_one_changes_nothing_twice(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    anna = three[0]
    invite(anna)
    planned(rome)
    change_user(anna, ACTOR, conference_id="7654321")
    tasks.work(clock.now() + timedelta(minutes=1))
    assert [run.state for run in Run.objects.filter(user=anna)] == ["Succeeded"]
    told = Update.objects.count()
    now.is_("2026-12-05T21:00:00")
    tasks.work(clock.now() + timedelta(minutes=1))

    latest = Run.objects.filter(user=anna).latest("pk")
    assert (latest.state, latest.plan is not None, latest.succeeded_meetings) == ("Succeeded", True, 0)
    assert told == Update.objects.count() == 1


def test_r18_any_other_change_lets_a_pending_run_begin_without_its_plan(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    rome = change_tenant(rome, ACTOR, settling_time=300)
    planned(rome, "tonight 22:00", NIGHT)
    now.is_("2026-11-30T21:00:00")
    go_on()
    now.is_("2026-12-01T09:00:00")
    go_on()
    change_user(three[0], ACTOR, conference_id="7654321")
    run = Run.objects.get(user=three[0])

    assert (run.plan, run.due_at) == (None, clock.now() + timedelta(seconds=300))
    assert [reason["rule"] for reason in run.reasons] == ["R11", "R4"]
    now.is_("2026-12-01T09:05:00")
    assert claimed() == ["anna"]


def test_r18_a_planned_run_that_joins_one_that_is_pending_does_not_hold_it_up(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    rome = change_tenant(rome, ACTOR, settling_time=7200)
    planned(rome, "tonight 22:00", DailyWindow(time(22), time(23)))
    now.is_("2026-11-30T20:30:00")
    change_user(three[0], ACTOR, conference_id="7654321")
    now.is_("2026-11-30T21:00:00")
    go_on()
    run = Run.objects.get(user=three[0])
    assert (run.plan, run.due_at) == (None, datetime(2026, 11, 30, 21, tzinfo=UTC))
    now.is_("2026-11-30T22:00:00")
    go_on()
    assert claimed() == ["anna"]


def test_r28_what_had_begun_without_a_plan_is_not_held_up_by_one(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    planned(rome, "tonight 22:00", NIGHT)
    now.is_("2026-11-30T21:00:00")
    start_by_hand(rome, three[:1], ACTOR, now_due=True)
    begun = queue.claim()
    assert begun is not None
    go_on()
    queue.fail(Run.objects.get(pk=begun.pk), Failure("mailbox-unavailable"))
    now.is_("2026-12-01T05:00:00")
    go_on()
    assert claimed() == ["anna"]


# --- what people do about it ------------------------------------------------------------------------------


def test_r37_before_it_has_begun_it_can_be_changed_and_cancelled_without_a_trace(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    action = planned(rome)
    plan = plan_of(action)
    plans.change(plan, When(datetime(2026, 12, 6, 21, tzinfo=UTC), NIGHT), ACTOR)
    now.is_("2026-12-05T21:00:00")
    go_on()
    assert (state(plan), Run.objects.count()) == ("Planned", 0)
    assert plans.cancel(plan, ACTOR)
    assert not plans.cancel(plan, ACTOR)
    assert not plans.bring_forward(plan, ACTOR)
    with pytest.raises(ValidationError, match="It has begun or has ended"):
        plans.change(plan, When(clock.now()), ACTOR)
    now.is_("2026-12-06T21:00:00")
    go_on()
    action.refresh_from_db()

    assert (state(plan), plan.cancelled_by, action.state, Run.objects.count()) == (
        "Cancelled",
        ACTOR.name,
        "Stopped",
        0,
    )
    changed = AuditEntry.objects.get(action="change planned start")
    assert (changed.target, changed.before) == ("start for 3 users", {"earliest start": "2026-12-05T21:00+00:00"})
    assert changed.after == {"earliest start": "2026-12-06T21:00+00:00", "between": "22:00–06:00"}
    assert AuditEntry.objects.filter(action="cancel planned start").count() == 1


def test_stopping_the_job_cancels_its_plan(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    action = planned(rome)
    assert bulk_actions.stop(action, ACTOR)
    assert state(plan_of(action)) == "Cancelled"


def test_r37_once_begun_it_takes_back_runs_that_were_only_started_and_have_not_begun(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT))
    now.is_("2026-11-30T21:00:00")
    go_on()
    first = queue.claim()
    assert first is not None
    queue.fail(first, Failure("mailbox-unavailable"))
    now.is_("2026-12-01T09:00:00")
    go_on()
    change_user(three[2], ACTOR, conference_id="7654321")
    assert plans.cancel(plan, ACTOR)
    now.is_("2026-12-01T21:00:00")
    go_on()

    assert claimed() == ["anna", "clara"]  # one that had begun, and one that somebody else has asked for since
    taken_back = Run.objects.get(user=three[1])
    assert (taken_back.state, taken_back.last_error_code, taken_back.is_accepted) == ("Failed", "plan-cancelled", True)
    assert state(plan) == "Begun"  # what had begun, and is to be tried again, needs its window
    go_on()
    assert (state(plan), plan.cancelled_by) == ("Cancelled", ACTOR.name)


def test_r37_a_run_that_two_plans_have_asked_for_is_lost_by_cancelling_neither(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    first, second = (plan_of(planned(rome, "tonight 22:00", NIGHT)) for _ in range(2))
    now.is_("2026-11-30T21:00:00")
    go_on()
    go_on()
    joined = Plan.objects.get(runs__user=three[0])
    other = first if joined == second else second
    assert plans.cancel(joined, ACTOR)

    assert set(Run.objects.values_list("plan", "state")) == {(other.pk, "Pending")}
    assert state(joined) == "Cancelled"
    assert plans.cancel(other, ACTOR)
    go_on()
    assert claimed() == []


def test_r37_once_users_were_moved_their_runs_follow_all_the_same(
    now: Time, rome: Tenant, three: list[ConferencingUser], new_bridge: Bridge, wakes: list[Any]
) -> None:
    options = {"bridge": new_bridge.pk, "bridge_name": new_bridge.name}
    plan = plan_of(planned(rome, "tonight 22:00", NIGHT, kind=MOVE, options=options))
    now.is_("2026-11-30T21:00:00")
    go_on()
    assert not plans.cancel(plan, ACTOR)
    assert claimed() == ["anna", "bruno", "clara"]


def test_r19_a_planned_job_and_a_planned_run_can_be_brought_forward(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    first = plan_of(planned(rome, window=NIGHT))
    assert plans.bring_forward(first, ACTOR)
    go_on()
    assert claimed() == ["anna", "bruno", "clara"]
    planned(rome, "tonight 22:00", NIGHT)
    now.is_("2026-11-30T21:00:00")
    go_on()
    now.is_("2026-12-01T09:00:00")
    go_on()
    assert make_due_now(Run.objects.get(user=three[0], state="Pending"), ACTOR)
    assert claimed() == ["anna"]


def test_r30_plans_are_pruned_together_with_what_was_planned(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    over, done, ahead = (plan_of(planned(rome, typed)) for typed in ("Saturday 22:00", "tonight 22:00", "Friday 22:00"))
    plans.cancel(over, ACTOR)
    now.is_("2026-11-30T21:00:00")
    go_on()
    claimed()
    Run.objects.update(state="Succeeded", finished_at=clock.now())
    go_on()
    assert Plan.objects.get(pk=done.pk).state == "Done"
    assert set(Run.objects.values_list("plan", flat=True)) == {done.pk}

    prune(clock.now() + timedelta(days=1))
    assert list(Plan.objects.all()) == [ahead]
    assert [action.plan for action in BulkAction.objects.all()] == [ahead]
    assert list(Run.objects.values_list("plan", "is_latest")) == [(None, True)] * 3


def test_r30_what_is_planned_is_kept_as_long_as_its_plan_is_open(
    now: Time, rome: Tenant, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    plan = plan_of(planned(rome, "tonight 22:00"))
    now.is_("2026-11-30T21:00:00")
    go_on()
    assert BulkAction.objects.get().state == "Done"
    prune(clock.now() + timedelta(days=1))
    assert plans.cancel(plan, ACTOR)


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"not_before": "yesterday"}, "not_before", "“yesterday” is not a time"),
        ({"not_before": "2026-11-29T22:00"}, "not_before", "is past: choose a time to come."),
        ({"not_before": "2027-03-28T02:30"}, "not_before", "because the clocks go forward then"),
        ({"window_from": "22:00"}, "window_from", "A daily window needs two times"),
        ({"window_from": "22:00", "window_to": "10 pm"}, "window_from", "From 22:00 to 10 pm no time passes"),
        ({"window_from": "22:00", "window_to": "later"}, "window_from", "“later” is not a time of the day"),
    ],
)
def test_r37_what_cannot_be_is_refused_at_its_field(
    rome: Tenant, typed: dict[str, str], field: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        read_when(rome, typed)

    assert list(refused.value.message_dict) == [field]
    assert sentence in refused.value.message_dict[field][0]


def test_the_database_takes_no_window_without_length(now: Time, rome: Tenant) -> None:
    for window in ((time(22), time(22)), (time(22), None), (None, time(6))):
        with pytest.raises(IntegrityError), transaction.atomic():
            Plan.objects.create(
                tenant=rome, not_before=clock.now(), opens_at=clock.now(), window_from=window[0], window_to=window[1]
            )


# --- a number on its way off a bridge ---------------------------------------------------------------------


@pytest.fixture
def numbers(rome: Tenant, three: list[ConferencingUser], old_bridge: Bridge) -> tuple[ServiceNumber, ServiceNumber]:
    old, new = (register_number(old_bridge, e164, "toll", ACTOR) for e164 in ("+14255550122", "+14255550133"))
    change_user(three[0], ACTOR, toll_number=old)
    Run.objects.update(state="Succeeded")
    return old, new


def test_r37_a_number_procedure_waits_for_its_time_and_its_runs_for_the_window(
    now: Time, rome: Tenant, numbers: tuple[ServiceNumber, ServiceNumber], wakes: list[Any]
) -> None:
    when = read_when(rome, {"not_before": "Saturday 22:00", "window_from": "22:00", "window_to": "23:00"})
    release = number_release.start_release(*numbers, ACTOR, when=when)
    go_on()
    release.refresh_from_db()
    assert (release.state, release.due_at) == ("Waiting", datetime(2026, 12, 5, 21, tzinfo=UTC))
    assert number_release.settles_at() is None
    now.is_("2026-12-05T22:00:00")  # one hour late, so it waits for the next evening
    go_on()
    release.refresh_from_db()
    assert (release.state, release.due_at) == ("Waiting", datetime(2026, 12, 6, 21, tzinfo=UTC))
    now.is_("2026-12-06T21:30:00")
    go_on()
    release.refresh_from_db()
    assert (release.state, state(plan_of(release))) == ("Updating", "Begun")
    now.is_("2026-12-06T22:30:00")
    go_on()
    assert claimed() == []
    now.is_("2026-12-07T21:30:00")
    tasks.work(clock.now() + timedelta(minutes=1))
    tasks.work(clock.now() + timedelta(minutes=1))
    release.refresh_from_db()
    assert (release.state, state(plan_of(release))) == ("Released", "Done")
    begun = AuditEntry.objects.get(action="take number off")
    assert (begun.after["earliest start"], begun.after["between"]) == ("2026-12-05T21:00+00:00", "22:00–23:00")


def test_r37_a_planned_number_procedure_can_be_cancelled_or_begun_now(
    now: Time, rome: Tenant, numbers: tuple[ServiceNumber, ServiceNumber], wakes: list[Any]
) -> None:
    when = When(datetime(2026, 12, 5, 21, tzinfo=UTC), NIGHT)
    first = number_release.start_release(*numbers, ACTOR, when=when)
    assert plans.cancel(plan_of(first), ACTOR)
    first.refresh_from_db()
    assert (first.state, state(plan_of(first))) == ("Cancelled", "Cancelled")
    second = number_release.start_release(*numbers, ACTOR, when=when)
    plans.change(plan_of(second), When(datetime(2026, 12, 4, 21, tzinfo=UTC)), ACTOR)
    second.refresh_from_db()
    assert second.due_at == datetime(2026, 12, 4, 21, tzinfo=UTC)
    assert number_release.begin_now(second, ACTOR)
    go_on()
    assert claimed() == ["anna"]
