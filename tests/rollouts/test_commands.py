"""Rollouts and their members by command (section 10 of the specification)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError

from migrations_app.models import BridgeMapping, Rollout, WaveMember
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.commands import Command
from tests.support.only_reads import only_reads
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]


def test_a_rollout_is_defined_listed_and_changed_by_command(
    command: Command, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    old, new = a_deployment(tenant), a_deployment(tenant, "new")
    belong_to(old, [], old_bridge)
    belong_to(new, [], new_bridge)
    told = command(
        "new_rollout", "Everyone online", "--from", "old pool", "--to", "New service", "--notify", "alice@contoso.com"
    )
    assert told == (
        "Everyone online: new rollout with the waves Test users, Pilot, Everyone; import_wave_members says who is in "
        "them.\n"
    )
    rollout = Rollout.objects.get()
    assert rollout.addresses == ["alice@contoso.com"]
    command("set_rollout", "everyone ONLINE", "--batches", "1,5", "--max-failed-percent", "0", "--name", "Online")
    command(
        "set_rollout", "Online", "--map-bridge", "Old bridge=New bridge", "--map-number", "+14255550100=+442079460123"
    )
    command("set_rollout", "Online", "--wave", "2", "--observe-days", "14", "--rename-wave", "Friends", "--put", "1")
    command(
        "set_rollout", "Online", "--add-wave", "Sales", "--wave", "Sales", "--filter", "q=sales", "--wave-batches", "2"
    )
    rows = json.loads(command("get_rollout", "Online", "--format", "json"))
    assert [(row["Wave"], row["State"], row["ObserveDays"], row["Batches"], row["Filter"]) for row in rows] == [
        ("Friends", "Draft", 14, "1,5", ""),
        ("Test users", "Draft", 1, "1,5", ""),
        ("Sales", "Draft", 0, "2", "q=sales"),
        ("Everyone", "Draft", 0, "1,5", ""),
    ]
    assert BridgeMapping.objects.get().new_bridge == new_bridge
    assert "Friends" in command("get_rollout")
    command(
        "set_rollout", "Online", "--remove-wave", "Sales", "--map-bridge", "Old bridge=", "--close", "Not this year"
    )
    rollout.refresh_from_db()
    assert rollout.is_finished
    assert not BridgeMapping.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--observe-days", "3"], "Say with --wave which wave is meant."),
        (["--wave", "Pilot", "--split", "1"], "--split and --into go together."),
        (["--map-bridge", "Old bridge"], "is no line of a mapping"),
        (["--map-bridge", "No such=New bridge"], "has no bridge No such"),
        (["--wave", "Fourth", "--put", "1"], "There is no wave To the new service/Fourth"),
        (["--batches", "0"], "“0” is no batch size"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_changes_nothing(
    command: Command, tenant: Tenant, new_bridge: Bridge, arguments: list[str], told: str
) -> None:
    a_rollout(tenant)
    with pytest.raises(CommandError, match=told):
        command("set_rollout", "To the new service", "--max-failed-percent", "50", *arguments)
    assert Rollout.objects.get().max_failed_percent == 5


def test_all_of_a_change_is_saved_or_nothing(command: Command, tenant: Tenant) -> None:
    a_rollout(tenant)
    with pytest.raises(CommandError, match="already a wave Pilot"):
        command("set_rollout", "To the new service", "--max-failed-percent", "50", "--add-wave", "Pilot")
    assert Rollout.objects.get().max_failed_percent == 5


@pytest.fixture
def rollout(tenant: Tenant, make_users: MakeUsers) -> Rollout:
    rollout = a_rollout(tenant)
    belong_to(rollout.legacy, make_users({"anna": {}, "bruno": {}}))
    return rollout


def test_members_are_imported_and_listed_by_command_r65(command: Command, rollout: Rollout, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text("UserPrincipalName,Wave,Reason\nanna@contoso.com,Pilot,She asked\nnobody@contoso.com,Pilot,\n")
    name = "To the new service"
    errors = io.StringIO()
    with pytest.raises(CommandError, match="1 bad row, so nothing was written"):
        command("import_wave_members", str(file), "--rollout", name, errors=errors)
    assert errors.getvalue() == (
        "line 3: There is no user nobody@contoso.com: correct the name, or add the user first.\n"
    )
    with only_reads():
        told = command("import_wave_members", str(file), "--rollout", name, "--skip-bad-rows", "--dry-run")
    assert told == "1 added, 0 there already, 1 skipped.\nPilot: 1\nDry run: nothing was written.\n"
    assert not WaveMember.objects.exists()
    assert "1 added" in command("import_wave_members", str(file), "--rollout", name, "--skip-bad-rows")
    assert "0 added, 1 there already" in command("import_wave_members", str(file), "--rollout", name, "--skip-bad-rows")
    (row,) = json.loads(command("get_wave_member", "--wave", "Pilot", "--format", "json"))
    assert (row["UserPrincipalName"], row["State"], row["Reason"], row["Source"]) == (
        "anna@contoso.com",
        "Waiting",
        "She asked",
        "file",
    )


def test_members_are_listed_by_state(command: Command, rollout: Rollout) -> None:
    users = list(ConferencingUser.objects.order_by("upn"))
    members(a_wave(rollout), users[:1], state="Failed", failure="It failed.")
    members(a_wave(rollout, 2), users[1:])
    told = command("get_wave_member", "--state", "failed")
    assert "anna@contoso.com" in told
    assert "It failed." in told
    assert "bruno@contoso.com" not in told
    assert command("get_wave_member", "--rollout", "To the new service", "--state", "Done") == "No member is listed.\n"
