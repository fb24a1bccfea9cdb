"""How accounts get to a deployment (R63): by nobody's, a program's or Move-CsUser's doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from migrations_app.rollouts import movers
from migrations_app.rollouts.movers import State, ask, command_line, list_file, move, of_users, read_result
from tenants_app.models import ConferencingUser, Deployment, Tenant
from tests.support.rollouts import a_deployment


@pytest.fixture
def programs(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o755)
    settings.MMS_CHECK_COMMANDS = folder
    return folder


def by_program(tenant: Tenant, programs: Path, script: str) -> Deployment:
    """A deployment whose mover is a program that does this."""
    path = programs / "move-user"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return a_deployment(tenant, "new", name="Pool B", mover="command", mover_command="move-user")


def test_r63_record_takes_it_that_the_account_is_moved(tenant: Tenant) -> None:
    moved = ask(a_deployment(tenant), "anna.rossi@contoso.com")

    assert (moved.state, moved.is_done) == (State.MOVED, True)


def test_r63_a_list_waits_until_somebody_confirms(tenant: Tenant) -> None:
    moved = ask(a_deployment(tenant, mover="list"), "anna.rossi@contoso.com")

    assert (moved.state, moved.is_done) == (State.WAITING, False)


def test_r63_a_program_gets_one_user_and_the_target_and_may_be_called_again(
    tenant: Tenant, programs: Path, tmp_path: Path
) -> None:
    called = tmp_path / "called"
    pool = by_program(tenant, programs, f'printf "%s\\n" "$#" "$1" "$2" >> {called}; echo "Anna is on $2."')
    first, second = ask(pool, "anna.rossi@contoso.com"), ask(pool, "anna.rossi@contoso.com")

    assert first == second
    assert (first.state, first.sentence) == (State.MOVED, "Anna is on Pool B.")
    assert called.read_text().splitlines() == ["2", "anna.rossi@contoso.com", "Pool B"] * 2


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'No such account.'; exit 1", "No such account."),
        ("echo 'Unknown.'; exit 3", "Unknown."),
        ("echo 'The pool does not answer.' >&2; exit 2", "The pool does not answer."),
        ("kill -9 $$", "move-user was ended by signal 9."),
        ("exit 1", "move-user ended with status 1 and printed nothing."),
    ],
)
def test_r63_whatever_else_a_program_answers_is_a_failure_with_its_sentence(
    tenant: Tenant, programs: Path, script: str, sentence: str
) -> None:
    moved = ask(by_program(tenant, programs, script), "anna.rossi@contoso.com")

    assert moved.state is State.FAILED
    assert moved.sentence.startswith(sentence)


def test_r63_a_program_that_does_not_end_is_stopped(
    tenant: Tenant, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movers, "TIMEOUT", 0.3)
    moved = ask(by_program(tenant, programs, "exec sleep 60"), "anna.rossi@contoso.com")

    assert moved.state is State.FAILED
    assert "look whether it is moved, then retry" in moved.sentence


def test_r71_a_program_that_is_not_there_is_a_failure_that_says_whom_to_ask(tenant: Tenant, programs: Path) -> None:
    pool = a_deployment(tenant, "new", mover="command", mover_command="move-user")
    moved = ask(pool, "anna.rossi@contoso.com")

    assert moved.state is State.FAILED
    assert "Ask the operator of MMS" in moved.sentence


def test_r71_a_user_who_looks_like_an_option_is_not_handed_over(tenant: Tenant, programs: Path, tmp_path: Path) -> None:
    pool = by_program(tenant, programs, f"touch {tmp_path / 'called'}")
    moved = ask(pool, "-x@contoso.com")

    assert moved.state is State.FAILED
    assert not (tmp_path / "called").exists()


def test_r63_each_user_has_an_answer_of_their_own(tenant: Tenant, programs: Path, make_user: Any) -> None:
    users = [make_user(name) for name in ("anna", "bruno")]
    pool = by_program(tenant, programs, 'case "$1" in anna*) exit 0;; esac; echo "Locked."; exit 1')
    found = {user.upn: moved.sentence for user, moved in move(users, pool)}

    assert found == {
        "anna@contoso.com": "The program has moved the account.",
        "bruno@contoso.com": "Locked.",
    }


# --- the list ------------------------------------------------------------------------------------------


def test_r63_the_list_has_one_sip_address_on_each_line(make_user: Any) -> None:
    users = [make_user("anna", sip_address="sip:Anna.Rossi@contoso.com"), make_user("bruno")]

    assert list_file(users) == "anna.rossi@contoso.com\r\nbruno@contoso.com\r\n"


@pytest.mark.parametrize(
    ("legacy", "new", "line"),
    [
        (
            {},
            {"name": "pool-b.contoso.com", "kind": "on-premises"},
            "Move-CsUser -UserList 'users-to-move.txt' -Target 'pool-b.contoso.com' -MoveConferenceData",
        ),
        (
            {},
            {"name": "Pool B", "kind": "on-premises"},
            "Move-CsUser -UserList 'users-to-move.txt' -Target '<full name of the pool Pool B>' -MoveConferenceData",
        ),
        ({}, {}, "Move-CsUser -UserList 'users-to-move.txt' -Target 'sipfed.online.lync.com'"),
        (
            {"kind": "online"},
            {"name": "O'Hara's pool", "kind": "on-premises"},
            "Move-CsUser -UserList 'users-to-move.txt' -Target '<full name of the pool O''Hara''s pool>'",
        ),
    ],
)
def test_r63_the_command_line_never_forces(
    tenant: Tenant, legacy: dict[str, str], new: dict[str, str], line: str
) -> None:
    told = command_line(a_deployment(tenant, **legacy), a_deployment(tenant, "new", **new))

    assert told == line
    assert "-Force" not in told


def test_r63_the_content_of_meetings_may_stay(tenant: Tenant) -> None:
    pool = a_deployment(tenant, "new", name="pool-b.contoso.com", kind="on-premises")

    assert "-MoveConferenceData" not in command_line(a_deployment(tenant), pool, with_content=False)


def test_r63_a_result_says_of_each_user_what_became_of_them(make_user: Any) -> None:
    anna = make_user("anna", sip_address="anna.rossi@contoso.com")
    bruno, clara = make_user("bruno"), make_user("clara")
    text = (
        "\ufeffSipAddress;Result;Message\r\n"
        "sip:Anna.Rossi@contoso.com;Moved;\r\n"
        "\r\n"
        "bruno@contoso.com;failed;Access denied\r\n"
    )
    results = of_users([anna, bruno, clara], read_result(text))

    assert {key: (moved.state, str(moved.sentence)) for key, moved in results.items()} == {
        anna.pk: (State.MOVED, "Somebody has confirmed that the account is moved."),
        bruno.pk: (State.FAILED, "The account was not moved: Access denied"),
    }


def test_r63_a_result_may_leave_the_message_out_and_name_users_by_upn(anna: ConferencingUser) -> None:
    results = of_users([anna], read_result("UserPrincipalName,Result\nanna.rossi@contoso.com,error\n"))

    assert results[anna.pk].state is State.FAILED
    assert "report of Move-CsUser" in results[anna.pk].sentence


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", ["The file must begin with a line of columns"]),
        ("Name,Result\nanna,moved\n", ["The file must begin with a line of columns"]),
        (
            "UserPrincipalName,Result\n,moved\nanna@contoso.com,perhaps\nbruno@contoso.com,\n",
            [
                "Line 2 names no user: correct it.",
                "Line 3: perhaps is no result: write moved or failed.",
                "Line 4: an empty cell is no result: write moved or failed.",
            ],
        ),
        (
            "UserPrincipalName,Result\nanna@contoso.com,moved\nAnna@contoso.com,failed\n",
            ["Line 3 names anna@contoso.com again: name each once."],
        ),
        ('UserPrincipalName,Result\n"anna@contoso.com,moved\n', ["Line 2: this is no CSV"]),
    ],
)
def test_r63_a_result_that_cannot_be_used_is_refused_as_a_whole(text: str, sentences: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        read_result(text)

    assert len(refused.value.messages) == len(sentences)
    assert all(told.startswith(wanted) for told, wanted in zip(refused.value.messages, sentences, strict=True))
