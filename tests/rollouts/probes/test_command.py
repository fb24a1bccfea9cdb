"""R71: ``command`` speaks as the monitoring plugins do: 0 passes, 1 and 2 fail, everything else is inconclusive."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations_app.rollouts.probes.answers import Answer, Outcome
from migrations_app.rollouts.probes.bounds import Bounds
from migrations_app.rollouts.probes.kinds import KINDS

PLACEHOLDERS = {"deployment": "New pool", "host": "sip.contoso.com", "upn": "anna@contoso.com"}


@pytest.fixture
def check(tmp_path: Path) -> object:
    """What a check finds whose program has these lines."""

    def measure(text: str, seconds: float = 20, secrets: tuple[str, ...] = (), **values: object) -> Answer:
        program = tmp_path / "check_it"
        program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        program.chmod(0o755)
        bounds = Bounds((), seconds, programs=tmp_path, placeholders=PLACEHOLDERS, secrets=secrets)
        return KINDS["command"].measure({"program": "check_it", **values}, bounds)

    return measure


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, Outcome.PASSED),
        (1, Outcome.FAILED),
        (2, Outcome.FAILED),
        (3, Outcome.INCONCLUSIVE),
        (4, Outcome.INCONCLUSIVE),
        (127, Outcome.INCONCLUSIVE),
        (255, Outcome.INCONCLUSIVE),
    ],
)
def test_the_status_is_the_outcome_and_the_first_line_the_sentence(check, status: int, outcome: Outcome) -> None:
    answer = check(f"echo; echo ' Six services run. '; echo more; exit {status}")

    assert (answer.outcome, answer.sentence) == (outcome, "Six services run.")
    assert answer.output == "\n Six services run. \nmore\n"


def test_a_signal_is_inconclusive(check) -> None:
    answer = check("echo going on; kill -KILL $$")

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence == "check_it was ended by signal 9. Run it on the machine to see why."


def test_time_that_is_over_is_inconclusive(check) -> None:
    answer = check("echo OK; sleep 600", seconds=0.5)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "had not ended after 0.5 seconds and was stopped" in answer.sentence


def test_output_without_end_is_inconclusive(check) -> None:
    answer = check("exec yes OK")

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "printed without end" in answer.sentence


def test_silence_is_said_to_be_it(check) -> None:
    answer = check("exit 2")

    assert answer.outcome == Outcome.FAILED
    assert answer.sentence.startswith("check_it ended with status 2 and printed nothing.")


def test_arguments_are_fixed_but_for_what_is_checked(check) -> None:
    answer = check('echo "$1|$2|$3"', arguments="--deployment={deployment}\n{host}\n{upn}")

    assert answer.sentence == "--deployment=New pool|sip.contoso.com|anna@contoso.com"


def test_a_program_that_is_not_there_is_inconclusive(tmp_path: Path) -> None:
    for directory in (None, tmp_path):
        answer = KINDS["command"].measure({"program": "gone"}, Bounds((), 5, programs=directory))
        assert answer.outcome == Outcome.INCONCLUSIVE
        assert "MMS_CHECK_COMMANDS" in answer.sentence


def test_the_sentence_is_free_of_secrets_and_short(check) -> None:
    answer = check("echo 'key long-secret-of-mms password=abc'; exit 1", secrets=("long-secret-of-mms",))

    assert answer.sentence == "key ●●● password=●●●"
    assert len(check("head -c 3000 /dev/zero | tr '\\0' x").sentence) == 400


def test_markup_is_text(check) -> None:
    """Whatever shows it escapes it, as it does all text."""
    assert check("echo '%(host)s <script> {{ x }} 100%'").sentence == "%(host)s <script> {{ x }} 100%"
    assert str(check("echo '%(host)s 100%'").sentence) == "%(host)s 100%"
