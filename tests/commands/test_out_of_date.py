"""Starting everybody who is out of date, by command (R11, R12, R36)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.management.commands import start_meeting_migration
from migrations_app.models import Run
from migrations_app.runs import out_of_date
from migrations_app.runs.out_of_date import users_out_of_date
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import create_user
from tenants_app.fingerprints import note_own_blocks
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation

MakeUser = Callable[..., ConferencingUser]
START = ("start_meeting_migration", "--out-of-date")


@pytest.fixture
def outdated(make_user: MakeUser, tenant: Tenant) -> list[ConferencingUser]:
    """Anna and Bruno with a meeting each; Clara, made later, is up to date."""
    users = [make_user("anna"), make_user("bruno")]
    for user in users:
        EmbeddedMailbox(user).store([(user.upn, invitation(user, user.upn))])
        note_own_blocks(user)
    change_tenant(tenant, ACTOR, help_url="https://contoso.com/help")
    make_user("clara")
    return users


def test_r36_it_starts_everybody_who_is_out_of_date(
    command: Command, outdated: list[ConferencingUser], tenant: Tenant, outbox: Path
) -> None:
    told = command(*START)
    assert told == (
        "anna@contoso.com: Run, because it was started by hand.\n"
        "bruno@contoso.com: Run, because it was started by hand.\n"
    )
    assert {run.user for run in Run.objects.all()} == set(outdated)
    assert AuditEntry.objects.filter(action="start migration", channel="command").count() == 2
    command("run_migrations")
    assert not users_out_of_date(tenant).exists()
    assert command(*START) == "Nobody is out of date.\n"
    assert Run.objects.count() == 2
    assert len(list(outbox.iterdir())) == 2


def test_r36_a_dry_run_lists_their_meetings_and_writes_nothing(
    command: Command, outdated: list[ConferencingUser], tenant: Tenant
) -> None:
    rows = json.loads(command(*START, "--dry-run", "--format", "json"))
    assert [(row["UserPrincipalName"], row["Outcome"]) for row in rows] == [
        ("anna@contoso.com", "Succeeded"),
        ("bruno@contoso.com", "Succeeded"),
    ]
    assert all("+1 425-555-0100" in row["BlockAfter"] for row in rows)
    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(action="start migration").exists()
    assert users_out_of_date(tenant).count() == 2


@pytest.mark.parametrize(
    ("more", "printed"),
    [
        ([], "Nobody is out of date.\n"),
        (["--wait"], "Nobody is out of date.\n"),
        (["--dry-run"], "Nobody is out of date.\n"),
        (["--dry-run", "--format", "json"], "[]\n"),
        (
            ["--dry-run", "--format", "csv"],
            "UserPrincipalName,MeetingUid,Subject,StartDate,Outcome,Reason,Message,Recipients,MeetingService,"
            "JoinUrlBefore,JoinUrlAfter\n",
        ),
    ],
)
def test_r36_where_nobody_is_out_of_date_there_is_nothing_to_do(
    command: Command, anna: ConferencingUser, more: list[str], printed: str
) -> None:
    assert command(*START, *more) == printed
    assert not Run.objects.exists()


@pytest.mark.parametrize(("more", "seconds"), [([], 300), (["--now"], 0)])
def test_r19_now_leaves_out_the_settling_time(
    command: Command, outdated: list[ConferencingUser], tenant: Tenant, more: list[str], seconds: int
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    command(*START, *more)
    assert [run.due_at - run.created for run in Run.objects.all()] == [timedelta(seconds=seconds)] * 2


def test_it_waits_for_the_runs(
    command: Command, outdated: list[ConferencingUser], outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_meeting_migration.time, "sleep", lambda _: command("run_migrations"))
    told = command(*START, "--wait")
    assert told.splitlines()[-1] == "Pending 0, InProgress 0, Failed 0, Succeeded 2"


def test_it_names_those_it_refuses_and_ends_with_status_1(
    command: Command, outdated: list[ConferencingUser], make_user: MakeUser, tenant: Tenant
) -> None:
    make_user("dora", mailbox_location="on-premises")
    make_user("elena", conferencing_provider="Intercall")
    for user in ConferencingUser.objects.all():
        note_own_blocks(user)
    change_tenant(tenant, ACTOR, legal_url="https://contoso.com/legal")
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^2 of 5 users failed or refused: see above\.$") as caught:
        command(*START, errors=errors)
    assert caught.value.returncode == 1
    assert "dora@contoso.com: No run, because the mailbox is on Exchange on-premises" in errors.getvalue()
    assert "elena@contoso.com: No run, because Intercall" in errors.getvalue()
    assert Run.objects.count() == 3


def test_what_it_says_of_many_is_one_line_per_sentence(
    tenant: Tenant, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        make_user(f"user{number:02}", mailbox_location="on-premises" if number % 3 == 0 else "online")
    change_tenant(tenant, ACTOR, local_numbers_url="https://contoso.com/numbers")
    monkeypatch.setattr(out_of_date, "CHUNK", 7)
    output, errors = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match=r"^10 of 30 users failed or refused"):
        call_command(*START, stdout=output, stderr=errors)
    assert output.getvalue() == "20 users: Run, because it was started by hand.\n"
    assert errors.getvalue() == (
        "10 users: No run, because the mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting "
        "Migration Tool instead. The command of the tool is migrate_calendar.\n"
    )
    assert Run.objects.count() == 20


def test_r12_it_is_refused_with_the_reason_while_the_service_is_off(
    command: Command, outdated: list[ConferencingUser], tenant: Tenant
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    for more in ([], ["--dry-run"], ["--wait"]):
        errors = io.StringIO()
        with pytest.raises(CommandError, match="2 of 2 users failed or refused"):
            command(*START, *more, errors=errors)
        assert errors.getvalue().count("No run, because the service is switched off for this tenant") == 2
    assert not Run.objects.exists()


def test_r12_switching_on_says_who_is_out_of_date_and_how_to_start_them(
    command: Command, outdated: list[ConferencingUser]
) -> None:
    switch = ("set_tenant_migration_configuration", "--meeting-migration-enabled")
    off = command(*switch, "false")
    on = command(*switch, "true")
    command(*START)
    again = command(*switch, "true")
    assert "out of date" not in off
    assert on.splitlines()[-1] == (
        "Contoso: 2 users are out of date: their invitations do not say what their settings ask for. "
        "Start their runs with start_meeting_migration --out-of-date."
    )
    assert "out of date" not in again


def test_it_starts_the_users_of_one_tenant(command: Command, outdated: list[ConferencingUser]) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    note_own_blocks(create_user(fabrikam, ACTOR, upn="frank@fabrikam.com"))
    change_tenant(fabrikam, ACTOR, help_url="https://fabrikam.com/help")
    assert command(*START, "--tenant", "fabrikam") == "frank@fabrikam.com: Run, because it was started by hand.\n"
    assert [run.user.upn for run in Run.objects.all()] == ["frank@fabrikam.com"]


@pytest.mark.parametrize("other", [["--user", "anna@contoso.com"], ["--users-from", "-"]])
def test_it_cannot_be_combined_with_other_ways_to_name_users(
    command: Command, outdated: list[ConferencingUser], other: list[str]
) -> None:
    with pytest.raises(CommandError, match="cannot be given together with --out-of-date"):
        command(*START, *other)
    assert not Run.objects.exists()


def test_r36_a_users_record_says_whether_they_are_out_of_date(
    command: Command, outdated: list[ConferencingUser]
) -> None:
    records = {
        name: json.loads(command("get_dial_in_conferencing_user", "--user", f"{name}@contoso.com", "--format", "json"))
        for name in ("anna", "clara")
    }
    assert (records["anna"]["OutOfDate"], records["clara"]["OutOfDate"]) == (True, False)
    assert list(records["anna"])[-1] == "OutOfDate"


def test_r36_changing_what_invitations_show_says_how_many_are_out_of_date(
    command: Command, make_user: MakeUser
) -> None:
    make_user("anna")
    make_user("bruno")
    told = command("set_tenant", "--local-numbers-url", "https://contoso.com/numbers")
    quiet = command("set_tenant", "--settling-time", "60")
    assert told.endswith("until start_meeting_migration --out-of-date. Out of date now: 2 users.\n")
    assert "out of date" not in quiet.lower()
