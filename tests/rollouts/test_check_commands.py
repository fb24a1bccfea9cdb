"""``check_rollout`` and ``answer_check``: one line and an exit status, and answers (R69, R70, R72)."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from migrations_app.models import CheckAnswer, RolloutCheck, Wave
from migrations_app.rollouts import looking
from migrations_app.rollouts.opening import open_gate
from migrations_app.rollouts.probes import answers as probe_answers
from tenants_app.models import AuditEntry, Tenant
from tenants_app.sentences import sentence
from tests.support.checks import ALICE, a_check, says, without_checks
from tests.support.commands import Command
from tests.support.rollouts import a_rollout, a_wave


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    without_checks(a_rollout(tenant))
    return a_wave(Wave.objects.get(position=1).rollout)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says what every probe finds."""

    def find(outcome: str, said: str = "Measured.") -> None:
        answer = probe_answers.Answer(probe_answers.Outcome(outcome), said, 0.25)
        monkeypatch.setattr(looking, "measure", lambda *args, **kwargs: answer)

    find("Passed")
    return find


def check(*arguments: str) -> tuple[int, str]:
    """The exit status of check_rollout, and its one line."""
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_rollout", *arguments, stdout=output)
    (line,) = output.getvalue().splitlines()
    return int(str(ended.value.code)), line


# --- check_rollout ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "code", "begins"),
    [("Passed", 0, "MMS OK - Test users: "), ("Failed", 2, "MMS CRITICAL - "), ("Inconclusive", 3, "MMS UNKNOWN - ")],
)
def test_its_exit_status_is_the_answer(wave: Wave, measured: Any, outcome: str, code: int, begins: str) -> None:
    measured(outcome, "It is so. | And so.")
    one = a_check(wave, name="Front end")
    found, line = check("To the new service")
    assert found == code
    assert line.startswith(begins)
    assert line.count("|") == 1, "what stands behind it is performance data"
    assert one.results.get().by.startswith("command:")
    assert AuditEntry.objects.get(action="check rollout").channel == "command"


def test_it_names_what_closes_the_gate_and_measures(wave: Wave, measured: Any) -> None:
    measured("Failed", "It is down.")
    a_check(wave, name="Front end")
    a_check(wave, name="Hint", is_advisory=True)
    a_check(wave, "manual", name="Backup")
    code, line = check("To the new service")
    text, data = line.split(" | ")
    assert code == 2
    assert "“Front end” closes it: It is down. “Backup” closes it: Nobody has answered yet." in text
    assert data == "passed=0;;;0;3 failed=2;;;0;3 inconclusive=1;;;0;3 closing=2;;0;0;3 slowest=0.250s;;;0"


def test_failed_outweighs_inconclusive(wave: Wave, measured: Any) -> None:
    measured("Failed")
    a_check(wave, "manual")
    a_check(wave)
    assert check("To the new service")[0] == 2


def test_an_unanswered_question_is_inconclusive(wave: Wave, measured: Any) -> None:
    question = a_check(wave, "manual")
    assert check("To the new service")[0] == 3
    says(question)
    assert check("To the new service")[0] == 0


def test_a_gate_that_was_opened_by_hand_is_open(wave: Wave, measured: Any) -> None:
    measured("Failed")
    a_check(wave)
    assert check("To the new service")[0] == 2
    open_gate(wave.rollout, wave, "The vendor says it is harmless.", ALICE)
    code, line = check("To the new service")
    assert code == 0
    assert "opened by hand by alice" in line


def test_it_asks_of_the_first_wave_that_is_still_to_go_through(wave: Wave, measured: Any) -> None:
    a_check(a_wave(wave.rollout, 2), name="Second")
    assert check("To the new service")[1].startswith("MMS OK - Test users: ")
    a_wave(wave.rollout, 1, state=Wave.State.OBSERVING)
    assert check("To the new service")[1].startswith("MMS OK - Pilot: ")
    assert RolloutCheck.objects.get(name="Second").results.count() == 1
    assert check("To the new service", "--wave", "Everyone")[1].startswith("MMS OK - Everyone: ")
    Wave.objects.update(state=Wave.State.COMPLETED)
    RolloutCheck.objects.create(rollout=wave.rollout, name="Phones", scope="legacy", kind="manual")
    code, line = check("To the new service")
    assert code == 3
    assert "Retirement of Old pool: " in line


def test_it_looks_at_one_check(wave: Wave, measured: Any) -> None:
    measured("Failed", "It is down.")
    a_check(wave, name="Other")
    one = a_check(wave, name=sentence("The service at %(host)s is started", host="meet.contoso.com"))
    for named in (str(one.pk), "the service at meet.contoso.com is started"):
        code, line = check("To the new service", "--check", named)
        assert code == 2
        assert "The service at meet.contoso.com is started: It is down. | passed=0;;;0;1" in line
    assert one.results.count() == 2
    assert RolloutCheck.objects.get(name="Other").results.count() == 0


@pytest.mark.parametrize(
    "arguments",
    [["Nowhere"], ["To the new service", "--wave", "Nobody"], ["To the new service", "--check", "Nothing"]],
)
def test_whatever_keeps_it_from_answering_is_unknown(wave: Wave, arguments: list[str]) -> None:
    code, line = check(*arguments)
    assert code == 3
    assert line.startswith("MMS UNKNOWN - ")


def test_a_wave_that_has_ended_is_asked_nothing(wave: Wave, measured: Any) -> None:
    a_check(a_wave(wave.rollout, state=Wave.State.COMPLETED))
    code, line = check("To the new service", "--wave", "Test users")
    assert code == 3
    assert "has ended" in line


# --- answer_check -------------------------------------------------------------------------------------


def test_a_question_is_answered_by_its_name_or_number(wave: Wave, command: Command) -> None:
    question = a_check(wave, "manual", name="Backup")
    told = command("answer_check", "backup", "--no", "--note", "The tape is full.")
    assert told == ("Backup: Failed. " + str(says_no(question)) + " Answer anew once that is put right.\n")
    assert "Passed" in command("answer_check", str(question.pk), "--yes")
    assert [(each.answer, each.note) for each in question.answers.order_by("pk")] == [
        ("no", "The tape is full."),
        ("yes", ""),
    ]


def says_no(question: RolloutCheck) -> str:
    who = CheckAnswer.objects.filter(rollout_check=question).earliest("pk").by
    assert who.startswith("command:")
    return f"{who} has answered no (“The tape is full.”)."


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["Backup", "--no"], "Say in a note why"),
        (["Backup", "--not-applicable", "--note", " "], "Say in a note why"),
        (["Nothing", "--yes"], "There is no check Nothing"),
        (["Front end", "--yes"], "is measured by MMS"),
    ],
)
def test_what_cannot_be_answered_is_refused(wave: Wave, command: Command, arguments: list[str], why: str) -> None:
    a_check(wave, "manual", name="Backup")
    a_check(wave, name="Front end")
    with pytest.raises(CommandError, match=why):
        command("answer_check", *arguments)
    assert not CheckAnswer.objects.exists()


def test_a_name_that_several_have_needs_the_wave_or_the_number(wave: Wave, command: Command) -> None:
    first = a_check(wave, "manual", name="Helpdesk")
    second = a_check(a_wave(wave.rollout, 2), "manual", name="Helpdesk")
    with pytest.raises(CommandError, match=f"{first.pk}: Test users, {second.pk}: Pilot"):
        command("answer_check", "Helpdesk", "--yes")
    command("answer_check", "Helpdesk", "--wave", "Pilot", "--yes")
    command("answer_check", "To the new service/Test users/Helpdesk", "--yes")
    assert (first.answers.count(), second.answers.count()) == (1, 1)


def test_an_answer_is_one_of_three(wave: Wave, command: Command) -> None:
    a_check(wave, "manual", name="Backup")
    for said in ([], ["--yes", "--no"]):
        with pytest.raises(CommandError):
            command("answer_check", "Backup", *said)
    assert not CheckAnswer.objects.exists()
