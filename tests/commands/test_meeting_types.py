"""Source and target types, and what dry runs list about each meeting, by command (R40, R44)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from django.core.management.base import CommandError

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run
from tenants_app.changes.bridges import register_number
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.samples import TEAMS_URL, teams_text
from tests.support.two_tenants import everything_stored

SKYPE_URL = "https://meet.contoso.com/anna.rossi/OLD1KEY2"
MakeUser = Callable[..., ConferencingUser]
FIELDS = [
    "UserPrincipalName",
    "MeetingUid",
    "Subject",
    "StartDate",
    "Outcome",
    "Reason",
    "Message",
    "Recipients",
    "MeetingService",
    "JoinUrlBefore",
    "JoinUrlAfter",
    "BlockBefore",
    "BlockAfter",
]


@pytest.fixture
def anna(make_user: MakeUser) -> ConferencingUser:
    """With a meeting of Skype for Business and one of Teams."""
    user = make_user("anna.rossi")
    teams = invitation(user, "teams", text=teams_text())
    EmbeddedMailbox(user).store([("skype", invitation(user, "skype")), ("teams", teams)])
    return user


def start(user: ConferencingUser, *more: str) -> tuple[str, ...]:
    return ("start_meeting_migration", "--user", user.upn, *more)


@pytest.mark.parametrize(
    ("types", "name"),
    [
        ((), "ToSameType"),
        (("--target-meeting-type", "Current"), "ToSameType"),
        (("--target-meeting-type", "link"), "AllToLink"),
        (("--source-meeting-type", "SKYPEFORBUSINESS", "--target-meeting-type", "Link"), "SkypeForBusinessToLink"),
        (("--source-meeting-type", "Teams"), "ToSameType"),
    ],
)
def test_r40_r44_a_start_names_its_types_in_any_case(
    command: Command, anna: ConferencingUser, types: tuple[str, ...], name: str
) -> None:
    assert "Run, because it was started by hand" in command(*start(anna, *types))
    (run,) = json.loads(command("get_meeting_migration_status", "--format", "json", "--migration-type", name))
    assert run["MigrationType"] == name
    others = {"ToSameType", "AllToLink"} - {name}
    assert all(
        "There are no such runs" in command("get_meeting_migration_status", "--migration-type", o) for o in others
    )


@pytest.mark.parametrize(
    ("types", "sentence"),
    [
        (
            ("--source-meeting-type", "Skype"),
            "'Skype' is not a source meeting type: use All, SkypeForBusiness, Teams, Link.",
        ),
        (("--target-meeting-type", "Zoom"), "'Zoom' is not a target meeting type: use Current, Teams, Link."),
    ],
)
def test_r40_a_typo_is_wrong_usage_and_names_the_choices(
    command: Command, anna: ConferencingUser, types: tuple[str, ...], sentence: str
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError) as caught:
        command(*start(anna, *types))

    assert sentence in str(caught.value)
    assert caught.value.returncode == 2 or "error" in str(caught.value).lower()
    assert everything_stored() == before


@pytest.mark.parametrize(
    ("changed", "target", "words"),
    [
        ({}, "Teams", "Contoso has no connection to Teams, so no meeting can move there"),
        ({"meeting_url": ""}, "Link", "give it a meeting URL, or choose the target Current."),
        ({"meeting_service": "none"}, "Link", "make Link its meeting service, or choose the target Current."),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_r40_a_target_that_the_tenant_has_no_connection_for_is_refused_and_nothing_written(
    command: Command, anna: ConferencingUser, changed: dict[str, str], target: str, words: str, more: tuple[str, ...]
) -> None:
    Tenant.objects.update(**changed)
    before = everything_stored()
    with pytest.raises(CommandError) as caught:
        command(*start(anna, "--target-meeting-type", target, *more))

    assert words in str(caught.value)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    assert everything_stored() == before


def test_r40_a_dry_run_says_of_every_meeting_whether_it_moves_and_counts_both(
    command: Command, anna: ConferencingUser
) -> None:
    stays = command(*start(anna, "--dry-run"))
    moves = command(
        *start(anna, "--source-meeting-type", "SkypeForBusiness", "--target-meeting-type", "Link", "--dry-run")
    )

    assert "stays in Skype for Business" in stays
    assert stays.endswith("2 would stay in their meeting service.\n")
    assert "moves from Skype for Business to Link" in moves
    assert "stays in Teams" in moves
    assert moves.endswith("1 would move from Skype for Business to Link and 1 would stay in its meeting service.\n")
    assert not Run.objects.exists()


def test_r40_a_dry_run_shows_what_the_pending_run_moves_as_well(command: Command, anna: ConferencingUser) -> None:
    command(*start(anna, "--target-meeting-type", "Link"))

    assert "2 would move" not in command(*start(anna, "--dry-run"))
    assert "1 would move from Teams to Link" in command(*start(anna, "--dry-run"))


def listed(command: Command, *arguments: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(command(*arguments, "--dry-run", "--format", "json"))
    assert [list(row) for row in rows] == [FIELDS] * len(rows)
    return rows


def test_r40_what_a_dry_run_lists(command: Command, anna: ConferencingUser) -> None:
    rows = {row["MeetingUid"]: row for row in listed(command, *start(anna, "--target-meeting-type", "Link"))}
    skype = rows["skype"]

    assert skype["UserPrincipalName"] == anna.upn
    assert (skype["Outcome"], skype["Reason"], skype["Recipients"]) == ("Succeeded", "", 1)
    assert skype["MeetingService"] == "SkypeForBusiness"
    assert skype["JoinUrlBefore"] == SKYPE_URL
    assert skype["JoinUrlAfter"] == "made when the run starts"
    assert "(206) 555-0111" in str(skype["BlockBefore"])
    assert "+1 425-555-0100" in str(skype["BlockAfter"])
    table = list(csv.DictReader(io.StringIO(command(*start(anna), "--dry-run", "--format", "csv"))))
    assert [list(row) for row in table] == [FIELDS[:-2]] * 2


def test_r40_changes_of_a_user_list_what_their_run_would_do(
    command: Command, anna: ConferencingUser, new_bridge: Bridge, make_user: MakeUser
) -> None:
    EmbeddedMailbox(mover := make_user("nora", hosting="on-premises")).store([("skype", invitation(mover, "skype"))])
    before = everything_stored()
    changed = listed(command, "set_dial_in_conferencing_user", "--user", anna.upn, "--bridge", "New bridge")
    moved = listed(command, "move_user", "--user", mover.upn, "--target", "online")

    assert {row["MeetingUid"]: row["JoinUrlAfter"] for row in changed} == {
        "skype": SKYPE_URL,
        "teams": TEAMS_URL,
    }
    assert all("+44 20 7946 0123" in str(row["BlockAfter"]) for row in changed)
    assert [row["JoinUrlAfter"] for row in moved] == ["made when the run starts"]
    assert everything_stored() == before


def test_r40_a_change_that_starts_nothing_lists_nothing_and_says_why(command: Command, anna: ConferencingUser) -> None:
    errors = io.StringIO()
    arguments = ("set_dial_in_conferencing_user", "--user", anna.upn, "--sip-address", "a.rossi@contoso.com")
    output = command(*arguments, "--dry-run", "--format", "json", errors=errors)

    assert json.loads(output) == []
    assert "No run, because a changed SIP address does not start one" in errors.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ("unassign_service_number", "--number", "+14255550111", "--replace-with", "+14255550100"),
        ("replace_service_number", "--from", "+14255550111", "--to", "+14255550199"),
    ],
)
def test_r32_r40_the_number_commands_list_what_their_runs_would_do(
    command: Command, anna: ConferencingUser, old_bridge: Bridge, arguments: tuple[str, ...]
) -> None:
    number = register_number(old_bridge, "+14255550111", "toll", ACTOR)
    change_user(anna, ACTOR, toll_number=number)
    Run.objects.all().delete()
    before = everything_stored()
    rows = listed(command, *arguments)

    assert {row["MeetingUid"] for row in rows} == {"skype", "teams"}
    assert all(row["JoinUrlBefore"] == row["JoinUrlAfter"] for row in rows)
    wanted = "+1 425-555-0199" if "+14255550199" in arguments else "+1 425-555-0100"
    assert all(wanted in str(row["BlockAfter"]) for row in rows)
    assert everything_stored() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("move_user", "--user", "anna.rossi@contoso.com", "--target", "on-premises"),
        ("set_dial_in_conferencing_user", "--user", "anna.rossi@contoso.com", "--license", "remove"),
        ("unassign_service_number", "--number", "+14255550100", "--replace-with", "+14255550100"),
        ("start_meeting_migration", "--user", "anna.rossi@contoso.com"),
    ],
)
def test_a_format_without_a_dry_run_is_wrong_usage(
    command: Command, anna: ConferencingUser, arguments: tuple[str, ...]
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError, match="Only a dry run lists anything") as caught:
        command(*arguments, "--format", "json")

    assert caught.value.returncode == 2
    assert everything_stored() == before


def test_r44_the_history_has_the_service_and_both_join_links(
    command: Command, make_user: MakeUser, make_run: Callable[..., Run]
) -> None:
    nora = make_user("nora")
    run = make_run(nora, "Succeeded", [("Budget", "Succeeded", "")], migration_type="SkypeForBusinessToLink")
    run.results.update(
        meeting_service="SkypeForBusiness", join_url_before="https://lync/b", join_url_after="https://meet/b"
    )
    for form in ("json", "csv"):
        told = command("get_meeting_migration_history", "--user", nora.upn, "--format", form)
        (row,) = json.loads(told) if form == "json" else csv.DictReader(io.StringIO(told))
        assert [row[name] for name in ("MeetingService", "JoinUrlBefore", "JoinUrlAfter")] == [
            "SkypeForBusiness",
            "https://lync/b",
            "https://meet/b",
        ]
