"""check_teams against the stand-in."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from migrations_app.graph_access import graph_for
from migrations_app.tenant_checks import trying_teams
from tenants_app.models import MailboxConnection
from tests.support.commands import Command
from tests.support.graph_stand_in import GraphStandIn
from tests.support.graph_stand_in.adding import simple
from tests.tenant_checks.conftest import ANNA


def meeting(online: GraphStandIn) -> str:
    begins = timezone.now() + timedelta(days=3)
    key = online.teams_meeting(ANNA, simple("weekly", ANNA, begins, begins + timedelta(hours=1)))
    return online.event(ANNA, key).join_url


def refused(*arguments: str) -> str:
    """What the command says before it exits with 1."""
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_teams", "--user", ANNA, *arguments, stdout=output)
    assert ended.value.code == 1
    return output.getvalue()


def test_the_facts_of_a_meeting_are_told(command: Command, online: GraphStandIn, connection: MailboxConnection) -> None:
    told = command("check_teams", "--user", ANNA, "--join-url", meeting(online))

    assert "ok      permission: OnlineMeetings.ReadWrite.All is consented to." in told
    assert f"ok      licence: {ANNA} has a licence with audio conferencing." in told
    assert f"ok      policy: Teams lets the application act for {ANNA}." in told
    assert "ok      dial-in facts: Teams tells +1 323-555-0166, 833-555-0123 and the conference ID" in told
    assert {request.method for request in online.requests} == {"GET"}


def test_without_a_meeting_the_policy_is_tried_all_the_same(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    told = command("check_teams", "--user", ANNA)

    assert f"ok      policy: Teams lets the application act for {ANNA}." in told
    assert "open    dial-in facts: Name a meeting of the user with --join-url" in told


def test_a_missing_policy_is_named_and_ends_it(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.mailbox(ANNA).user.teams_policy = False
    told = refused("--join-url", meeting(online))

    assert "FAILED  policy: No application access policy of Teams lets the application act" in told
    assert "dial-in facts" not in told


def test_a_missing_permission_is_named(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.application.roles = ("User.Read.All",)

    assert "FAILED  permission: OnlineMeetings.ReadWrite.All is not consented to" in refused()


def test_a_user_without_a_licence_has_a_link_and_no_numbers(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.mailbox(ANNA).user.licensed = False
    told = command("check_teams", "--user", ANNA, "--join-url", meeting(online))

    assert "note    licence: anna.rossi@contoso.com has no licence with audio conferencing" in told
    assert "note    dial-in facts: The meeting has a join link, and no numbers" in told


def test_a_meeting_of_somebody_else_is_told(online: GraphStandIn, connection: MailboxConnection) -> None:
    assert "FAILED  dial-in facts: Teams knows no meeting" in refused("--join-url", "https://teams.microsoft.com/x'y")


def test_one_meeting_is_made_for_one_name_and_taken_away(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    told = command("check_teams", "--write-to", ANNA)

    assert "ok      made once: Asked twice under one name, Teams made one meeting." in told
    assert "ok      language: Teams gives the text in the language that is asked for." in told
    assert "ok      tidying up: The meeting was deleted." in told
    assert told.index("MMS will have Teams make one online meeting") < told.index("made once")
    assert online.meetings == []


@pytest.mark.parametrize(
    ("fault", "verdict"), [({"status": 403, "code": "Forbidden"}, "FAILED"), ({"cut": "after", "times": 2}, "open")]
)
def test_what_was_made_before_a_failure_is_taken_away(
    online: GraphStandIn,
    connection: MailboxConnection,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    verdict: str,
) -> None:
    asked = trying_teams._asked

    def failing_in_german(graph: Any, path: str, name: str, now: datetime, language: str) -> Any:
        if language == "de-DE":
            assert len(online.meetings) == 1
            online.fail_next(method="POST", path="createOrGet", **fault)
        return asked(graph, path, name, now, language)

    monkeypatch.setattr(trying_teams, "_asked", failing_in_german)
    with graph_for(connection) as graph:
        found = {each.question: each for each in trying_teams.check(graph, user=ANNA, now=timezone.now())}

    assert (found["made once"].verdict, found["tidying up"].verdict) == (verdict, "ok")
    assert online.meetings == []


def test_an_organizer_must_be_named(command: Command, online: GraphStandIn, connection: MailboxConnection) -> None:
    with pytest.raises(CommandError, match="Name an organizer with --user"):
        command("check_teams")
