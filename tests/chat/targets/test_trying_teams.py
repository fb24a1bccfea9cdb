"""What the check of a real organization tells apart, by behaviours of the stand-in, and that it stands in the guide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from migrations_app.chat.targets import teams_trying
from migrations_app.tenant_checks.findings import Verdict
from tests.support.graph_stand_in import GraphStandIn
from tests.support.teams_chat_stand_in import ROLES, opened

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
    assert checked(teams) == {"chat team": Verdict.FAILED}
    assert not teams.routes.chat.teams


def test_each_question_stands_in_the_guide(teams: GraphStandIn) -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "microsoft-365.md").read_text(encoding="utf-8")
    _, _, chapter = page.partition(" What only your tenant can tell\n")
    documented = set(re.findall(r"`([^`]+)`", chapter))
    asked = {name for name in checked(teams) if name != "tidying up"}
    assert len(asked) > 8
    assert asked <= documented
