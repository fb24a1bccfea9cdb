"""check_exchange against the stand-in for Exchange on-premises."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tenants_app.models import MailboxConnection
from tests.support.commands import Command
from tests.support.ews_stand_in import PASSWORD, EwsStandIn
from tests.tenant_checks.conftest import ANNA, OUTSIDE


def test_each_step_is_told_and_the_scope_is_tried(
    command: Command, exchange: EwsStandIn, connected: MailboxConnection, tmp_path: Path
) -> None:
    path = tmp_path / "exchange.json"
    told = command("check_exchange", "--user", ANNA, "--outside", OUTSIDE, "--report", str(path))

    assert f"ok      scope: The mailbox of {OUTSIDE} is closed to MMS, as it should be." in told
    kept = json.loads(path.read_text())
    verdicts = {found["question"]: found["verdict"] for found in kept["findings"]}
    assert {verdicts[step] for step in ("address", "certificate", "sign-in", "impersonation", "mailbox")} == {"ok"}
    assert {verdicts[question] for question in ("conditions", "HTML", "sequence", "mails")} == {"open"}
    assert PASSWORD not in told + path.read_text()
    assert exchange.requests["UpdateItem"] == 0
    connected.refresh_from_db()
    assert connected.tested_on == ANNA


def test_a_mailbox_outside_that_can_be_reached_is_warned_of(
    command: Command, exchange: EwsStandIn, connected: MailboxConnection
) -> None:
    exchange.scope = None

    assert f"note    scope: The mailbox of {OUTSIDE} can be reached, although it should not be" in command(
        "check_exchange", "--user", ANNA, "--outside", OUTSIDE
    )


def test_what_fails_ends_with_1(exchange: EwsStandIn, connected: MailboxConnection) -> None:
    exchange.scope = set()
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_exchange", "--user", ANNA, stdout=output)

    assert ended.value.code == 1
    assert "FAILED  impersonation: " in output.getvalue()


def test_a_user_must_be_named(command: Callable[..., str], connected: MailboxConnection) -> None:
    with pytest.raises(CommandError, match="Name a user whose mailbox is tried with --user"):
        command("check_exchange")
