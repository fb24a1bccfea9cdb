"""Commands as cron and scripts meet them: exit status, standard error, no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import IO

import pytest
from django.core.management import get_commands

from tests.support.processes import ROOT, ManagePy

Manage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def manage(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Manage]:
    """Runs manage.py over a database of its own, with one tenant and one user."""
    folder = tmp_path_factory.mktemp("commands")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MMS_", "DJANGO_"))},
        "MMS_DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
    }
    with ManagePy(environment) as forked:

        def run(
            *arguments: str, text: str = "", output: IO[bytes] | None = None, **more: str
        ) -> subprocess.CompletedProcess[str]:
            if output is None and not more:
                return forked.run(*arguments, text=text)
            return subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env={**environment, **more},
                input=text,
                stdout=output or subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                timeout=120,
            )

        shutil.copy(migrated, folder / "db.sqlite3")
        assert run("new_tenant", "contoso", "--name", "Contoso", "--domain", "contoso.com").returncode == 0
        assert run("import_users", "-", text="UserPrincipalName\nanna.rossi@contoso.com\n").returncode == 0
        yield run


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["get_meeting_migration_status"], 0, ""),
        (["get_dial_in_conferencing_user", "--user", "nobody@contoso.com"], 1, "There is no user nobody@contoso.com"),
        (["import_users", "/nowhere/users.csv"], 1, "/nowhere/users.csv cannot be read"),
        (["explain_meeting", "/nowhere/a.ics"], 1, "/nowhere/a.ics cannot be read"),
        (["explain_meeting", "manage.py"], 1, "manage.py: The object has text outside BEGIN:VCALENDAR"),
        (["explain_meeting"], 2, "PATH"),
        (["set_tenant", "--settling-time", "999999999"], 1, "settling time"),
        (["get_dial_in_conferencing_user"], 2, "--user"),
        (["get_meeting_migration_status", "--start-time", "soon"], 2, "'soon' is not a time"),
        (["set_tenant_migration_configuration", "--meeting-migration-enabled", "2"], 2, "write true or false"),
        (["move_user", "--user", "anna.rossi@contoso.com", "--target", "moon"], 2, "moon"),
        (["set_tenant"], 2, "Give at least one setting"),
        (["prune_history", "--days", "0"], 2, "at least 1"),
        (
            ["set_dial_in_conferencing_user", "--user", "x", "--conference-id", "1", "--reset-conference-id"],
            2,
            "cannot be given together with",
        ),
        (["start_meeting_migration"], 2, "--user"),
        (["unassign_service_number", "--number", "+14255550100"], 2, "--replace-with"),
        (["unassign_service_number", "--number", "12", "--replace-with", "+14255550100"], 2, "'12' is not a number"),
        (["replace_service_number", "--from", "+14255550100", "--to", "+999"], 2, "'+999' is not a number"),
        (["replace_service_number", "--from", "+14255550100", "--to", "+14255550122"], 1, "is not a service number of"),
    ],
)
def test_the_exit_status_and_the_sentence(manage: Manage, arguments: list[str], code: int, words: str) -> None:
    done = manage(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["get_tenant", "--tennant", "contoso"], "There is no option --tennant: did you mean --tenant?"),
        (["get_tenant", "--zoom=\x1b[31mred"], "There is no option --zoom."),
        (["get_tenant", "contoso"], "'contoso' is one argument too many."),
        (["get_tenant", "--tenant"], "--tenant needs a value after it."),
        (["get_tenant", "--format", "xml"], "'xml' is not possible for --format: choose from 'table', 'json', 'csv'."),
        (["get_dial_in_conferencing_user"], "Give --user."),
        (["serve", "--once=yes"], "--once takes no value, but is given 'yes'."),
        (["serve", "--port", "http"], "--port: 'http' is not a port: give a number from 1 to 65535."),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(manage: Manage, arguments: list[str], sentence: str) -> None:
    done = manage(*arguments)
    command = arguments[0]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{command}: {sentence} See python manage.py {command} --help.\n"


def test_r31_wrong_usage_of_every_command_is_one_line(manage: Manage) -> None:
    """Django's own commands keep their way."""
    own = sorted(name for name, app in get_commands().items() if app in {"migrations_app", "tenants_app"})
    assert len(own) > 40
    for name in own:
        done = manage(name, "--no-such-option")
        lines = (done.stdout + done.stderr).splitlines()
        # Of the checks monitoring reads one line on standard output, and UNKNOWN.
        assert (done.returncode, len(lines)) == (3 if name.startswith("check_") and done.stdout else 2, 1), name
        assert re.search("There is no option --no-such-option|Give ", lines[0]), name


@pytest.mark.parametrize(
    "arguments",
    [
        ["set_tenant", "--name", "\udcff"],
        ["get_tenant", "--tenant", "\udcff"],
        ["get_dial_in_conferencing_user", "--user", "\udcff@contoso.com"],
        ["set_dial_in_conferencing_user", "--user", "anna.rossi@contoso.com", "--bridge", "\udcff"],
        ["set_dial_in_conferencing_bridge", "\udcff"],
        ["new_tenant", "fabrikam", "--name", "\udcff", "--domain", "fabrikam.com"],
        ["grant_role", "\udcff", "--role", "viewer"],
    ],
)
def test_bytes_that_are_no_text_are_answered_in_one_line(manage: Manage, arguments: list[str]) -> None:
    before = manage("get_tenant", "--format", "json").stdout
    done = manage(*arguments)
    assert done.returncode == 2
    assert "is not UTF-8 text: give it in UTF-8." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert manage("get_tenant", "--format", "json").stdout == before


def test_a_terminal_that_cannot_show_the_answer_is_named(manage: Manage) -> None:
    assert manage("set_tenant", "--footer-text", "né").returncode == 0
    done = manage("get_tenant", "--format", "json", PYTHONIOENCODING="ascii")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "set PYTHONIOENCODING=utf-8" in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "http", "9" * 5000])
def test_a_port_that_cannot_be_is_wrong_usage(manage: Manage, port: str) -> None:
    done = manage("serve", f"--port={port}")
    assert done.returncode == 2
    assert "is not a port: give a number from 1 to 65535." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_checks_answer_with_their_exit_status(manage: Manage) -> None:
    assert manage("check_migrations").returncode == 0
    assert manage("check_worker").returncode == 2
    wrong = manage("check_migrations", "--warning", "x")
    assert (wrong.returncode, wrong.stdout[:14], wrong.stderr) == (3, "MMS UNKNOWN - ", "")


def test_a_database_that_is_not_prepared_is_said_in_one_line(manage: Manage, tmp_path: Path) -> None:
    done = manage("get_tenant", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert (done.returncode, done.stderr) == (
        1,
        "CommandError: The database is not prepared for this version: run python manage.py migrate.\n",
    )


def test_a_reader_that_has_enough_is_no_reason_for_a_traceback(manage: Manage) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed_pipe:
        done = manage("get_tenant", output=closed_pipe)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_reader_that_has_enough_in_the_middle_of_a_query_is_none_either(manage: Manage, tmp_path: Path) -> None:
    """More rows than a pipe takes in, so that the command is still printing when its reader, like ``head``, stops."""
    names = [f"user{number}@contoso.com" for number in range(400)]
    assert manage("import_users", "-", text="\n".join(["UserPrincipalName", *names])).returncode == 0
    (tmp_path / "names").write_text("\n".join(names))
    assert manage("start_meeting_migration", "--users-from", str(tmp_path / "names")).returncode == 0
    reader, writer = os.pipe()

    def read_a_little() -> None:
        os.read(reader, 1)
        os.close(reader)

    Thread(target=read_a_little).start()
    with os.fdopen(writer, "wb") as pipe:
        done = manage("get_meeting_migration_status", "--format", "csv", output=pipe)
    assert (done.returncode, done.stderr) == (1, "")
