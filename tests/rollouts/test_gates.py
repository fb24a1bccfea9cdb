"""Gates: what all checks of a wave say together, and what an admin opens by hand (R70, R72, R75, R76, R78)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.models import CheckAnswer, GateOpening, RolloutCheck, RolloutEvent, Wave
from migrations_app.rollouts.gates import (
    failing_twice,
    gate_of,
    gates_of,
    retirement_checklist,
    shown_state,
    use_opening,
    use_retirement_opening,
)
from migrations_app.rollouts.opening import open_gate
from tenants_app.audit import Channel
from tenants_app.models import AuditEntry, Tenant
from tests.support.checks import (
    ALICE,
    BOB,
    FAILED,
    INCONCLUSIVE,
    NO,
    NOT_APPLICABLE,
    PASSED,
    YES,
    a_check,
    finds,
    says,
    without_checks,
)
from tests.support.clock import Clock, clock
from tests.support.rollouts import a_rollout, a_wave

REASON = "The vendor has confirmed that this is harmless."


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with clock(monkeypatch) as now:
        yield now


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    without_checks(a_rollout(tenant))
    return a_wave(Wave.objects.get(position=1).rollout)


def events(kind: str) -> list[RolloutEvent]:
    return list(RolloutEvent.objects.filter(kind=kind).order_by("pk"))


# --- R70: three outcomes ------------------------------------------------------------------------------


def test_a_gate_without_checks_is_open(wave: Wave) -> None:
    assert gate_of(wave).is_open
    assert shown_state(wave, gate_of(wave)) == Wave.State.READY


def test_passed_opens_and_failed_closes(wave: Wave) -> None:
    check = a_check(wave)
    finds(check, PASSED)
    assert gate_of(wave).is_open
    finds(check, FAILED, "It is down. Start it.")
    gate = gate_of(wave)
    assert (gate.is_open, gate.outcome) == (False, FAILED)
    assert "“Check tcp” closes it: It is down. Start it." in gate.sentence
    assert shown_state(wave, gate) == Wave.State.DRAFT


def test_inconclusive_closes_and_asks_a_person(wave: Wave) -> None:
    finds(a_check(wave), INCONCLUSIVE, "It timed out.")
    gate = gate_of(wave)
    assert (gate.is_open, gate.outcome) == (False, INCONCLUSIVE)
    assert gate.closing[0].asks_a_person


def test_what_nobody_has_looked_at_is_inconclusive(wave: Wave) -> None:
    a_check(wave)
    assert gate_of(wave).outcome == INCONCLUSIVE
    assert "has not been looked at yet" in gate_of(wave).sentence


def test_failed_outweighs_inconclusive_and_is_named_first(wave: Wave) -> None:
    finds(a_check(wave, name="Unclear"), INCONCLUSIVE)
    finds(a_check(wave, name="Broken"), FAILED)
    assert gate_of(wave).outcome == FAILED
    assert [each.check.name for each in gate_of(wave).closing] == ["Broken", "Unclear"]


@pytest.mark.parametrize("outcome", [FAILED, INCONCLUSIVE])
def test_advisory_never_closes(wave: Wave, outcome: Any) -> None:
    finds(a_check(wave, is_advisory=True), outcome)
    gate = gate_of(wave)
    assert gate.is_open
    assert [each.outcome for each in gate.standings] == [outcome]


def test_a_removed_check_closes_nothing(wave: Wave) -> None:
    finds(a_check(wave, removed_at=timezone.now()), FAILED)
    assert gate_of(wave).is_open


# --- R69: how long a result counts --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valid_for", "after", "outcome"),
    [(None, 3600, PASSED), (None, 3601, INCONCLUSIVE), (600, 600, PASSED), (600, 601, INCONCLUSIVE)],
)
def test_an_older_result_counts_as_none(time: Clock, wave: Wave, valid_for: Any, after: int, outcome: Any) -> None:
    finds(a_check(wave, valid_for=valid_for), PASSED)
    time.passes(after)
    assert gate_of(wave).outcome == outcome


def test_answers_count_until_the_wave_has_ended(time: Clock, wave: Wave) -> None:
    says(a_check(wave, "manual"))
    time.passes(400 * 86_400)
    assert gate_of(wave).is_open


def test_answers_may_be_valid_for_a_time_only(time: Clock, wave: Wave) -> None:
    says(a_check(wave, "manual", valid_for=3600))
    time.passes(3601)
    gate = gate_of(wave)
    assert gate.outcome == INCONCLUSIVE
    assert gate.standings[0].at is not None


def test_checks_of_a_wave_that_has_ended_stand_as_they_stood(time: Clock, wave: Wave) -> None:
    finds(a_check(wave), PASSED)
    time.passes(7 * 86_400)
    ended = a_wave(wave.rollout, state=Wave.State.COMPLETED)
    assert gate_of(ended).standings[0].outcome == PASSED


# --- R72: what people answered ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], INCONCLUSIVE),
        ([(ALICE, YES)], PASSED),
        ([(ALICE, NOT_APPLICABLE)], PASSED),
        ([(ALICE, NO)], FAILED),
        ([(ALICE, YES), (BOB, NO)], FAILED),
        ([(ALICE, NO), (BOB, YES)], PASSED),
        ([(ALICE, NO), (ALICE, YES)], PASSED),
    ],
)
def test_the_last_answer_counts(wave: Wave, answers: Any, outcome: Any) -> None:
    check = a_check(wave, "manual")
    for who, said in answers:
        says(check, said, who)
    assert gate_of(wave).outcome == outcome


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([(ALICE, YES)], INCONCLUSIVE),
        ([(ALICE, YES), (ALICE, YES)], INCONCLUSIVE),
        ([(ALICE, YES), (BOB, YES)], PASSED),
        ([(ALICE, YES), (BOB, NOT_APPLICABLE)], PASSED),
        ([(ALICE, YES), (BOB, NO)], FAILED),
        ([(BOB, NO), (ALICE, YES)], INCONCLUSIVE),
        ([(BOB, NO), (ALICE, YES), (BOB, YES)], PASSED),
    ],
)
def test_a_second_account_may_be_demanded(wave: Wave, answers: Any, outcome: Any) -> None:
    check = a_check(wave, "manual", needs_second_account=True)
    for who, said in answers:
        says(check, said, who)
    assert gate_of(wave).outcome == outcome


def test_answers_are_appended_and_shown_with_who_and_when(wave: Wave) -> None:
    check = a_check(wave, "manual")
    says(check, NO, ALICE, "The line is dead.")
    says(check, YES, BOB)
    assert [(each.by, each.answer, each.note) for each in check.answers.order_by("pk")] == [
        ("alice", "no", "The line is dead."),
        ("bob", "yes", ""),
    ]
    standing = gate_of(wave).standings[0]
    assert [each.by for each in standing.answers] == ["bob", "alice"]
    assert AuditEntry.objects.filter(action="answer check").count() == 2


@pytest.mark.parametrize("said", [NO, NOT_APPLICABLE])
def test_no_and_not_applicable_need_a_note(wave: Wave, said: CheckAnswer.Answer) -> None:
    from migrations_app.rollouts.answers import answer

    check = a_check(wave, "manual")
    with pytest.raises(ValidationError, match="Say in a note why"):
        answer(check, said, "  ", ALICE)
    assert not check.answers.exists()


def test_what_is_measured_takes_no_answer(wave: Wave) -> None:
    with pytest.raises(ValidationError, match="is measured by MMS"):
        says(a_check(wave))


@pytest.mark.parametrize("state", Wave.ENDED)
def test_nobody_answers_once_the_wave_has_ended(wave: Wave, state: str) -> None:
    check = a_check(a_wave(wave.rollout, state=state), "manual")
    with pytest.raises(ValidationError, match="has ended"):
        says(check)


def test_nobody_answers_once_a_deployment_is_retired(wave: Wave) -> None:
    check = a_check(wave, "manual")
    wave.rollout.legacy.retired_at, wave.rollout.legacy.retired_by = timezone.now(), "alice"
    wave.rollout.legacy.save()
    with pytest.raises(ValidationError, match="its checks have stopped"):
        says(check)


# --- R92: a gate that closes --------------------------------------------------------------------------


def test_a_gate_that_a_check_closes_is_noted_once_for_each_closing(wave: Wave) -> None:
    check = a_check(wave)
    finds(check, FAILED)
    assert not events("gate-closed"), "it was never open"
    finds(check, PASSED)
    finds(check, FAILED, "It is down. Start it.")
    finds(check, FAILED)
    finds(check, INCONCLUSIVE)
    (event,) = events("gate-closed")
    assert event.wave == wave
    assert event.told_at is None
    assert event.sentence == "The gate of Test users has closed: “Check tcp” closes it: It is down. Start it."
    finds(check, PASSED)
    finds(check, FAILED)
    assert len(events("gate-closed")) == 2


@pytest.mark.parametrize(("state", "noted"), [("Running", 1), ("Paused", 1), ("Observing", 0), ("Completed", 0)])
def test_it_is_noted_while_something_is_to_go_through(wave: Wave, state: str, noted: int) -> None:
    check = a_check(wave)
    finds(check, PASSED)
    a_wave(wave.rollout, state=state)
    finds(check, FAILED)
    assert len(events("gate-closed")) == noted


def test_the_engine_looks_at_once_when_a_check_finds_something_else(time: Clock, wave: Wave) -> None:
    check = a_check(wave)
    finds(check, PASSED)
    a_wave(wave.rollout, state=Wave.State.RUNNING, next_look_at=None)
    finds(check, PASSED)
    assert a_wave(wave.rollout).next_look_at is None
    finds(check, FAILED)
    assert a_wave(wave.rollout).next_look_at == timezone.now()


# --- R78: twice in succession -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "fails"),
    [
        ([FAILED], False),
        ([FAILED, FAILED], True),
        ([FAILED, PASSED, FAILED], False),
        ([FAILED, INCONCLUSIVE, FAILED], False),
        ([PASSED, FAILED, FAILED, FAILED], True),
        ([FAILED, FAILED, PASSED], False),
    ],
)
def test_a_check_that_fails_twice_in_succession(wave: Wave, found: Any, fails: bool) -> None:
    check = a_check(wave)
    for outcome in found:
        finds(check, outcome)
    assert failing_twice(wave) == ([check] if fails else [])


def test_advisory_checks_and_what_people_answer_stop_nothing(wave: Wave) -> None:
    check, manual = a_check(wave, is_advisory=True), a_check(wave, "manual")
    for _ in range(2):
        finds(check, FAILED)
        says(manual, NO)
    assert failing_twice(wave) == []


def test_what_failed_before_the_wave_was_resumed_does_not_count(time: Clock, wave: Wave) -> None:
    check = a_check(wave)
    finds(check, FAILED)
    finds(check, FAILED)
    time.passes(60)
    resumed = a_wave(wave.rollout, counts_from=timezone.now())
    time.passes(60)
    assert failing_twice(resumed) == []
    finds(check, FAILED)
    assert failing_twice(resumed) == []
    finds(check, FAILED)
    assert failing_twice(resumed) == [check]


# --- R76: opening by hand -----------------------------------------------------------------------------


def test_an_admin_opens_a_closed_gate_for_one_batch(wave: Wave) -> None:
    check = a_check(wave)
    finds(check, FAILED, "It is down. Start it.")
    opening = open_gate(wave.rollout, wave, f"  {REASON}  ", ALICE)
    gate = gate_of(wave)
    assert gate.is_open
    assert gate.is_opened_by_hand
    assert gate.outcome == FAILED
    assert opening.reason == REASON
    assert "It is down" in opening.closed_by
    assert use_opening(wave, "bob")
    assert not gate_of(wave).is_open
    assert not use_opening(wave, "bob")
    (used,) = GateOpening.objects.all()
    assert used.used_by == "bob"
    assert list(gate_of(wave).openings) == [used], "it is shown for ever"


def test_an_opening_is_audited_and_noted_for_the_rollouts_people(wave: Wave) -> None:
    finds(a_check(wave), FAILED, "It is down.")
    open_gate(wave.rollout, wave, REASON, ALICE)
    (event,) = events("gate-opened")
    assert (event.by, event.reason, event.told_at, event.wave) == ("alice", REASON, None, wave)
    assert "It is down." in event.sentence
    entry = AuditEntry.objects.get(action="open gate")
    assert (entry.actor, entry.channel, entry.after["reason"]) == ("alice", Channel.SCREEN, REASON)


@pytest.mark.parametrize("reason", ["", "x" * 19, " " * 30, "a" + " " * 30 + "b", "x" * 501])
def test_a_reason_of_at_least_twenty_characters_is_needed(wave: Wave, reason: str) -> None:
    finds(a_check(wave), FAILED)
    with pytest.raises(ValidationError, match="Give a reason of 20 to 500 characters"):
        open_gate(wave.rollout, wave, reason, ALICE)
    assert not GateOpening.objects.exists()


def test_twenty_characters_are_enough(wave: Wave) -> None:
    finds(a_check(wave), FAILED)
    assert open_gate(wave.rollout, wave, "x" * 20, ALICE)


def test_who_alone_answered_the_manual_checks_cannot_open(wave: Wave) -> None:
    finds(a_check(wave), FAILED)
    manual = a_check(wave, "manual")
    says(manual, YES, ALICE)
    with pytest.raises(ValidationError, match="You are the only one who has answered"):
        open_gate(wave.rollout, wave, REASON, ALICE)
    assert open_gate(wave.rollout, wave, REASON, BOB)


def test_who_answered_beside_others_can_open(wave: Wave) -> None:
    finds(a_check(wave), FAILED)
    manual = a_check(wave, "manual")
    says(manual, NO, BOB)
    says(manual, YES, ALICE)
    assert open_gate(wave.rollout, wave, REASON, ALICE)


def test_an_open_gate_is_not_opened(wave: Wave) -> None:
    with pytest.raises(ValidationError, match="the gate is open"):
        open_gate(wave.rollout, wave, REASON, ALICE)
    finds(a_check(wave), FAILED)
    open_gate(wave.rollout, wave, REASON, ALICE)
    with pytest.raises(ValidationError, match="alice has opened it by hand"):
        open_gate(wave.rollout, wave, REASON, BOB)


def test_what_another_check_closes_afterwards_stays_closed(wave: Wave) -> None:
    finds(a_check(wave), FAILED)
    other = a_check(wave, name="Other")
    finds(other, PASSED)
    open_gate(wave.rollout, wave, REASON, ALICE)
    finds(other, FAILED)
    assert not gate_of(wave).is_open
    assert not use_opening(wave, "bob")
    finds(other, PASSED)
    assert gate_of(wave).is_open


@pytest.mark.parametrize("state", ["Observing", "Completed", "RollingBack", "RolledBack"])
def test_nothing_is_opened_where_nothing_goes_through(wave: Wave, state: str) -> None:
    finds(a_check(wave), FAILED)
    with pytest.raises(ValidationError, match="Nothing is to go through"):
        open_gate(wave.rollout, a_wave(wave.rollout, state=state), REASON, ALICE)


def test_the_checklist_of_retirement_is_a_gate_of_its_own(wave: Wave) -> None:
    check = RolloutCheck.objects.create(rollout=wave.rollout, name="Phones", scope="legacy", kind="manual")
    assert retirement_checklist(wave.rollout).outcome == INCONCLUSIVE
    assert gate_of(wave).is_open
    opening = open_gate(wave.rollout, None, REASON, ALICE)
    assert retirement_checklist(wave.rollout).is_open
    assert use_retirement_opening(wave.rollout, "bob")
    assert not retirement_checklist(wave.rollout).is_open
    says(check)
    assert retirement_checklist(wave.rollout).outcome == PASSED
    assert opening.wave is None


# --- many of them -------------------------------------------------------------------------------------


def test_gates_of_many_waves_ask_the_database_as_much_as_one(wave: Wave, django_assert_num_queries: Any) -> None:
    for position in (1, 2, 3):
        for number in range(5):
            each = a_wave(wave.rollout, position)
            finds(a_check(each), PASSED)
            says(a_check(each, "manual", name=f"Question {number}"), YES)
    waves = list(Wave.objects.filter(rollout=wave.rollout))
    with django_assert_num_queries(3):
        gates_of(waves[:1])
    with django_assert_num_queries(3):
        found = gates_of(waves)
    assert [len(found[each.pk].standings) for each in waves] == [10, 10, 10]
