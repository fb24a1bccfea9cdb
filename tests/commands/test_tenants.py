"""Every command of the project, and whose rows it may touch.

A command belongs in one of the tables below; one that stands in none fails the first test.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.alerts.actions import change_alerts
from migrations_app.chat.archive import packing
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import ChatDifference, ChatPlan, MeetingResult, NumberRelease, Rollout, RolloutCheck, Run
from migrations_app.procedures.number_release import start_release
from migrations_app.rewriting.spans import pack
from tenants_app.changes.bridges import register_number
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_plans import a_plan, a_target, imported, stored, write_rooms
from tests.support.commands import Command, invitation
from tests.support.name_server import names
from tests.support.planned import plan_for
from tests.support.rollouts import a_deployment, a_rollout, belong_to, rollouts_of_tables
from tests.support.taken_back import taken_back
from tests.support.two_tenants import Fabrikam, everything_stored, furnish, stored_of

ANNA = "--user {upn}"
ACTS_ON_A_TENANT = {
    "answer_check": "{question} --yes",
    "accept_wave": "{offered_wave}",
    "accept_given_up_messages": "--number {leaving}",
    "accept_chat_difference": "--plan {chat_done} --room 1 --reason known",
    "ask_chat_people": "--plan {chat_done}",
    "check_deliverability": ANNA,
    "export_chat": "--source mms-chat:{chat_zip} --output {exported}",
    "get_chat_answer": "--plan {chat_done}",
    "get_chat_archive": "{chat_archive}",
    "get_chat_import": "{chat_plan}",
    "get_chat_product": "{chat_shelf} --output {product}",
    "get_chat_registration": "{chat_homeserver} --secret-file {chat_token} --output {registration}",
    "get_chat_report": "{chat_plan} --output {report}",
    "get_chat_room": "--plan {chat_plan}",
    "get_chat_step": "{chat_plan}",
    "get_chat_target": "{chat_target}",
    "import_chat": "{chat_zip} --target {chat_target} --what-if",
    "plan_chat_import": "{chat_zip} --target {chat_target}",
    "remove_chat_target": "{spare_chat_target}",
    "set_chat_settings": "--keep-archives-days 30",
    "set_chat_import": "{chat_plan} --room 1 --deselect --reason unread",
    "set_chat_step": "{chat_plan} backups --evidence tape",
    "set_chat_target": "Shelf --kind archive",
    "test_chat_target": "{chat_target}",
    "confirm_moves": "{running_wave} --all",
    "explain_meeting": f"{{meeting}} {ANNA}",
    "export_wave_report": "{offered_wave} --output {report}",
    "export_move_list": "{running_wave} --output {list}",
    "export_meetings": f"{ANNA} --output {{folder}}",
    "export_redirects": "{rollout} --output {redirects}",
    "get_advance_notice": "",
    "get_deployment": "{deployment}",
    "get_dial_in_conferencing_bridge": "",
    "get_dial_in_conferencing_tenant_settings": "",
    "get_dial_in_conferencing_user": ANNA,
    "get_mailbox_connection": "",
    "get_meeting_migration_history": f"{ANNA} --correlation-id {{run}}",
    "get_meeting_migration_status": ANNA,
    "get_alert_configuration": "",
    "get_mail_server": "",
    "get_number_release": "--number {leaving}",
    "get_planned_start": "",
    "get_rollout": "{rollout}",
    "get_service_number": "",
    "get_tenant_migration_configuration": "",
    "get_unmigrated_meeting": ANNA,
    "get_wave_member": "--rollout {rollout}",
    "import_wave_members": "{members} --rollout {rollout}",
    "get_wave": "--wave {running_wave}",
    "grant_role": "vera --role viewer",
    "import_meetings": f"{{meeting}} {ANNA}",
    "import_users": "{users}",
    "migrate_calendar": f"{ANNA} --input {{meeting}} --output {{migrated}} --bridge {{bridge}} --conference-id 7654321",
    "move_user": f"{ANNA} --target on-premises",
    "new_deployment": "Cloud --kind online --role new --meeting-host meet.contoso.com",
    "new_mailbox_connection": "Nextcloud --kind caldav --address https://dav.contoso.com/",
    "pause_wave": "{running_wave}",
    "register_service_number": "+14255550123 --bridge {bridge} --type toll",
    "release_service_number": "--number {leaving} --reason cut",
    "new_rollout": "Another --from {legacy} --to {new}",
    "remove_deployment": "{spare_pool}",
    "remove_mailbox_connection": "{connection}",
    "remove_planned_start": "{plan}",
    "replace_service_number": "--from {toll} --to +442079460199",
    "resume_wave": "{stopped_wave} --reason repaired",
    "retry_wave_member": "{stopped_wave} --user {failed}",
    "retire_deployment": "{deployment} --search",
    "roll_back_wave": "{offered_wave}",
    "set_advance_notice": "--language en --subject {{day}}",
    "set_deployment": "{deployment} --lowest-client-version 16.0",
    "set_dial_in_conferencing_bridge": "{bridge} --default-number {toll}",
    "set_dial_in_conferencing_tenant_settings": "--automatically-migrate-user-meetings false",
    "set_dial_in_conferencing_user": (
        f"{ANNA} --bridge {{bridge}} --toll-number {{toll}} --toll-free-number {{toll_free}}"
    ),
    "set_alert_configuration": "--pause-minutes 20",
    "set_mail_server": "--sender-mode service",
    "set_mailbox_connection": "{connection} --calendars Work",
    "set_rollout": "{rollout} --batches 1,2",
    "set_tenant": "--settling-time 60",
    "set_tenant_migration_configuration": "--meeting-migration-enabled false",
    "start_meeting_migration": ANNA,
    "start_wave": "{draft_wave}",
    "test_alert": "",
    "test_mail_server": "",
    "undo_meeting_migration": "--correlation-id {run}",
    "verify_chat": "--plan {chat_done}",
    "unassign_service_number": "--number {spare} --replace-with {toll}",
}
"""Arguments with which it works in Contoso. A word in braces is the key of a row there, or a file made for the test."""

ASKS_A_SERVER = {
    "check_chat_gate",
    "check_exchange",
    "check_graph",
    "check_rollout",
    "check_teams",
    "test_mailbox_connection",
}
"""They act on a tenant too, and need its server: tests/mailboxes/test_connections.py, tests/tenant_checks/. The exit
status of check_rollout and check_chat_gate is that of a monitoring plugin: tests/rollouts/test_check_commands.py,
tests/chat/test_gate.py."""

LOOKS_AT_ALL_UNLESS_ONE_IS_NAMED = {
    "check_migrations": "",
    "explain_meeting": "{meeting}",
    "get_tenant": "--format json",
}
"""They only read. With ``--tenant`` they look at that tenant's rows alone."""

ABOUT_THE_INSTALLATION = {
    "check_worker",
    "get_chat_script",
    "load_demo",
    "new_administrator",
    "remove_second_factor",
    "new_tenant",
    "prune_history",
    "rotate_secrets",
    "run_cluster",
    "run_migrations",
    "serve",
    "write_documentation",
}
"""They take no ``--tenant``: there is nothing of one tenant that they could be asked for."""

INVENTED = {
    "upn": "nobody@contoso.com",
    "bridge": "Nowhere",
    "toll": "+12065550188",
    "toll_free": "+18005550188",
    "spare": "+12065550189",
    "leaving": "+12065550190",
    "run": str(uuid4()),
    "connection": "Nowhere",
    "deployment": "Nowhere",
    "rollout": "Nowhere",
    "legacy": "Nowhere",
    "new": "Nowhere",
    "plan": "987654",
    "question": "987654",
    "chat_plan": "987654",
    "chat_done": "987653",
    "chat_archive": "Nowhere",
    "chat_target": "Nowhere",
    "chat_homeserver": "Nowhere",
    "chat_shelf": "Nowhere",
    "spare_chat_target": "Nowhere",
    "failed": "nobody@contoso.com",
    "spare_pool": "Nowhere",
    **dict.fromkeys(("draft_wave", "running_wave", "stopped_wave", "offered_wave"), "Nowhere/1"),
}
"""Keys of rows that are nobody's."""


@pytest.fixture(autouse=True)
def nothing_in_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """check_deliverability asks about names: those of a server that knows just enough."""
    spf = ['"v=spf1 -all"']
    with names({("contoso.com.", "TXT"): spf, ("fabrikam.com.", "TXT"): spf}, monkeypatch):
        yield


@pytest.fixture
def fabrikam(tenant: Tenant) -> Fabrikam:
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    return furnish(other)


def run_of(user: ConferencingUser) -> Run:
    run = Run.objects.create(
        tenant=user.tenant,
        user=user,
        state=Run.State.PENDING,
        reasons=[],
        due_at=timezone.now(),
    )
    MeetingResult.objects.create(run=run, uid="planning", outcome=MeetingResult.Outcome.SUCCEEDED, spans=pack([]))
    return run


def connection_of(tenant: Tenant, name: str) -> MailboxConnection:
    return create_connection(tenant, ACTOR, name, address=f"https://dav.{tenant.domain}/")


def question_of(tenant: Tenant, rollout: str) -> str:
    """The number of a check of the rollout that somebody is to answer."""
    found = Rollout.objects.get(tenant=tenant, name=rollout)
    check = RolloutCheck.objects.create(rollout=found, name="Helpdesk", scope="both", kind="manual")
    return str(check.pk)


def leaving_number(bridge: Bridge, number: str, successor: str) -> str:
    """A number that is on its way off the bridge, and whose users were moved."""
    row, other = register_number(bridge, number, "toll", ACTOR), register_number(bridge, successor, "toll", ACTOR)
    release = start_release(row, other, ACTOR, now_due=True)
    NumberRelease.objects.filter(pk=release.pk).update(state="Updating", searched_at=timezone.now())
    return number


@pytest.fixture
def theirs(fabrikam: Fabrikam) -> dict[str, str]:
    """Keys of Fabrikam's rows."""
    EmbeddedMailbox(fabrikam.user).store([("budget", invitation(fabrikam.user, "budget"))])
    return {
        "upn": fabrikam.user.upn,
        "bridge": fabrikam.bridge.name,
        "toll": fabrikam.toll.number,
        "toll_free": fabrikam.toll_free.number,
        "spare": register_number(fabrikam.bridge, "+12065550148", "toll", ACTOR).number,
        "leaving": leaving_number(fabrikam.bridge, "+12065550149", "+12065550150"),
        "run": str(run_of(fabrikam.user).correlation_id),
        "connection": connection_of(fabrikam.tenant, "Harbour-mail").name,
        "plan": str(plan_for(fabrikam.user).pk),
        "deployment": a_deployment(fabrikam.tenant, name="Harbour-pool").name,
        **sides_of(fabrikam.user, "Harbour"),
        "question": question_of(fabrikam.tenant, "Harbour-rollout"),
        **chat_of(fabrikam.tenant, "Harbour", 77),
        "failed": fabrikam.user.upn,
        "spare_pool": a_deployment(fabrikam.tenant, name="Harbour-spare").name,
        **dict.fromkeys(("draft_wave", "running_wave", "stopped_wave", "offered_wave"), "Harbour-rollout/1"),
    }


@pytest.fixture
def contoso(
    fabrikam: Fabrikam,
    anna: ConferencingUser,
    new_bridge: Bridge,
    make_users: Callable[..., list[ConferencingUser]],
    tmp_path: Path,
) -> dict[str, str]:
    """Keys of Contoso's rows, and files to work with."""
    names = ("ida.ek", "jon.as", "kai.lo", "lea.mo", "mia.ny", "noa.wi")
    *of_tables, noa = make_users({name: {} for name in names})
    rollouts_of_tables(new_bridge, *of_tables)
    User.objects.create_user("vera")
    change_alerts(anna.tenant, ACTOR, recipients="ops@contoso.com")
    (tmp_path / "token").write_text("token\n")
    (tmp_path / "meeting.ics").write_bytes(invitation(anna))
    (tmp_path / "members.csv").write_text(f"UserPrincipalName,Wave\n{noa.upn},Pilot\n")
    (tmp_path / "users.csv").write_text(f"UserPrincipalName,Bridge\n{anna.upn},{new_bridge.name}\n")
    return {
        "upn": anna.upn,
        "bridge": new_bridge.name,
        "toll": "+442079460123",
        "toll_free": "+448081570123",
        "spare": register_number(new_bridge, "+442079460124", "toll", ACTOR).number,
        "leaving": leaving_number(new_bridge, "+442079460125", "+442079460126"),
        "run": str(run_of(anna).correlation_id),
        "connection": connection_of(anna.tenant, "Contoso-mail").name,
        "plan": str(plan_for(anna).pk),
        "deployment": a_deployment(anna.tenant, name="Contoso-pool").name,
        **sides_of(noa, "Contoso"),
        "question": question_of(anna.tenant, "Contoso-rollout"),
        **chat_of(anna.tenant, "Contoso", 1),
        "chat_zip": chat_zip(tmp_path),
        "chat_token": str(tmp_path / "token"),
        "draft_wave": "Planned/1",
        "running_wave": "Rolling/1",
        "stopped_wave": "Rolling/2",
        "offered_wave": "Rolling/3",
        "failed": "kai.lo@contoso.com",
        "spare_pool": a_deployment(anna.tenant, name="Contoso-spare").name,
        "list": str(tmp_path / "list.txt"),
        "product": str(tmp_path / "product.zip"),
        "registration": str(tmp_path / "registration.yaml"),
        "report": str(tmp_path / "report.csv"),
        "members": str(tmp_path / "members.csv"),
        "meeting": str(tmp_path / "meeting.ics"),
        "users": str(tmp_path / "users.csv"),
        "folder": str(tmp_path / "exported"),
        "exported": str(tmp_path / "exported.zip"),
        "redirects": str(tmp_path / "redirects.map"),
        "migrated": str(tmp_path / "migrated"),
    }


def chat_of(tenant: Tenant, name: str, number: int) -> dict[str, str]:
    """A plan by which chat of the tenant would be imported, its target, and a target without plans."""
    plan = a_plan(tenant, stored(tenant, name=f"{name}-chat"), a_target(tenant, f"{name}-home"))
    ChatPlan.objects.filter(pk=plan.pk).update(number=number)
    done = imported(a_plan(tenant, plan.archive, a_target(tenant, f"{name}-shelf-with-rooms")))
    ChatDifference.objects.create(room=done.rooms.get(room_id="1"), code="name", sentence="It is called otherwise.")
    spare = a_target(tenant, f"{name}-shelf")
    matrix = {"address": "https://matrix.example.org", "secret": "token", "options": {"server_name": "example.org"}}
    homeserver = a_target(tenant, f"{name}-homeserver", kind="matrix", **matrix)
    return {
        "chat_archive": plan.archive.name,
        "chat_plan": str(number),
        "chat_done": str(done.number),
        "chat_target": plan.target.name,
        "spare_chat_target": spare.name,
        "chat_homeserver": homeserver.name,
        "chat_shelf": done.target.name,
    }


def chat_zip(folder: Path) -> str:
    """An archive as a file."""
    write_rooms(folder / "chat", ["Lobby"], 2)
    packing.pack(folder / "chat", folder / "chat.zip")
    return str(folder / "chat.zip")


def sides_of(user: ConferencingUser, name: str) -> dict[str, str]:
    """A rollout of the user's tenant, and the deployments that it joins, by their names."""
    legacy = a_deployment(user.tenant, name=f"{name}-old")
    new = a_deployment(user.tenant, "new", name=f"{name}-new")
    belong_to(legacy, [user])
    rollout = a_rollout(user.tenant, legacy, new, name=f"{name}-rollout")
    return {"rollout": rollout.name, "legacy": legacy.name, "new": new.name}


def filled(name: str, arguments: str, keys: dict[str, str]) -> list[str]:
    return [name, *(word.format(**keys) for word in arguments.split())]


def own_commands() -> Iterator[tuple[str, bool]]:
    """The project's commands, and whether each takes ``--tenant``."""
    for name, app in get_commands().items():
        if app in {"migrations_app", "tenants_app"}:
            parser = load_command_class(app, name).create_parser("manage.py", name)
            yield name, "--tenant" in parser._option_string_actions


def refusal(*arguments: str) -> str:
    """The sentence on which the command ends with exit status 1."""
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, stdout=io.StringIO(), stderr=io.StringIO())
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the tables ---------------------------------------------------------------------------------------


def test_every_command_is_classified() -> None:
    with_tenant = {*ACTS_ON_A_TENANT, *ASKS_A_SERVER, *LOOKS_AT_ALL_UNLESS_ONE_IS_NAMED}
    unclassified = {name for name, _ in own_commands()} - with_tenant - ABOUT_THE_INSTALLATION

    assert not unclassified, (
        f"Nobody has said whose rows {', '.join(sorted(unclassified))} may touch: put it with its arguments into "
        "ACTS_ON_A_TENANT, or into ABOUT_THE_INSTALLATION where it takes no --tenant."
    )
    assert dict(own_commands()) == dict.fromkeys(with_tenant, True) | dict.fromkeys(ABOUT_THE_INSTALLATION, False)


# --- which tenant -------------------------------------------------------------------------------------


def test_it_asks_which_tenant_and_touches_no_other(
    command: Command,
    contoso: dict[str, str],
    theirs: dict[str, str],
    fabrikam: Fabrikam,
    subtests: pytest.Subtests,
) -> None:
    several = "There are several tenants: choose one with --tenant (contoso, fabrikam)."
    for name, wanted in ACTS_ON_A_TENANT.items():
        with subtests.test(name), taken_back():
            arguments = filled(name, wanted, contoso)
            there, before = stored_of(fabrikam.tenant), everything_stored()

            assert refusal(*arguments) == several
            for unknown in ("nowhere", "", "Contoso"):
                sentence = f"There is no tenant {unknown}: get_tenant lists those there are."
                assert refusal(*arguments, "--tenant", unknown) == sentence
            assert everything_stored() == before
            told = command(*arguments, "--tenant", "contoso")
            assert not re.search("fabrikam|frank|harbour|555.?0147", told, re.IGNORECASE)
            assert stored_of(fabrikam.tenant) == there


# --- rows of another tenant ---------------------------------------------------------------------------


KEYS = [
    (name, key)
    for name, arguments in ACTS_ON_A_TENANT.items()
    for key in re.findall(r"{(\w+)}", arguments)
    if key in INVENTED
]


def test_what_another_tenant_has_is_as_unknown_as_what_nobody_has(
    contoso: dict[str, str], theirs: dict[str, str], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    before = everything_stored()
    for name, key in KEYS:
        with subtests.test(f"{name} {key}"):
            told, asked = [], []
            for keys in (theirs, INVENTED):
                arguments = filled(name, ACTS_ON_A_TENANT[name], contoso | {key: keys[key]})
                with CaptureQueriesContext(connection) as queries:
                    sentence = refusal(*arguments, "--tenant", "contoso")
                told.append(sentence.replace(keys[key], "?"))
                asked.append([re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries])

            assert told[0] == told[1]
            assert not re.search("fabrikam|harbour", told[0], re.IGNORECASE)
            # No clock has to be read: the same questions to the database take the same time.
            assert asked[0] == asked[1]
            assert everything_stored() == before
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize("option", ["--user", "--users-from"])
def test_a_list_with_a_user_of_another_tenant_starts_nobody(
    option: str, contoso: dict[str, str], theirs: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "upns.txt"
    path.write_text(f"{contoso['upn']}\n{theirs['upn']}\n")
    listed = [contoso["upn"], theirs["upn"]] if option == "--user" else [str(path)]
    before = everything_stored()

    for dry_run in ([], ["--dry-run"]):
        told = refusal("start_meeting_migration", option, *listed, "--tenant", "contoso", *dry_run)
        assert told.startswith(f"There is no user {theirs['upn']} in Contoso: check the spelling")
    assert everything_stored() == before


@pytest.mark.parametrize(
    ("column", "key"), [("Bridge", "bridge"), ("TollNumber", "toll"), ("TollFreeNumber", "toll_free")]
)
def test_an_import_knows_no_row_of_another_tenant(
    column: str, key: str, contoso: dict[str, str], theirs: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "users.csv"
    before = everything_stored()
    told = []
    for keys in (theirs, INVENTED):
        path.write_text(f"UserPrincipalName,{column}\n{contoso['upn']},{keys[key]}\n")
        errors = io.StringIO()
        with pytest.raises(CommandError, match="1 bad row, so nothing was written"):
            call_command("import_users", str(path), "--tenant", "contoso", stderr=errors)
        told.append(errors.getvalue().replace(keys[key], "?"))

    assert told[0].startswith(f"line 2: {column}: ")
    assert told[0] == told[1]
    assert everything_stored() == before


def test_what_another_tenant_has_is_free(
    command: Command,
    contoso: dict[str, str],
    theirs: dict[str, str],
    fabrikam: Fabrikam,
    tenant: Tenant,
    tmp_path: Path,
) -> None:
    """A refusal would tell that it exists; so names, numbers and conference IDs are unique in a tenant only."""
    there = stored_of(fabrikam.tenant)
    digits = fabrikam.user.conference_id
    (tmp_path / "users.csv").write_text(
        f"UserPrincipalName,Bridge,TollNumber,ConferenceId\n{theirs['upn']},{theirs['bridge']},{theirs['toll']},{digits}\n"
    )
    for arguments in (
        ["set_dial_in_conferencing_bridge", theirs["bridge"]],
        ["register_service_number", theirs["toll"], "--bridge", theirs["bridge"], "--type", "toll"],
        ["import_users", str(tmp_path / "users.csv")],
    ):
        command(*arguments, "--tenant", "contoso")

    (user,) = ConferencingUser.objects.with_upns(tenant, [theirs["upn"]])
    assert user.bridge
    assert (user.tenant, user.bridge.tenant, user.conference_id) == (tenant, tenant, digits)
    assert tenant.service_numbers.get(number=theirs["toll"]).bridge == user.bridge
    assert stored_of(fabrikam.tenant) == there


# --- all tenants, or one ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOOKS_AT_ALL_UNLESS_ONE_IS_NAMED)
def test_with_a_tenant_it_looks_at_that_one_alone(
    name: str, contoso: dict[str, str], theirs: dict[str, str], fabrikam: Fabrikam, tmp_path: Path
) -> None:
    Run.objects.filter(user=fabrikam.user).update(state=Run.State.FAILED, last_error_code="no-bridge")
    if name == "explain_meeting":
        Path(contoso["meeting"]).write_bytes(invitation(fabrikam.user))
    arguments = filled(name, LOOKS_AT_ALL_UNLESS_ONE_IS_NAMED[name], contoso)
    seen = re.compile("fabrikam,|found in harbour|harbour trading|1 user failed", re.IGNORECASE)
    before = everything_stored()

    assert seen.search(ended(*arguments)[1])
    assert not seen.search(ended(*arguments, "--tenant", "contoso")[1])
    for unknown in ("nowhere", ""):
        code, told = ended(*arguments, "--tenant", unknown)
        assert code in {1, 3}
        assert told.endswith(f"There is no tenant {unknown}: get_tenant lists those there are.")
        assert not seen.search(told)
    assert everything_stored() == before


def ended(*arguments: str) -> tuple[int, str]:
    """The exit status, and what was printed or, where it was refused, the sentence."""
    output = io.StringIO()
    try:
        call_command(*arguments, stdout=output, stderr=io.StringIO())
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as ending:
        return int(str(ending.code)), output.getvalue().strip()
    return 0, output.getvalue()


def test_an_organizer_of_another_tenant_is_as_unknown_as_one_that_nobody_knows(
    command: Command, contoso: dict[str, str], theirs: dict[str, str], fabrikam: Fabrikam
) -> None:
    path = Path(contoso["meeting"])
    told = []
    for name in ("frank.moor", "carla.vega"):
        path.write_bytes(invitation(fabrikam.user).replace(b"frank.moor", name.encode()))
        told.append(command("explain_meeting", str(path), "--tenant", "contoso").replace(name, "?"))

    assert "no user has the organizer's address" in " ".join(told[0].split())
    assert told[0] == told[1]
