"""Text from outside steers neither a terminal nor a spreadsheet nor a log, wherever a command shows it."""

from __future__ import annotations

import csv
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError
from django.db.models import CharField, TextField

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run, UserImport
from migrations_app.procedures import user_import
from mms_site.logs import OneLine
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user, create_users
from tenants_app.csv_files.cells import restored
from tenants_app.management.base import SafeOutput
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.processes import ManagePy

ESC = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


def assert_harmless(text: str) -> None:
    assert text
    assert not set(text) & {*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e"} - {"\n", "\t"}


@pytest.mark.parametrize("formula", ['=HYPERLINK("https://evil.example.org")', "@SUM(1)", "+cmd|x", "-2+3", "'=1"])
def test_csv_by_command_runs_nothing_in_a_spreadsheet(
    command: Command, anna: ConferencingUser, make_run: Callable[..., Run], formula: str
) -> None:
    make_run(anna, meetings=[(formula, "Succeeded", "")])
    (row,) = csv.DictReader(
        io.StringIO(command("get_meeting_migration_history", "--user", anna.upn, "--format", "csv"))
    )

    assert row["Subject"] == f"'{formula}"
    assert restored(row["Subject"]) == formula


def test_csv_by_command_leaves_numbers_as_they_are(command: Command, old_bridge: Bridge) -> None:
    (row,) = csv.DictReader(io.StringIO(command("get_service_number", "--format", "csv")))

    assert row["Number"] == "+14255550100"


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
def test_no_listing_steers_the_terminal(
    command: Command, anna: ConferencingUser, make_run: Callable[..., Run], format_: str
) -> None:
    make_run(anna, "Failed", meetings=[(f"Weekly {ESC}", "Failed", "unreadable-calendar-object")])
    EmbeddedMailbox(anna).store([("m", invitation(anna, "m").replace(b"SUMMARY:", f"SUMMARY:{ESC}".encode()))])
    history = command("get_meeting_migration_history", "--user", anna.upn, "--format", format_)

    assert "Weekly" in history
    assert_harmless(history)
    assert_harmless(command("start_meeting_migration", "--user", anna.upn, "--dry-run", "--format", format_))


def test_no_cell_of_a_file_steers_the_terminal(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    path = tmp_path / f"{ESC.replace('/', '')}.csv"
    path.write_text(f'UserPrincipalName,Bridge\n{anna.upn},"{ESC}"\n"{ESC}",\n')
    errors = io.StringIO()
    with pytest.raises(CommandError):
        command("import_users", str(path), errors=errors)

    assert_harmless(errors.getvalue())


@pytest.fixture(scope="module")
def manage() -> Iterator[ManagePy]:
    with ManagePy(os.environ) as forked:
        yield forked


@pytest.mark.parametrize(
    "arguments",
    [
        ["import_users", f"/nowhere/{ESC}.csv"],
        ["import_meetings", f"/nowhere/{ESC}.ics", "--user", "anna.rossi@contoso.com"],
        ["get_dial_in_conferencing_user", "--user", ESC],
        ["get_tenant", ESC],
        ["get_service_number", "--tenant", ESC],
        ["explain_meeting", f"/nowhere/{ESC}.ics"],
        ["load_demo", ESC],
        ["serve", ESC],
    ],
)
def test_no_complaint_steers_the_terminal(manage: ManagePy, arguments: list[str]) -> None:
    done = manage.run(*arguments)
    assert done.returncode != 0
    assert_harmless(done.stderr)


def test_every_command_writes_through_what_escapes() -> None:
    ours = {name: app for name, app in get_commands().items() if app in {"tenants_app", "migrations_app"}}
    commands = {name: load_command_class(app, name) for name, app in ours.items()}
    assert len(commands) > 30
    assert {name for name, found in commands.items() if not isinstance(found, SafeOutput)} == set()


def test_a_line_break_forges_no_line_of_the_log() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine("{levelname} {message}", style="{"))
    logger = logging.Logger("forged")
    logger.addHandler(handler)
    logger.warning("The bridge %s is gone", f"x\nINFO all is well\r\n{ESC}")
    try:
        raise ValueError(f"x\nINFO all is well{ESC}")
    except ValueError:
        logger.exception("It failed")

    assert_harmless(stream.getvalue())
    assert [line for line in stream.getvalue().splitlines() if line.startswith("INFO")] == []
    assert "x\\nINFO all is well" in stream.getvalue().splitlines()[0]


CONTROLS = ["a\nb", "a\rb", "a\tb", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u2028b", "\x07"]


@pytest.mark.parametrize("name", CONTROLS)
def test_names_have_no_control_characters(tenant: Tenant, anna: ConferencingUser, name: str) -> None:
    changes: list[Callable[[], Any]] = [
        lambda: set_bridge(tenant, name, ACTOR),
        lambda: set_bridge(tenant, "Old bridge", ACTOR, provider=name),
        lambda: change_tenant(tenant, ACTOR, name=name),
        lambda: change_user(anna, ACTOR, display_name=name),
        lambda: change_user(anna, ACTOR, conferencing_provider=name),
        lambda: create_users(tenant, [{"upn": "bruno@contoso.com", "display_name": name}], ACTOR),
        lambda: change_tenant(tenant, ACTOR, help_url=f"https://contoso.com/{name}"),
    ]
    for change in changes:
        with pytest.raises(ValidationError):
            change()


def test_every_name_is_checked_for_control_characters() -> None:
    """Each text of the models that people write either has a choice, or a check that refuses an escape sequence."""
    unchecked = []
    for model in (Tenant, Bridge, ServiceNumber, ConferencingUser):
        for field in model._meta.get_fields():
            if isinstance(field, CharField | TextField) and field.editable and not field.choices:
                try:
                    field.run_validators("x\x1b[31m")
                    unchecked.append(f"{model.__name__}.{field.name}")
                except ValidationError:
                    pass
    assert not unchecked
    assert apps.get_model("auth", "User")._meta.get_field("username").validators


def test_a_file_is_named_without_control_characters(tenant: Tenant, anna: ConferencingUser) -> None:
    user_import.submit(tenant, f"{ESC}\nusers.csv", f"UserPrincipalName\n{anna.upn}\n", ACTOR)

    assert_harmless(UserImport.objects.get().file_name.replace("\n", "\x00"))
