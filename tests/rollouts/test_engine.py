"""A wave going on by itself: batches, windows, gates, stops, resumes, retries, and every place where it may be cut off
(R77 to R80)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Outcome, Rollout, RolloutCheck, RolloutEvent, Run, Wave, WaveMember
from migrations_app.monitoring import clock as database_clock
from migrations_app.rollouts import engine, forward, movers, moving, steering
from migrations_app.runs import queue
from migrations_app.targets import UNDO
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]
State, Member = Wave.State, WaveMember.State


@pytest.fixture
def begun(tenant: Tenant, new_bridge: Bridge, make_users: MakeUsers) -> Callable[..., Wave]:
    """A started wave of so many users, whose move to the new deployment brings another bridge, and so a run each."""

    def make(number: int = 3, *, mover: str = "record", is_started: bool = True, **values: Any) -> Wave:
        legacy = a_deployment(tenant)
        new = a_deployment(tenant, "new", mover=mover, mover_command="move" if mover == "command" else "")
        users = make_users({f"user{n:02}": {} for n in range(number)})
        belong_to(legacy, users)
        of_rollout = {name: values.pop(name) for name in list(values) if hasattr(Rollout, name) and name != "batches"}
        rollout = a_rollout(tenant, legacy, new)
        Rollout.objects.filter(pk=rollout.pk).update(default_bridge=new_bridge, **of_rollout)
        RolloutCheck.objects.all().delete()
        wave = a_wave(rollout, 1, **{"batches": [1, 2], "observe_days": 1, **values})
        members(wave, ConferencingUser.objects.order_by("pk"))
        return steering.start(wave, ACTOR) if is_started else wave

    return make


def go_on(times: int = 100) -> None:
    """Let the main loop take steps until none is due."""
    for _ in range(times):
        if not engine.advance(timezone.now() + timedelta(minutes=5)):
            return
    raise AssertionError("it goes on for ever")


def run_ends(state: str = Run.State.SUCCEEDED, *upns: str) -> int:
    """The pending runs, all or of those users, end so; how many there were."""
    runs = Run.objects.filter(state=Run.State.PENDING)
    runs = runs.filter(user__upn__in=[f"{upn}@contoso.com" for upn in upns]) if upns else runs
    code = "mailbox-unavailable" if state == Run.State.FAILED else ""
    return runs.update(state=state, finished_at=timezone.now(), last_error_code=code, attempts=1)


def states(wave: Wave) -> list[str]:
    return list(wave.members.order_by("pk").values_list("state", flat=True))


def state(wave: Wave) -> str:
    wave.refresh_from_db()
    return wave.state


def happened(wave: Wave) -> list[str]:
    return list(wave.events.order_by("pk").values_list("kind", flat=True))


def look(wave: Wave) -> None:
    """Its time has come."""
    Wave.objects.filter(pk=wave.pk, next_look_at__isnull=False).update(next_look_at=timezone.now())
    go_on()


# --- batch by batch (R77) ---------------------------------------------------------------------------------


def test_r77_a_wave_goes_from_batch_to_batch_until_all_have_ended(begun: Callable[..., Wave]) -> None:
    wave = begun(6)
    assert (wave.state, states(wave)) == (State.RUNNING, ["Waiting"] * 6)
    go_on()
    assert states(wave) == ["Updating"] + ["Waiting"] * 5
    moved = wave.members.get(state=Member.UPDATING)
    assert (moved.batch, moved.attempts, moved.user.deployment) == (1, 1, wave.rollout.new)
    assert moved.run == Run.objects.get()
    assert moved.decision.startswith("Run, because")
    go_on()
    assert states(wave).count("Updating") == 1, "the next batch waits until every run of the last has ended"

    run_ends()
    go_on()
    assert states(wave) == ["Done", "Updating", "Updating", "Waiting", "Waiting", "Waiting"]
    run_ends(Run.State.SUCCEEDED, "user01")
    go_on()
    assert states(wave)[3:] == ["Waiting"] * 3
    run_ends()
    go_on()
    assert states(wave) == ["Done"] * 3 + ["Updating"] * 2 + ["Waiting"], "the last size repeats"
    run_ends()
    go_on()
    run_ends()
    go_on()
    assert states(wave) == ["Done"] * 6
    assert state(wave) == State.OBSERVING
    assert happened(wave) == ["started", "batch", "batch", "batch", "batch", "moved"]
    assert Run.objects.count() == 6


def test_r77_who_needs_no_run_is_done_at_once(begun: Callable[..., Wave]) -> None:
    wave = begun(3)
    belong_to(wave.rollout.new, ConferencingUser.objects.all())
    go_on()
    assert states(wave) == ["Done"] * 3
    assert not Run.objects.exists()
    assert {member.decision[:6] for member in wave.members.all()} == {"No run"}


def test_r77_starting_answers_at_once_whatever_the_size(begun: Callable[..., Wave], make_users: MakeUsers) -> None:
    wave = begun(2, is_started=False)
    with transaction.atomic(), CaptureQueriesContext(connection) as few:
        steering.start(wave, ACTOR)
        transaction.set_rollback(True)
    more = make_users({f"more{n:02}": {} for n in range(40)})
    belong_to(wave.rollout.legacy, more)
    members(wave, more)
    with transaction.atomic(), CaptureQueriesContext(connection) as many:
        steering.start(wave, ACTOR)
    assert len(many) == len(few)


def test_r77_a_batch_asks_the_database_as_much_for_many_as_for_few(begun: Callable[..., Wave]) -> None:
    wave = begun(36, batches=[3, 30])
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            go_on()
        counts.append(len(asked))
        run_ends()
    assert states(wave).count("Updating") + states(wave).count("Done") == 33
    assert counts[1] <= counts[0] + 2, "a batch of 30 asks as much as one of 3"


def test_r77_batches_begin_only_within_the_window_and_not_before_the_earliest_start(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_clock, "now", timezone.now)  # a database server does not travel
    with time_machine.travel(datetime(2030, 3, 4, 12, 0, tzinfo=UTC), tick=False) as clock:
        wave = begun(
            3,
            not_before=datetime(2030, 3, 4, 15, 0, tzinfo=UTC),
            window_from=time(22, 0),
            window_to=time(2, 0),
            time_zone="Europe/Rome",
        )
        go_on()
        wave.refresh_from_db()
        assert wave.next_look_at == datetime(2030, 3, 4, 21, 0, tzinfo=UTC)
        assert states(wave) == ["Waiting"] * 3
        clock.move_to(datetime(2030, 3, 4, 21, 0, tzinfo=UTC))
        go_on()
        assert states(wave) == ["Updating", "Waiting", "Waiting"]
        clock.move_to(datetime(2030, 3, 5, 1, 30, tzinfo=UTC))
        run_ends()
        go_on()
        assert states(wave) == ["Done", "Waiting", "Waiting"], "the window has closed meanwhile"
        clock.move_to(datetime(2030, 3, 5, 21, 0, tzinfo=UTC))
        go_on()
        assert states(wave) == ["Done", "Updating", "Updating"]


def test_r75_a_closed_gate_refuses_the_start_and_holds_the_next_batch(begun: Callable[..., Wave]) -> None:
    wave = begun(3, is_started=False)
    check = RolloutCheck.objects.create(
        rollout=wave.rollout, wave=wave, name="Backup taken", scope="legacy", kind="manual"
    )
    with pytest.raises(ValidationError, match="Backup taken"):
        steering.start(wave, ACTOR)
    assert state(wave) == State.DRAFT
    RolloutCheck.objects.update(is_advisory=True)
    steering.start(wave, ACTOR)
    go_on()
    RolloutCheck.objects.update(is_advisory=False)
    run_ends()
    go_on()
    assert states(wave) == ["Done", "Waiting", "Waiting"]
    assert state(wave) == State.RUNNING
    check.answers.create(by="alice", answer="yes")
    look(wave)
    assert states(wave) == ["Done", "Updating", "Updating"]


def test_r12_nobody_is_moved_while_the_service_is_off(begun: Callable[..., Wave], tenant: Tenant) -> None:
    wave = begun(3)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    go_on()
    assert states(wave) == ["Waiting"] * 3
    change_tenant(tenant, ACTOR, meeting_migration_enabled=True)
    look(wave)
    assert states(wave)[0] == "Updating"


@pytest.mark.parametrize(
    ("arrange", "why"),
    [
        (lambda wave: steering.start(wave, ACTOR), "was started already"),
        (lambda wave: wave.members.all().delete(), "Nobody is in wave"),
        (lambda wave: Rollout.objects.update(finished_at=timezone.now()), "has ended"),
        (lambda wave: Tenant.objects.update(meeting_migration_enabled=False), "switched off"),
        (
            lambda wave: Deployment.objects.filter(role="new").update(retired_at=timezone.now(), retired_by="x"),
            "is retired",
        ),
    ],
)
def test_r77_a_start_is_refused_with_a_sentence(
    begun: Callable[..., Wave], arrange: Callable[[Wave], object], why: str
) -> None:
    wave = begun(2, is_started=False)
    arrange(wave)
    with pytest.raises(ValidationError, match=why):
        steering.start(Wave.objects.select_related("rollout__tenant").get(pk=wave.pk), ACTOR)


def test_r77_waves_start_in_their_order_one_at_a_time(begun: Callable[..., Wave]) -> None:
    wave = begun(2, is_started=False)
    second = a_wave(wave.rollout, 2)
    with pytest.raises(ValidationError, match="comes before"):
        steering.start(second, ACTOR)
    steering.start(wave, ACTOR)
    with pytest.raises(ValidationError, match="one wave moves at a time"):
        steering.start(second, ACTOR)


# --- stopping and resuming (R78, R79) ---------------------------------------------------------------------


def test_r78_a_first_batch_of_one_that_fails_stops_the_wave_once(begun: Callable[..., Wave]) -> None:
    wave = begun(4)
    go_on()
    run_ends(Run.State.FAILED)
    go_on()
    look(wave)
    look(wave)
    assert state(wave) == State.STOPPED
    assert wave.stop_reason == "The only member of the batch has failed."
    assert happened(wave).count("stopped") == 1
    assert states(wave) == ["Failed"] + ["Waiting"] * 3
    assert "mailbox" in wave.members.get(state=Member.FAILED).failure


def test_r79_resuming_needs_a_reason_and_counts_anew(begun: Callable[..., Wave]) -> None:
    wave = begun(6, batches=[1, 4, 1], max_failed_in_a_row=2, max_failed_percent=100)
    go_on()
    run_ends(Run.State.FAILED)
    go_on()
    assert state(wave) == State.STOPPED
    with pytest.raises(ValidationError, match="give the reason"):
        steering.resume(wave, ACTOR, "  ")
    assert state(wave) == State.STOPPED

    steering.resume(wave, ACTOR, "The mail server was down, and is up.")
    assert state(wave) == State.RUNNING
    go_on()
    assert state(wave) == State.RUNNING
    run_ends(Run.State.FAILED, "user01")
    go_on()
    assert state(wave) == State.RUNNING, "one in a row since the wave was resumed"
    run_ends(Run.State.FAILED, "user02")
    go_on()
    assert state(wave) == State.STOPPED
    assert wave.stop_reason == "2 members have failed one after another."
    events = list(wave.events.filter(kind="resumed").values_list("reason", "by"))
    assert events == [("The mail server was down, and is up.", "test")]
    assert AuditEntry.objects.filter(action="resume wave").get().after["reason"].startswith("The mail server")


def test_r79_a_stopped_wave_moves_nobody_and_its_runs_go_on(begun: Callable[..., Wave]) -> None:
    wave = begun(8, batches=[4, 4], max_failed_in_a_row=1, max_failed_percent=100)
    go_on()
    run_ends(Run.State.FAILED, "user00")
    go_on()
    assert state(wave) == State.STOPPED
    assert states(wave) == ["Failed"] + ["Updating"] * 3 + ["Waiting"] * 4
    run_ends()
    go_on()
    look(wave)
    assert states(wave) == ["Failed"] + ["Done"] * 3 + ["Waiting"] * 4


def test_r79_a_paused_wave_moves_nobody_until_it_is_resumed(begun: Callable[..., Wave]) -> None:
    wave = begun(3)
    go_on()
    steering.pause(wave, ACTOR)
    run_ends()
    look(wave)
    assert states(wave) == ["Done", "Waiting", "Waiting"]
    steering.resume(wave, ACTOR)
    go_on()
    assert states(wave) == ["Done", "Updating", "Updating"]
    assert happened(wave) == ["started", "batch", "paused", "resumed", "batch"]


def test_r78_a_run_that_is_tried_again_is_no_failure_yet(begun: Callable[..., Wave]) -> None:
    wave = begun(2)
    go_on()
    Run.objects.update(attempts=3, last_error_code="mailbox-unavailable", due_at=timezone.now() + timedelta(hours=2))
    look(wave)
    assert (state(wave), states(wave)) == (State.RUNNING, ["Updating", "Waiting"])


def test_r78_a_later_run_takes_the_place_of_the_first(begun: Callable[..., Wave], tenant: Tenant) -> None:
    wave = begun(2)
    go_on()
    first = Run.objects.get()
    Run.objects.update(state=Run.State.FAILED, last_error_code="newer-run", is_latest=False, finished_at=timezone.now())
    first.pk, first.correlation_id = None, "c0ffee00-0000-4000-8000-000000000000"
    first.state, first.is_latest, first.last_error_code = Run.State.PENDING, True, ""
    first.save()
    go_on()
    assert (state(wave), states(wave)) == (State.RUNNING, ["Updating", "Waiting"])
    run_ends()
    go_on()
    assert wave.members.get(state=Member.DONE).run == Run.objects.get(is_latest=True, state="Succeeded")


def test_r78_a_move_that_is_refused_fails_its_member_alone(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = begun(5, batches=[5], max_failed_percent=100)
    _refuse(monkeypatch, wave, "user02")
    go_on()
    assert states(wave) == ["Updating", "Updating", "Failed", "Updating", "Updating"]
    failed = wave.members.get(state=Member.FAILED)
    assert (failed.failure, failed.run, failed.moved_at) == ("No such thing.", None, None)
    assert failed.user.deployment == wave.rollout.legacy


def test_r78_moves_that_are_refused_one_after_the_other_stop_the_wave_in_mid_batch(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = begun(6, batches=[6], max_failed_percent=100)
    _refuse(monkeypatch, wave, "user00", "user01", "user02", "user03", "user04", "user05")
    go_on()
    assert states(wave) == ["Failed"] * 3 + ["Waiting"] * 3
    assert state(wave) == State.STOPPED


def _refuse(monkeypatch: pytest.MonkeyPatch, wave: Wave, *names: str) -> None:
    """Moving these users is refused."""
    change = forward.change

    def refusing(wave: Wave, these: Any, *others: Any) -> None:
        if any(member.user.upn.partition("@")[0] in names for member in these):
            raise ValidationError("No such thing.")
        change(wave, these, *others)

    monkeypatch.setattr(forward, "change", refusing)


def test_r78_a_check_that_fails_twice_stops_the_wave(begun: Callable[..., Wave]) -> None:
    wave = begun(3)
    check = RolloutCheck.objects.create(rollout=wave.rollout, wave=wave, name="SIP of the new side", kind="sip")
    go_on()
    for times in (1, 2):
        result = check.results.create(outcome=Outcome.FAILED, sentence="No answer.")
        RolloutCheck.objects.filter(pk=check.pk).update(failed_in_a_row=times, last_result=result)
        look(wave)
        assert state(wave) == (State.RUNNING if times == 1 else State.STOPPED)
    assert wave.stop_reason.startswith("The check SIP of the new side has failed twice")
    steering.resume(wave, ACTOR, "It is a known fault of the probe.")
    look(wave)
    assert state(wave) == State.RUNNING, "what was found before it was resumed counts no more"


# --- movers (R63) -----------------------------------------------------------------------------------------


def test_r63_a_program_is_called_for_one_user_after_the_other(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, bool]] = []

    def ask(deployment: Deployment, upn: str) -> movers.Moved:
        called.append((upn.partition("@")[0], connection.in_atomic_block and len(connection.savepoint_ids) > 0))
        return movers.RECORDED

    monkeypatch.setattr(movers, "ask", ask)
    wave = begun(3, mover="command", batches=[3])
    go_on()
    assert called == [("user00", False), ("user01", False), ("user02", False)]
    assert states(wave) == ["Updating"] * 3
    assert set(wave.members.values_list("attempts", flat=True)) == {1}


def test_r63_who_could_not_be_moved_fails_and_gets_no_run(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = movers.Moved(movers.State.FAILED, movers.WAITS.sentence)
    monkeypatch.setattr(movers, "ask", lambda deployment, upn: refused)
    wave = begun(3, mover="command", batches=[3])
    go_on()
    assert state(wave) == State.STOPPED
    assert not Run.objects.exists()
    assert states(wave) == ["Failed"] * 3


def test_r80_a_worker_killed_while_the_program_ran_loses_nobody(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(deployment: Deployment, upn: str) -> movers.Moved:
        raise Killed

    wave = begun(2, mover="command")
    monkeypatch.setattr(movers, "ask", dies)
    with pytest.raises(Killed):
        go_on()
    assert states(wave) == ["Moving", "Waiting"]
    monkeypatch.setattr(movers, "ask", lambda deployment, upn: movers.RECORDED)
    look(wave)
    assert states(wave) == ["Moving", "Waiting"], "as long as the program may be running, nobody calls it again"
    WaveMember.objects.filter(state="Moving").update(asked_at=timezone.now() - moving.LEASE - timedelta(seconds=1))
    look(wave)
    assert states(wave) == ["Updating", "Waiting"]
    assert wave.members.get(state="Updating").attempts == 2
    assert Run.objects.count() == 1


def test_r63_with_a_list_members_wait_until_somebody_confirms(begun: Callable[..., Wave]) -> None:
    wave = begun(3, mover="list", batches=[2, 1])
    go_on()
    assert states(wave) == ["Moving", "Moving", "Waiting"]
    look(wave)
    assert set(wave.members.filter(state="Moving").values_list("attempts", flat=True)) == {1}
    first, second = wave.members.filter(state="Moving")
    refused = movers.Moved(movers.State.FAILED, movers.WAITS.sentence)
    assert moving.note_answers(wave, {first.user_id: movers.CONFIRMED, second.user_id: refused}) == 2
    assert states(wave) == ["Updating", "Failed", "Waiting"]
    assert moving.note_answers(wave, {first.user_id: movers.CONFIRMED}) == 0, "nobody is moved twice"
    assert Run.objects.count() == 1


# --- one member alone (R80) -------------------------------------------------------------------------------


def test_r80_a_failed_run_is_started_again_alone(begun: Callable[..., Wave]) -> None:
    wave = begun(3)
    go_on()
    run_ends(Run.State.FAILED)
    go_on()
    failed = wave.members.get(state="Failed")
    steering.retry(failed, ACTOR)
    assert states(wave) == ["Updating", "Waiting", "Waiting"]
    assert state(wave) == State.STOPPED
    assert Run.objects.count() == 2
    run_ends()
    go_on()
    assert states(wave) == ["Done", "Waiting", "Waiting"]
    with pytest.raises(ValidationError, match="has not failed"):
        steering.retry(wave.members.get(state="Done"), ACTOR)


def test_r80_a_refused_move_is_tried_again_alone(begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch) -> None:
    wave = begun(3)
    with monkeypatch.context() as patched:
        _refuse(patched, wave, "user00")
        go_on()
    assert (state(wave), states(wave)) == (State.STOPPED, ["Failed", "Waiting", "Waiting"])
    steering.retry(wave.members.get(state="Failed"), ACTOR)
    assert states(wave) == ["Updating", "Waiting", "Waiting"]
    assert state(wave) == State.STOPPED


def test_r80_who_failed_and_was_helped_by_hand_is_done(begun: Callable[..., Wave], tenant: Tenant) -> None:
    wave = begun(2)
    go_on()
    run_ends(Run.State.FAILED)
    go_on()
    member = wave.members.get(state="Failed")
    queue.request_runs(tenant, [queue.RunRequest(member.user, [])], "alice")
    look(wave)
    assert states(wave)[0] == "Updating"
    run_ends()
    look(wave)
    assert states(wave)[0] == "Done"


@pytest.mark.parametrize(("first", "undo"), [("Failed", "Succeeded"), ("Succeeded", "Failed")])
def test_r80_an_undo_by_hand_makes_nobody_done_nor_failed(
    begun: Callable[..., Wave], tenant: Tenant, first: str, undo: str
) -> None:
    wave = begun(2)
    go_on()
    run_ends(first)
    go_on()
    member = wave.members.filter(batch=1).get()
    before, run = member.state, member.run_id
    Run.objects.filter(user=member.user).update(is_latest=False)
    Run.objects.create(
        tenant=tenant,
        user=member.user,
        state=undo,
        migration_type=UNDO,
        undoes=member.run,
        due_at=timezone.now(),
        finished_at=timezone.now(),
    )
    look(wave)
    member.refresh_from_db()
    assert (member.state, member.run_id) == (before, run)
    assert before == ("Failed" if first == "Failed" else "Done")


# --- the pilot period (R81) -------------------------------------------------------------------------------


def test_r81_after_its_last_member_it_is_observed_and_then_offered(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_clock, "now", timezone.now)  # a database server does not travel
    with time_machine.travel(datetime(2030, 3, 4, 12, 0, tzinfo=UTC), tick=False) as clock:
        wave = begun(1, observe_days=7)
        go_on()
        run_ends()
        go_on()
        assert (state(wave), wave.offered_at) == (State.OBSERVING, None)
        assert wave.observed_until == datetime(2030, 3, 11, 12, 0, tzinfo=UTC)
        clock.move_to(datetime(2030, 3, 11, 11, 59, tzinfo=UTC))
        look(wave)
        assert "offered" not in happened(wave)
        clock.move_to(datetime(2030, 3, 11, 12, 0, tzinfo=UTC))
        look(wave)
        look(wave)
        assert happened(wave) == ["started", "batch", "moved", "offered"]


def test_r81_a_run_that_fails_while_it_is_observed_counts(begun: Callable[..., Wave], tenant: Tenant) -> None:
    wave = begun(1)
    go_on()
    run_ends()
    go_on()
    assert state(wave) == State.OBSERVING
    queue.request_runs(tenant, [queue.RunRequest(wave.members.get().user, [])], "alice")
    run_ends(Run.State.FAILED)
    look(wave)
    assert states(wave) == ["Failed"]
    assert state(wave) == State.STOPPED
    steering.resume(wave, ACTOR, "Looked at it with the organizer.")
    go_on()
    assert state(wave) == State.OBSERVING
    assert happened(wave).count("moved") == 1


# --- cut off anywhere (R80) -------------------------------------------------------------------------------


def test_r80_wherever_a_step_is_cut_off_the_next_worker_goes_on(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step fails at its end first, is taken back, and taken again: as of a worker that was killed."""
    wave = begun(5, batches=[2])
    inner, cut = engine._next, []

    def cut_off(wave: Wave, now: datetime) -> Any:
        answer = inner(wave, now)
        cut.append(1)
        if len(cut) % 2:
            raise RuntimeError("killed")
        return answer

    monkeypatch.setattr(engine, "_next", cut_off)
    for _ in range(200):
        Wave.objects.filter(pk=wave.pk).update(next_look_at=timezone.now())
        engine.advance(timezone.now() + timedelta(minutes=5))
        if states(wave).count("Updating") and len(cut) % 6 == 0:
            run_ends()
        if state(wave) == State.OBSERVING:
            break
    assert states(wave) == ["Done"] * 5
    assert Run.objects.count() == 5
    assert AuditEntry.objects.filter(action="change user").count() == 5
    assert set(wave.members.values_list("attempts", flat=True)) == {1}
    assert RolloutEvent.objects.filter(wave=wave, kind="batch").count() == 3
