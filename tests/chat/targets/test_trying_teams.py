"""What the check of a real organization tells apart, by behaviours of the stand-in, and that it stands in the guide."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management.base import CommandError

from migrations_app.chat.target_rows import set_target
from migrations_app.chat.targets import teams_graph, teams_trying
from migrations_app.tenant_checks.findings import Verdict
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.graph_stand_in import GraphStandIn
from tests.support.teams_chat_stand_in import ROLES, opened, settings_at

ANN = "ann.lee@contoso.com"


def checked(teams: GraphStandIn, author: str = ANN) -> dict[str, Verdict]:
    with opened(teams) as target:
        found = list(teams_trying.check(target, author=author, now=teams.clock.now()))
    return {str(each.question): each.verdict for each in found}


def test_all_is_well_and_nothing_is_left_behind(teams: GraphStandIn) -> None:
    teams.application.roles = (*ROLES, "Group.ReadWrite.All")
    assert set(checked(teams).values()) == {Verdict.OK}
    assert not teams.routes.chat.teams


@pytest.mark.parametrize(
    ("behaviour", "value", "question", "verdict"),
    [
        ("ids_are_times", False, "chat ids", Verdict.NOTE),
        ("rewrites", True, "chat text", Verdict.NOTE),
        ("stays_private", True, "chat open room", Verdict.NOTE),
    ],
)
def test_each_behaviour_is_told_apart(
    teams: GraphStandIn, behaviour: str, value: bool, question: str, verdict: Verdict
) -> None:
    setattr(teams.routes.chat, behaviour, value)
    assert checked(teams)[question] == verdict


def test_without_the_right_to_delete_the_team_is_named(teams: GraphStandIn) -> None:
    assert checked(teams)["tidying up"] == Verdict.NOTE
    assert len(teams.routes.chat.teams) == 1


def test_nothing_is_made_for_an_author_whom_nobody_knows_or_without_permissions(teams: GraphStandIn) -> None:
    assert checked(teams, "nobody@contoso.com")["chat author"] == Verdict.FAILED
    teams.application.roles = ROLES[1:]
    assert checked(teams) == {"chat permissions": Verdict.FAILED}
    assert not teams.routes.chat.teams


def test_the_command_checks_a_target_of_persistent_chat(
    teams: GraphStandIn,
    tenant: Tenant,
    command: Command,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MMS_DATA_DIR = tmp_path
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_MICROSOFT_ENDPOINTS = [teams.authority, teams.graph]
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(teams_graph, "WAIT", teams.clock.advance)
    monkeypatch.setattr(teams_graph, "CLOCK", lambda: teams.clock.now().timestamp())
    told = settings_at(teams)
    set_target(
        tenant, ACTOR, "Teams", kind="teams", account=told.account, secret=told.secret, options=dict(told.options)
    )
    set_target(tenant, ACTOR, "To read", kind="archive")
    assert "chat permissions" in command("check_teams", "--chat-target", "teams")
    assert not teams.routes.chat.teams
    assert "chat time and author" in command("check_teams", "--chat-target", "Teams", "--write-to", ANN)
    for wrong in ("To read", "Nothing"):
        with pytest.raises(CommandError):
            command("check_teams", "--chat-target", wrong)
    with pytest.raises(CommandError):
        command("check_teams", "--chat-target", "Teams", "--user", ANN)


def test_each_question_stands_in_the_guide(teams: GraphStandIn) -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "microsoft-365.md").read_text(encoding="utf-8")
    _, _, chapter = page.partition(" What only your tenant can tell\n")
    documented = set(re.findall(r"`([^`]+)`", chapter))
    asked = {name for name in checked(teams) if name != "tidying up"}
    assert len(asked) > 8
    assert asked <= documented
