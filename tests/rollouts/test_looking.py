"""Looks of checks: in the background, by a lease, a few at a time, and killed at any point (R69)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app import registry
from migrations_app.models import CheckResult, RolloutCheck, Wave
from migrations_app.rollouts import looking
from migrations_app.rollouts.gates import gate_of
from migrations_app.rollouts.probes import answers as probe_answers
from migrations_app.runs.pruning import prune
from tenants_app.models import AuditEntry, Tenant
from tests.support.checks import ALICE, BOB, FAILED, INCONCLUSIVE, PASSED, a_check, finds, says, without_checks
from tests.support.clock import Clock, clock
from tests.support.rollouts import a_rollout, a_wave

Probe = Callable[..., probe_answers.Answer]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with clock(monkeypatch) as now:
        yield now


@pytest.fixture(autouse=True)
def under_way(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The looks of this test's worker only."""
    fresh = looking._UnderWay()
    monkeypatch.setattr(looking, "_UNDER_WAY", fresh)
    return fresh


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    without_checks(a_rollout(tenant))
    return a_wave(Wave.objects.get(position=1).rollout)


def answers(outcome: str, said: str = "Measured.", output: str = "") -> Probe:
    """A probe that finds this at once."""
    return lambda *args, **kwargs: probe_answers.Answer(probe_answers.Outcome(outcome), said, 0.25, output)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Probe], None]:
    """Says what probes find."""
    return lambda probe: monkeypatch.setattr(looking, "measure", probe)


class Held:
    """A probe that goes on until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Semaphore(0)

    def __call__(self, *args: Any, **kwargs: Any) -> probe_answers.Answer:
        self.began.release()
        assert self.go.wait(60)
        return answers("Passed")()


@pytest.fixture
def held(probes: Callable[[Probe], None]) -> Iterator[Held]:
    probe = Held()
    probes(probe)
    yield probe
    probe.go.set()


def due(check: RolloutCheck) -> RolloutCheck:
    RolloutCheck.objects.filter(pk=check.pk).update(due_at=timezone.now())
    return check


def work() -> None:
    """As the main loop does it, until all looks have come to their end."""
    until = timezone.now() + timedelta(minutes=1)
    while looking.advance(until):
        pass


def results(check: RolloutCheck) -> list[tuple[str, str]]:
    return list(check.results.order_by("pk").values_list("outcome", "by"))


# --- in the background --------------------------------------------------------------------------------


def test_it_is_a_procedure_that_goes_on_beside_runs() -> None:
    assert looking in registry.PROCEDURES
    assert looking.IS_WAITED_FOR


def test_what_is_due_is_looked_at_and_is_due_again_after_its_interval(
    time: Clock, wave: Wave, probes: Callable[[Probe], None]
) -> None:
    probes(answers("Passed", "Connected.", "all\nof it"))
    check = due(a_check(wave, interval=120))
    assert looking.is_due(timezone.now())
    work()
    (result,) = check.results.all()
    assert (result.outcome, result.sentence, result.seconds, result.by) == ("Passed", "Connected.", 0.25, "")
    assert (result.output, result.at) == ("all\nof it", timezone.now())
    check.refresh_from_db()
    assert check.due_at == timezone.now() + timedelta(seconds=120)
    assert check.lease_token is None
    assert check.last_result == result
    assert not looking.is_due(timezone.now())
    assert gate_of(wave).is_open
    work()
    assert check.results.count() == 1
    time.passes(120)
    work()
    assert check.results.count() == 2, "every result is kept"


def test_what_breaks_off_is_inconclusive(time: Clock, wave: Wave, probes: Callable[[Probe], None]) -> None:
    def breaks(*args: Any, **kwargs: Any) -> probe_answers.Answer:
        raise RuntimeError("a defect")

    probes(breaks)
    check = due(a_check(wave))
    work()
    assert results(check) == [("Inconclusive", "")]


def test_a_check_that_is_not_described_in_full_is_inconclusive_and_says_so(time: Clock, wave: Wave) -> None:
    check = due(a_check(wave, parameters={"host": "meet.contoso.com"}))
    work()
    (result,) = check.results.all()
    assert result.outcome == INCONCLUSIVE
    assert "port: " in result.sentence


def test_records_that_nobody_has_named_are_inconclusive(time: Clock, wave: Wave) -> None:
    check = due(a_check(wave, "dns", parameters={"name": "meet.contoso.com", "type": "A"}))
    work()
    (result,) = check.results.all()
    assert result.outcome == INCONCLUSIVE
    assert "which records are expected" in result.sentence


@pytest.mark.parametrize("state", ["Draft", "Running", "Stopped", "Observing", "RollingBack"])
def test_checks_go_on_until_the_wave_has_ended(
    time: Clock, wave: Wave, probes: Callable[[Probe], None], state: str
) -> None:
    probes(answers("Passed"))
    check = due(a_check(a_wave(wave.rollout, state=state)))
    work()
    assert results(check) == [("Passed", "")]


def ended(wave: Wave) -> None:
    a_wave(wave.rollout, state=Wave.State.COMPLETED)


def rolled_back(wave: Wave) -> None:
    a_wave(wave.rollout, state=Wave.State.ROLLED_BACK)


def finished(wave: Wave) -> None:
    wave.rollout.finished_at = timezone.now()
    wave.rollout.save()


def retired(wave: Wave) -> None:
    wave.rollout.legacy.retired_at, wave.rollout.legacy.retired_by = timezone.now(), "alice"
    wave.rollout.legacy.save()


def switched_off(wave: Wave) -> None:
    wave.rollout.tenant.meeting_migration_enabled = False
    wave.rollout.tenant.save()


@pytest.mark.parametrize("what", [ended, rolled_back, finished, retired, switched_off])
def test_checks_stop(time: Clock, wave: Wave, probes: Callable[[Probe], None], what: Callable[[Wave], None]) -> None:
    probes(answers("Passed"))
    check = due(a_check(wave))
    what(wave)
    assert not looking.is_due(timezone.now())
    work()
    assert not check.results.exists()


def test_an_answer_that_becomes_too_old_closes_the_gate_and_somebody_is_told(time: Clock, wave: Wave) -> None:
    check = a_check(wave, "manual", valid_for=3600)
    says(check)
    assert not looking.is_due(timezone.now())
    time.passes(3601)
    work()
    assert wave.rollout.events.filter(kind="gate-closed").count() == 1
    assert not looking.is_due(timezone.now())
    assert not check.results.exists()


def test_the_first_of_two_answers_that_becomes_too_old_counts_no_more(time: Clock, wave: Wave) -> None:
    check = a_check(wave, "manual", valid_for=3600, needs_second_account=True)
    says(check)
    time.passes(600)
    says(check, by=BOB)
    assert gate_of(wave).is_open
    time.passes(3002)
    work()
    assert wave.rollout.events.filter(kind="gate-closed").count() == 1
    check.refresh_from_db()
    assert check.due_at is not None, "the other one ends later"
    time.passes(600)
    work()
    check.refresh_from_db()
    assert check.due_at is None


# --- killed, late, never ending -----------------------------------------------------------------------


def test_a_look_that_was_killed_is_begun_anew_after_its_lease(
    time: Clock, wave: Wave, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = due(a_check(wave, timeout=10))
    looking.advance(timezone.now() + timedelta(minutes=1))
    assert not looking._due(timezone.now()).exists()
    monkeypatch.setattr(looking, "_UNDER_WAY", looking._UnderWay())  # the worker is gone, and what it had
    monkeypatch.setattr(looking, "measure", answers("Failed"))
    work()
    assert not check.results.exists()
    time.passes(41)
    work()
    assert results(check) == [("Failed", "")]


def test_what_a_late_worker_brings_after_another_has_looked_is_dropped(
    time: Clock, wave: Wave, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = due(a_check(wave))
    late = looking._UNDER_WAY
    looking.advance(timezone.now() + timedelta(minutes=1))
    time.passes(120)
    monkeypatch.setattr(looking, "_UNDER_WAY", looking._UnderWay())
    monkeypatch.setattr(looking, "measure", answers("Failed"))
    work()
    held.go.set()
    while late:
        late.wait(1)
    assert results(check) == [("Failed", "")]


def test_a_look_that_never_ends_is_given_up(
    time: Clock, wave: Wave, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = due(a_check(wave, interval=60))
    looking.advance(timezone.now() + timedelta(minutes=1))
    hangs = looking._UNDER_WAY.looks[check.pk][1]
    monkeypatch.setattr(looking, "monotonic", lambda: hangs + 1)
    work()
    (result,) = check.results.all()
    assert result.outcome == INCONCLUSIVE
    assert "did not come to its end" in result.sentence
    time.passes(60)
    work()
    assert "has not come to its end yet" in check.results.order_by("pk")[1].sentence
    assert held.began.acquire(timeout=60)
    assert not held.began.acquire(blocking=False), "no second thread hangs"


def test_no_more_than_a_few_look_at_once_over_all_workers(
    time: Clock, wave: Wave, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [due(a_check(wave, name=f"Check {number}")) for number in range(looking.AT_ONCE + 2)]
    one = looking._UNDER_WAY
    looking.advance(timezone.now() + timedelta(minutes=1))
    assert len(one.looks) == looking.AT_ONCE
    another = looking._UnderWay()
    monkeypatch.setattr(looking, "_UNDER_WAY", another)
    assert not looking.advance(timezone.now() + timedelta(minutes=1)), "the other worker does not wait for them"
    assert not another.looks
    held.go.set()
    monkeypatch.setattr(looking, "_UNDER_WAY", one)
    work()
    assert [results(check) for check in checks] == [[("Passed", "")]] * len(checks)


def test_runs_are_not_held_up(time: Clock, wave: Wave, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    due(a_check(wave))
    monkeypatch.setattr(looking.queue, "is_due", lambda: True)
    monkeypatch.setattr(looking._UnderWay, "wait", lambda *args: pytest.fail("it waits"))
    assert looking.advance(timezone.now() + timedelta(minutes=1)), "it comes by again"


def test_a_check_that_was_changed_meanwhile_drops_what_was_found(time: Clock, wave: Wave, held: Held) -> None:
    from migrations_app.rollouts.checks import change_check

    check = due(a_check(wave))
    looking.advance(timezone.now() + timedelta(minutes=1))
    change_check(check, {"parameters": {"host": "meet.contoso.com", "port": 444}}, ALICE)
    RolloutCheck.objects.update(due_at=None)
    held.go.set()
    work()
    assert not check.results.exists()


# --- because somebody asks ----------------------------------------------------------------------------


def test_a_button_lets_the_service_look_at_once_in_somebodys_name(
    time: Clock, wave: Wave, probes: Callable[[Probe], None], django_capture_on_commit_callbacks: Any
) -> None:
    probes(answers("Passed"))
    check, manual = a_check(wave), a_check(wave, "manual")
    with django_capture_on_commit_callbacks() as wakes:
        assert looking.ask(wave.rollout, [check, manual], ALICE) == 1
    assert wakes
    work()
    assert results(check) == [("Passed", "alice")]
    assert AuditEntry.objects.get(action="check rollout").actor == "alice"
    time.passes(300)
    work()
    assert results(check)[1:] == [("Passed", "")]


def test_what_has_stopped_is_not_asked(wave: Wave) -> None:
    check = a_check(wave)
    ended(wave)
    assert looking.ask(wave.rollout, [check], ALICE) == 0
    assert not AuditEntry.objects.filter(action="check rollout").exists()


def test_a_command_looks_and_waits(wave: Wave, probes: Callable[[Probe], None]) -> None:
    probes(answers("Failed", "It is down."))
    checks = [a_check(wave, name=f"Check {number}") for number in range(6)]
    found = looking.look_now(wave.rollout, [*checks, a_check(wave, "manual")], ALICE)
    assert [result.outcome for result in found] == ["Failed"] * 6
    assert [results(check) for check in checks] == [[("Failed", "alice")]] * 6


def test_a_command_does_not_look_at_what_has_stopped(wave: Wave) -> None:
    check = a_check(wave)
    ended(wave)
    check = RolloutCheck.objects.select_related("wave", "rollout__legacy", "rollout__new").get(pk=check.pk)
    with pytest.raises(ValidationError, match="has ended"):
        looking.look_now(wave.rollout, [check], ALICE)


# --- what programs are given --------------------------------------------------------------------------


def test_a_program_is_given_deployment_host_and_a_member(
    wave: Wave, probes: Callable[[Probe], None], anna: Any
) -> None:
    from tests.support.rollouts import members

    asked: dict[str, Any] = {}

    def program(kind: str, parameters: Any, **bounds: Any) -> probe_answers.Answer:
        asked.update(bounds)
        return answers("Passed")()

    probes(program)
    members(wave, [anna])
    check = a_check(wave, "command", parameters={"program": "look", "arguments": ["{upn}"]}, timeout=7)
    looking.look_now(wave.rollout, [check], ALICE)
    assert asked["placeholders"] == {
        "deployment": "New service",
        "host": "meet.contoso.com",
        "upn": "anna.rossi@contoso.com",
    }
    assert asked["seconds"] == 7
    assert asked["hosts"] == ["meet.contoso.com"]


# --- pruning ------------------------------------------------------------------------------------------


def test_old_results_are_pruned_and_the_last_one_is_kept(time: Clock, wave: Wave) -> None:
    check, other = a_check(wave), a_check(wave, name="Other")
    finds(check, FAILED)
    finds(check, PASSED)
    finds(other, PASSED)
    time.passes(86_400)
    finds(other, PASSED)
    prune(timezone.now() - timedelta(hours=1))
    assert results(check) == [("Passed", "")]
    assert results(other) == [("Passed", "")]
    assert CheckResult.objects.count() == 2
