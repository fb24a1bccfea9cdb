"""Probes keep to what the operator allows (R71), and the page for operators says what is so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from migrations_app.rollouts.measuring import measure
from migrations_app.rollouts.probes.answers import Outcome
from migrations_app.rollouts.probes.kinds import KINDS
from tenants_app.sentences import read, stored
from tests.support.talking import talking

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rollout-checks.md"


def test_hosts_inside_are_reached_where_the_operator_allows_them(settings: Any) -> None:
    with talking(lambda connection: None) as port:
        values = {"host": "localhost", "port": port}
        settings.MMS_ALLOWED_CHECK_HOSTS = []
        refused = measure("tcp", values, hosts=["localhost"], seconds=20)
        settings.MMS_ALLOWED_CHECK_HOSTS = ["localhost"]
        reached = measure("tcp", values, hosts=["localhost"], seconds=20)

    assert (refused.outcome, reached.outcome) == (Outcome.INCONCLUSIVE, Outcome.PASSED)


def test_without_a_directory_no_program_is_run(settings: Any) -> None:
    settings.MMS_CHECK_COMMANDS = None

    answer = measure("command", {"program": "sh"}, hosts=[], seconds=5)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "MMS_CHECK_COMMANDS" in answer.sentence


def test_secrets_of_the_installation_are_not_shown(settings: Any, tmp_path: Path) -> None:
    settings.MMS_CHECK_COMMANDS = tmp_path
    program = tmp_path / "tell"
    program.write_text(f"#!/bin/sh\necho it is {settings.SECRET_KEY} or {settings.MMS_SECRETS_KEYS[0]}\n")
    program.chmod(0o755)

    answer = measure("command", {"program": "tell"}, hosts=[], seconds=20)

    assert (answer.sentence, answer.output) == ("it is ●●● or ●●●", "it is ●●● or ●●●\n")


def test_a_sentence_is_kept_as_one_that_each_reader_has_in_a_language_of_their_own() -> None:
    answer = measure("tcp", {"host": "sip.contoso.com", "port": 5061}, hosts=[], seconds=5)

    kept = read(stored(answer.sentence))
    assert kept == answer.sentence
    assert kept.parts.each[0].parts.values == {"host": "sip.contoso.com"}  # type: ignore[attr-defined]


# --- the page of docs/ --------------------------------------------------------------------------------


@pytest.fixture
def example(settings: Any, tmp_path: Path) -> Path:
    """The program of the page, which looks at files in this folder."""
    (text,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert "/srv/mms-checks/" in text
    programs, files = tmp_path / "programs", tmp_path / "files"
    programs.mkdir(mode=0o755)
    files.mkdir()
    program = programs / "check_replicated"
    program.write_text(text.replace("/srv/mms-checks/", f"{files}/"), encoding="utf-8")
    program.chmod(0o755)
    settings.MMS_CHECK_COMMANDS = programs
    return files / "pool2.contoso.com.txt"


@pytest.mark.parametrize(
    ("line", "hours", "outcome", "said"),
    [
        ("2026-11-30 08:12 30024", 1, Outcome.PASSED, "OK - users are replicated to pool2.contoso.com"),
        ("2026-11-30 08:12 30025", 1, Outcome.FAILED, "CRITICAL - pool2.contoso.com has no event 30024"),
        ("2026-11-30 08:12 30024", 25, Outcome.INCONCLUSIVE, "is older than a day"),
        (None, 0, Outcome.INCONCLUSIVE, "is not there"),
    ],
)
def test_the_example_does_what_the_page_says(
    example: Path, line: str | None, hours: int, outcome: Outcome, said: str
) -> None:
    if line:
        example.write_text(line + "\n", encoding="utf-8")
        at = example.stat().st_mtime - hours * 3600
        os.utime(example, (at, at))

    answer = measure(
        "command",
        {"program": "check_replicated", "arguments": ["{host}"]},
        hosts=[],
        seconds=20,
        placeholders={"host": "pool2.contoso.com"},
    )

    assert answer.outcome == outcome
    assert said in answer.sentence


def test_the_page_names_every_kind_with_its_parameters() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (`.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert {kind: re.findall(r"`(\w+)`", names) for kind, names in rows} == {
        kind.name: [parameter.name for parameter in kind.parameters] for kind in KINDS.values()
    }
    for kind, names in rows:
        for name, default in re.findall(r"`(\w+)` \(([^)]*)\)", names):
            (parameter,) = (each for each in KINDS[kind].parameters if each.name == name)
            assert str(parameter.default) == default
