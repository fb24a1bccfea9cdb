"""Deployments: what they may be, who may belong to one, and how one is retired and taken back (R60, R89)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from migrations_app.models import Run
from tenants_app.changes.bridges import register_number, release_number, remove_bridge, set_bridge
from tenants_app.changes.deployments import (
    change_deployment,
    create_deployment,
    move_users,
    remove_deployment,
    retire_deployment,
    unretire_deployment,
)
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.csv_files.users_out import user_lines
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.rollouts import a_deployment, a_rollout, belong_to
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
POOL: dict[str, Any] = {
    "name": "Pool B",
    "kind": "on-premises",
    "role": "new",
    "meeting_hosts": ["meet.contoso.com"],
}


# --- what it may be ------------------------------------------------------------------------------------


def test_r60_a_deployment_is_kept_as_it_was_meant(tenant: Tenant) -> None:
    made = create_deployment(
        tenant,
        ACTOR,
        **POOL | {"name": " Pool B ", "meeting_hosts": ["Meet.Contoso.com", "meet.contoso.com.", ""]},
        meeting_service="link",
        meeting_url="https://rooms.contoso.com/",
        check_hosts=["FE1.contoso.com", "10.0.0.5"],
    )
    made.refresh_from_db()
    entry = AuditEntry.objects.latest("pk")

    assert (made.name, made.meeting_hosts, made.meeting_url) == (
        "Pool B",
        ["meet.contoso.com"],
        "https://rooms.contoso.com",
    )
    assert made.hosts_in_reach == {"meet.contoso.com", "fe1.contoso.com", "10.0.0.5"}
    assert (entry.action, entry.target) == ("create deployment", "Pool B")
    assert entry.after["meeting_hosts"] == "meet.contoso.com"


@pytest.mark.parametrize(
    ("values", "field", "told"),
    [
        ({"name": "POOL A"}, "name", "There is already a deployment Pool A: choose another name."),
        ({"name": "None"}, "name", "None has a meaning of its own: choose another name."),
        ({"name": ""}, "name", None),
        ({"kind": "hybrid"}, "kind", "'hybrid' is not on offer: choose one of the list."),
        ({"role": "both"}, "role", "'both' is not on offer: choose one of the list."),
        ({"meeting_hosts": []}, "meeting_hosts", None),
        ({"meeting_hosts": ["https://meet.contoso.com"]}, "meeting_hosts", None),
        ({"meeting_hosts": [f"h{n}.contoso.com" for n in range(51)]}, "meeting_hosts", None),
        ({"check_hosts": ["two words"]}, "check_hosts", None),
        ({"meeting_url": "http://rooms.contoso.com"}, "meeting_url", None),
        ({"meeting_url": "https://rooms.contoso.com/?a=b"}, "meeting_url", None),
        ({"meeting_service": "teams"}, "meeting_service", None),
        ({"mover": "command"}, "mover_command", "Name the program that moves the accounts."),
        ({"mover_command": "../move"}, "mover_command", None),
        ({"mover_command": "-rf"}, "mover_command", None),
        ({"highest_client_version": "16\n17"}, "highest_client_version", None),
    ],
)
def test_r60_what_a_deployment_cannot_be(tenant: Tenant, values: dict[str, Any], field: str, told: str | None) -> None:
    a_deployment(tenant, name="Pool A")
    before = everything_stored()
    with pytest.raises(ValidationError) as refused:
        create_deployment(tenant, ACTOR, **POOL | values)

    assert list(refused.value.message_dict) == [field]
    assert told is None or refused.value.message_dict[field] == [told]
    assert everything_stored() == before


def test_r60_the_link_service_needs_a_meeting_url_of_deployment_or_tenant(tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, meeting_service="none", meeting_url="")
    with pytest.raises(ValidationError):
        create_deployment(tenant, ACTOR, **POOL, meeting_service="link")

    made = create_deployment(tenant, ACTOR, **POOL, meeting_service="link", meeting_url="https://rooms.contoso.com")
    assert made.pk is not None


def test_two_tenants_may_call_their_deployments_alike(tenant: Tenant, command: Command) -> None:
    command("new_tenant", "fabrikam", "--name", "Fabrikam", "--domain", "fabrikam.com")
    for each in Tenant.objects.all():
        create_deployment(each, ACTOR, **POOL)

    assert Deployment.objects.count() == 2


def test_a_change_is_audited_with_what_differs_and_starts_nothing(anna: ConferencingUser, tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    belong_to(pool, [anna])
    change_deployment(pool, ACTOR, meeting_hosts=["LYNC.contoso.com", "pool.contoso.com"], role="legacy")
    entry = AuditEntry.objects.latest("pk")

    assert (entry.before, entry.after) == (
        {"meeting_hosts": "lync.contoso.com"},
        {"meeting_hosts": "lync.contoso.com, pool.contoso.com"},
    )
    assert not Run.objects.exists()
    count = AuditEntry.objects.count()
    change_deployment(pool, ACTOR, role="legacy")
    assert AuditEntry.objects.count() == count


def test_the_kind_stays_while_users_belong_to_it(anna: ConferencingUser, tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    belong_to(pool, [anna])
    with pytest.raises(ValidationError) as refused:
        change_deployment(pool, ACTOR, kind="online")

    assert refused.value.message_dict == {
        "kind": ["1 user belongs to Old pool and is hosted as it is: move them first."]
    }
    belong_to(a_deployment(tenant, "new"), [anna])
    assert change_deployment(pool, ACTOR, kind="online").kind == "online"


# --- removing, retiring ---------------------------------------------------------------------------------


def test_a_deployment_with_users_is_not_removed_and_one_without_leaves_its_bridges(
    anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge
) -> None:
    pool = a_deployment(tenant)
    belong_to(pool, [anna], old_bridge)
    with pytest.raises(ValidationError, match="1 user belongs to Old pool: move them first"):
        remove_deployment(pool, ACTOR)
    change_user(anna, ACTOR, deployment=None)
    remove_deployment(pool, ACTOR)
    old_bridge.refresh_from_db()

    assert not Deployment.objects.exists()
    assert old_bridge.deployment is None
    assert AuditEntry.objects.latest("pk").before == {"bridges": "Old bridge"}


def test_a_deployment_of_a_rollout_stays(tenant: Tenant, old_bridge: Bridge) -> None:
    rollout = a_rollout(tenant)
    with pytest.raises(ValidationError, match="Old pool is part of a rollout, whose record stays: retire it instead"):
        remove_deployment(rollout.legacy, ACTOR)

    assert Deployment.objects.filter(pk=rollout.legacy_id).exists()


def test_r89_a_retired_deployment_says_since_when_and_by_whom_and_can_be_taken_back(tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    retired = retire_deployment(pool, ACTOR, reason="The pool is empty.")

    assert (retired.is_retired, retired.retired_by) == (True, ACTOR.name)
    assert AuditEntry.objects.latest("pk").after == {"retired": True, "reason": "The pool is empty."}
    with pytest.raises(ValidationError, match="Old pool is retired already, since "):
        retire_deployment(pool, ACTOR)
    back = unretire_deployment(pool, ACTOR, reason="Too early.")
    assert (back.is_retired, back.retired_by) == (False, "")
    with pytest.raises(ValidationError, match="Old pool is not retired: nothing to take back"):
        unretire_deployment(pool, ACTOR)


def test_r89_who_has_users_is_not_retired(anna: ConferencingUser, tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    belong_to(pool, [anna])

    with pytest.raises(ValidationError, match="1 user belongs to Old pool: move them first"):
        retire_deployment(pool, ACTOR)


@pytest.mark.parametrize("how", ["released", "with the bridge"])
def test_r89_once_its_numbers_are_released_it_stays_retired(tenant: Tenant, old_bridge: Bridge, how: str) -> None:
    pool = a_deployment(tenant)
    bridge = set_bridge(tenant, "Of the pool", ACTOR, deployment=pool)
    register_number(bridge, "+390212345670", "toll", ACTOR)
    number = register_number(bridge, "+390212345671", "toll", ACTOR)
    before = register_number(bridge, "+390212345672", "toll", ACTOR)
    release_number(before, ACTOR)
    retire_deployment(pool, ACTOR)
    unretire_deployment(pool, ACTOR)  # what was released before says nothing
    retire_deployment(pool, ACTOR)
    if how == "released":
        release_number(number, ACTOR)
    else:
        remove_bridge(bridge, ACTOR)

    with pytest.raises(ValidationError, match="Old pool stays retired: numbers of its bridges were released on "):
        unretire_deployment(pool, ACTOR)
    assert Deployment.objects.get().is_retired


# --- users who are made there ----------------------------------------------------------------------------


def test_a_new_user_of_a_deployment_is_hosted_as_it_is(tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    user = create_user(tenant, ACTOR, upn="bruno@contoso.com", deployment=pool)

    assert (user.deployment, user.hosting) == (pool, "on-premises")
    retire_deployment(a_deployment(tenant, "new"), ACTOR)
    with pytest.raises(ValidationError, match="Nobody can be moved to New service"):
        create_user(tenant, ACTOR, upn="clara@contoso.com", deployment=Deployment.objects.get(name="New service"))


# --- files -----------------------------------------------------------------------------------------------


def imported(command: Command, path: Path, *rows: str) -> str:
    file = path / "users.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return command("import_users", str(file))


def test_a_file_of_users_moves_them_and_the_same_file_again_changes_nothing(
    command: Command, anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, tmp_path: Path
) -> None:
    belong_to(a_deployment(tenant), [anna], old_bridge)
    belong_to(a_deployment(tenant, "new"), [], new_bridge)
    rows = ["UserPrincipalName,Deployment", f"{anna.upn},new SERVICE", "bruno@contoso.com,Old pool"]
    imported(command, tmp_path, *rows)
    anna.refresh_from_db()

    assert (str(anna.deployment), anna.hosting, anna.bridge) == ("New service", "online", new_bridge)
    assert Run.objects.filter(user=anna).count() == 1
    bruno = ConferencingUser.objects.get(upn="bruno@contoso.com")
    assert (str(bruno.deployment), bruno.hosting) == ("Old pool", "on-premises")
    before = everything_stored()
    imported(command, tmp_path, *rows)
    assert everything_stored() == before


def test_what_is_exported_goes_in_again_and_changes_nothing(
    command: Command, anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge, tmp_path: Path
) -> None:
    belong_to(a_deployment(tenant), [anna], old_bridge)
    text = "".join(user_lines(ConferencingUser.objects.all()))
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["Deployment"] == "Old pool"
    before = everything_stored()
    (tmp_path / "users.csv").write_text(text, encoding="utf-8")
    command("import_users", str(tmp_path / "users.csv"))

    assert everything_stored() == before


def test_a_row_may_name_the_bridge_beside_the_deployment(
    command: Command, anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, tmp_path: Path
) -> None:
    belong_to(a_deployment(tenant), [anna], old_bridge)
    belong_to(a_deployment(tenant, "new"), [], new_bridge)
    imported(command, tmp_path, "UserPrincipalName,Deployment,Bridge", f"{anna.upn},New service,Old bridge")
    anna.refresh_from_db()

    assert (str(anna.deployment), anna.bridge) == ("New service", old_bridge)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Nowhere,", "Deployment: Contoso has no deployment Nowhere: add it first, or correct the name."),
        ("New service,", "Nobody can be moved to New service: it has been retired since "),
        (
            "Cloud,OnPremises",
            "anna.rossi@contoso.com belongs to Cloud, which is online: move them to another deployment instead.",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_nothing_is_written(
    command: Command, anna: ConferencingUser, tenant: Tenant, tmp_path: Path, row: str, told: str
) -> None:
    belong_to(a_deployment(tenant), [anna])
    a_deployment(tenant, "new", name="Cloud")
    retire_deployment(a_deployment(tenant, "new"), ACTOR)
    before = everything_stored()
    (tmp_path / "users.csv").write_text(f"UserPrincipalName,Deployment,Hosting\n{anna.upn},{row}\n")
    errors = io.StringIO()
    with pytest.raises(CommandError) as refused:
        command("import_users", str(tmp_path / "users.csv"), errors=errors)

    assert told in errors.getvalue() + str(refused.value)
    assert everything_stored() == before


def test_a_file_takes_a_user_out_of_their_deployment(
    command: Command, anna: ConferencingUser, tenant: Tenant, tmp_path: Path
) -> None:
    belong_to(a_deployment(tenant), [anna])
    imported(command, tmp_path, "UserPrincipalName,Deployment", f"{anna.upn},none")
    anna.refresh_from_db()

    assert (anna.deployment, anna.hosting) == (None, "on-premises")


# --- commands --------------------------------------------------------------------------------------------


def test_deployments_by_command(command: Command, tenant: Tenant, old_bridge: Bridge) -> None:
    told = command(
        *("new_deployment", "Pool A", "--kind", "on-premises", "--role", "LEGACY"),
        *("--meeting-host", "lync.contoso.com", "--meeting-host", "lync2.contoso.com", "--mover", "list"),
    )
    assert told.startswith("Pool A: new deployment. ")
    command("set_dial_in_conferencing_bridge", "Old bridge", "--deployment", "pool a")
    (row,) = json.loads(command("get_deployment", "--format", "json"))
    assert row == {
        "Name": "Pool A",
        "Kind": "on-premises",
        "Role": "legacy",
        "MeetingHosts": ["lync.contoso.com", "lync2.contoso.com"],
        "MeetingService": "tenant",
        "MeetingUrl": "",
        "Bridges": ["Old bridge"],
        "CheckHosts": [],
        "Mover": "list",
        "MoverCommand": "",
        "LowestClientVersion": "",
        "HighestClientVersion": "",
        "Users": 0,
        "RetiredDate": None,
        "RetiredBy": "",
    }
    changed = command("set_deployment", "Pool A", "--rename", "Pool Z", "--check-host", "FE1.contoso.com")
    assert changed == "Pool Z: Name Pool A → Pool Z\nPool Z: CheckHosts none → fe1.contoso.com\n"
    command("set_dial_in_conferencing_bridge", "Old bridge", "--deployment", "none")
    assert json.loads(command("get_deployment", "pool z", "--format", "json"))[0]["Bridges"] == []
    assert command("remove_deployment", "Pool Z", "--dry-run").startswith("Pool Z: can be removed.")
    assert command("remove_deployment", "Pool Z") == "Pool Z: removed.\n"


def test_a_bridge_is_left_where_it_belongs_unless_that_is_given(command: Command, old_bridge: Bridge) -> None:
    pool = a_deployment(old_bridge.tenant)
    belong_to(pool, [], old_bridge)
    command("set_dial_in_conferencing_bridge", "Old bridge", "--conference-ids-from", "service")
    old_bridge.refresh_from_db()

    assert old_bridge.deployment == pool


def test_a_user_is_moved_by_command_after_a_dry_run_has_said_the_same(
    command: Command, anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    belong_to(a_deployment(tenant), [anna], old_bridge)
    belong_to(a_deployment(tenant, "new"), [], new_bridge)
    move = ("set_dial_in_conferencing_user", "--user", anna.upn, "--deployment", "New service")
    before = everything_stored()
    foreseen = command(*move, "--dry-run")
    assert everything_stored() == before
    told = command(*move)

    assert "Bridge Old bridge → New bridge" in told
    assert "Deployment Old pool → New service" in told
    assert all(line in told for line in foreseen.splitlines() if " → " in line and "Conference" not in line)
    assert "moved to the deployment New service" in told


def test_move_user_takes_a_deployment_instead_of_a_target(
    command: Command, anna: ConferencingUser, tenant: Tenant
) -> None:
    belong_to(a_deployment(tenant), [anna])
    a_deployment(tenant, "new")
    command("move_user", "--user", anna.upn, "--deployment", "New service")
    anna.refresh_from_db()

    assert (str(anna.deployment), anna.hosting) == ("New service", "online")
    with pytest.raises(CommandError, match="belongs to New service, which is online"):
        command("move_user", "--user", anna.upn, "--target", "on-premises")


def test_without_deployments_everything_is_as_before(anna: ConferencingUser, new_bridge: Bridge) -> None:
    (told,) = change_user(anna, ACTOR, bridge=new_bridge)

    assert told.sentence == "Run, because the user moved to the bridge New bridge."
    assert move_users(anna.tenant, [], Deployment(tenant=anna.tenant), ACTOR) == []
