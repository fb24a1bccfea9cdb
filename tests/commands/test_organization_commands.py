"""Tenants, roles, accounts, bridges, numbers and switches, by command."""

from __future__ import annotations

import csv
import getpass
import io
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.test import Client

from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Role, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command


def test_it_makes_a_tenant_and_says_what_comes_next(command: Command) -> None:
    told = command("new_tenant", "contoso", "--name", "Contoso", "--domain", "Contoso.com", "--settling-time", "0")
    tenant = Tenant.objects.get()
    assert (tenant.domain, tenant.settling_time) == ("contoso.com", 0)
    assert "  import_users FILE.csv --tenant contoso\n  import_meetings PATH --user UPN --tenant contoso\n" in told


def test_it_refuses_a_second_tenant_of_that_name(command: Command, tenant: Tenant) -> None:
    with pytest.raises(CommandError, match=r"already a tenant contoso: change it with set_tenant\.$"):
        command("new_tenant", "contoso", "--name", "C", "--domain", "contoso.com")


def test_it_says_which_value_of_a_new_tenant_is_wrong(command: Command) -> None:
    with pytest.raises(CommandError, match="domain: Give a domain name"):
        command("new_tenant", "contoso", "--name", "C", "--domain", "not a domain")
    assert not Tenant.objects.exists()


def test_it_asks_for_a_tenant_where_there_are_several(command: Command, tenant: Tenant) -> None:
    command("new_tenant", "fabrikam", "--name", "Fabrikam", "--domain", "fabrikam.com")
    with pytest.raises(CommandError, match=r"several tenants: choose one with --tenant \(contoso, fabrikam\)"):
        command("get_service_number")
    assert "fabrikam.com" in command("get_tenant", "--tenant", "fabrikam")
    assert [row["Slug"] for row in json.loads(command("get_tenant", "--format", "json"))] == ["contoso", "fabrikam"]


def test_it_names_a_tenant_that_is_not_there(command: Command, tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="There is no tenant nowhere"):
        command("get_service_number", "--tenant", "nowhere")


def test_without_any_tenant_it_says_how_to_make_one(command: Command) -> None:
    with pytest.raises(CommandError, match="make one with new_tenant"):
        command("get_service_number")


def test_it_changes_only_the_settings_that_are_given(command: Command, tenant: Tenant) -> None:
    told = command("set_tenant", "--footer-text", "Be kind.", "--attendee-limit", "100")
    tenant.refresh_from_db()
    assert (tenant.footer_text, tenant.attendee_limit, tenant.name) == ("Be kind.", 100, "Contoso")
    assert "Contoso: AttendeeLimit 250 → 100" in told
    assert AuditEntry.objects.latest("pk").actor == f"command:{getpass.getuser()}"


def test_r9_it_says_why_a_changed_meeting_url_or_service_starts_no_run(
    command: Command, anna: ConferencingUser
) -> None:
    address = command("set_tenant", "--meeting-url", "https://join.contoso.com")
    service = command("set_tenant", "--meeting-service", "none")
    quiet = command("set_tenant", "--settling-time", "5")
    stay = "does not start one: existing meetings stay where they are hosted.\n"
    assert address.endswith(f"Contoso: No run, because a changed meeting URL {stay}")
    assert service.splitlines() == [
        "Contoso: MeetingService link → none",
        f"Contoso: No run, because a changed meeting service {stay}".strip(),
    ]
    assert "No run" not in quiet
    assert not ConferencingUser.objects.out_of_date().exists()


def test_r36_it_says_why_changed_texts_start_no_run(command: Command, tenant: Tenant) -> None:
    told = command("set_tenant", "--help-url", "https://contoso.com/help")
    assert "No run, because a tenant's addresses and texts start none" in told
    assert "show the old ones until start_meeting_migration --out-of-date. Out of date now: 0" in told


@pytest.mark.parametrize("spelling", ["false", "False", "off"])
def test_r12_it_switches_the_service_off(command: Command, tenant: Tenant, spelling: str) -> None:
    told = command("set_tenant_migration_configuration", "--meeting-migration-enabled", spelling)
    assert "MeetingMigrationEnabled true → false" in told
    shown = json.loads(command("get_tenant_migration_configuration", "--format", "json"))
    assert shown == {"Tenant": "contoso", "MeetingMigrationEnabled": False}


def test_a_switch_value_that_is_neither_true_nor_false_changes_nothing(command: Command, tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="'maybe' is not a switch value: write true or false"):
        command("set_tenant_migration_configuration", "--meeting-migration-enabled", "maybe")
    tenant.refresh_from_db()
    assert tenant.meeting_migration_enabled


def test_r13_r14_it_sets_each_switch_by_itself(command: Command, tenant: Tenant) -> None:
    command("set_dial_in_conferencing_tenant_settings", "--automatically-migrate-user-meetings", "false")
    command("set_dial_in_conferencing_tenant_settings", "--automatically-replace-acp-provider", "true")
    assert json.loads(command("get_dial_in_conferencing_tenant_settings", "--format", "json")) == {
        "Tenant": "contoso",
        "AutomaticallyMigrateUserMeetings": False,
        "AutomaticallyReplaceAcpProvider": True,
    }
    with pytest.raises(CommandError) as caught:
        command("set_dial_in_conferencing_tenant_settings")
    assert caught.value.returncode == 2


def test_a_new_administrator_chooses_a_password_with_the_link_once(
    command: Command, tenant: Tenant, client: Client
) -> None:
    told = command(
        "new_administrator", "alice", "--email", "alice@contoso.com", "--address", "https://mms.contoso.com/"
    )
    account = get_user_model().objects.get(username="alice")
    assert not account.has_usable_password()
    assert not account.is_staff
    link = told.strip().splitlines()[-1]
    assert link.startswith("https://mms.contoso.com/")
    form = client.get(link.removeprefix("https://mms.contoso.com"), follow=True)
    assert form.status_code == 200
    password = "correct horse battery staple 7"
    client.post(form.redirect_chain[-1][0], {"new_password1": password, "new_password2": password})
    account.refresh_from_db()
    assert account.check_password(password)
    again = Client().get(link.removeprefix("https://mms.contoso.com"), follow=True)
    assert not again.context["validlink"]


def test_the_link_for_a_new_administrator_leads_to_the_address_of_the_site(
    command: Command, tenant: Tenant, settings: Any
) -> None:
    settings.MMS_BASE_URL = "https://mms.example.org"
    told = command("new_administrator", "alice", "--email", "alice@contoso.com")
    assert told.splitlines()[-1].startswith("https://mms.example.org/accounts/")


def test_it_does_not_hand_out_a_link_for_somebody_elses_account(command: Command, tenant: Tenant) -> None:
    command("new_administrator", "alice", "--email", "alice@contoso.com")
    with pytest.raises(CommandError, match="already an account alice"):
        command("new_administrator", "alice", "--email", "mallory@example.org")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("alice", "--email", "nonsense"), "Give an address such as anna@contoso.com."),
        (("al ice", "--email", "alice@contoso.com"), "A user name has letters, digits and"),
    ],
)
def test_it_refuses_an_account_that_cannot_be(
    command: Command, tenant: Tenant, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        command("new_administrator", *arguments)
    assert not get_user_model().objects.exists()


def test_it_grants_a_role_and_replaces_the_one_there_was(command: Command, tenant: Tenant) -> None:
    command("new_administrator", "alice", "--email", "alice@contoso.com")
    command("grant_role", "alice", "--role", "viewer")
    assert command("grant_role", "alice", "--role", "operator") == "alice is operator of Contoso.\n"
    assert Role.objects.get().name == "operator"
    with pytest.raises(CommandError, match="There is no account bob: make it with new_administrator"):
        command("grant_role", "bob", "--role", "viewer")


def test_it_makes_a_bridge_with_numbers_and_lists_them(command: Command, tenant: Tenant) -> None:
    command("set_dial_in_conferencing_bridge", "Europe", "--default")
    command("register_service_number", "+44 20 7946 0123", "--bridge", "europe", "--type", "toll", "--city", "London")
    command("register_service_number", "tel:+442079460124", "--bridge", "Europe", "--type", "toll")
    told = command("set_dial_in_conferencing_bridge", "EUROPE", "--default-number", "+442079460124")
    assert "Europe: DefaultNumber +442079460123 → +442079460124" in told
    (bridge,) = json.loads(command("get_dial_in_conferencing_bridge", "--format", "json"))
    assert bridge == {
        "Name": "Europe",
        "IsDefault": True,
        "Provider": "Microsoft",
        "ConferenceIdsFrom": "mms",
        "DefaultNumber": "+442079460124",
        "Deployment": "",
        "ServiceNumbers": ["+442079460123", "+442079460124"],
        "UserCount": 0,
    }
    rows = list(csv.DictReader(io.StringIO(command("get_service_number", "--format", "csv"))))
    assert [(row["Number"], row["Type"], row["IsDefault"], row["City"]) for row in rows] == [
        ("+442079460123", "toll", "false", "London"),
        ("+442079460124", "toll", "true", ""),
    ]


def test_it_says_that_a_bridges_own_settings_start_no_run(
    command: Command, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    register_number(old_bridge, "+14255550101", "toll", ACTOR)
    told = command("set_dial_in_conferencing_bridge", "Old bridge", "--default-number", "+14255550101")
    assert "No run, because a bridge's own settings start none" in told
    assert "1 user up to date with start_meeting_migration --out-of-date." in told


def test_it_refuses_a_number_twice_and_a_bridge_that_is_not_there(command: Command, old_bridge: Bridge) -> None:
    with pytest.raises(CommandError, match="already registered, on the bridge Old bridge"):
        command("register_service_number", "+14255550100", "--bridge", "Old bridge", "--type", "toll")
    with pytest.raises(CommandError, match="Contoso has no bridge Mars: choose one of Old bridge"):
        command("register_service_number", "+14255550199", "--bridge", "Mars", "--type", "toll")


def test_a_table_lines_up_and_lets_nothing_steer_the_terminal(command: Command, tenant: Tenant) -> None:
    bridge = set_bridge(tenant, "Bridge 東京", ACTOR)
    Bridge.objects.filter(pk=bridge.pk).update(name="Bridge \x1b[31m 東京")  # from before names were checked for it
    set_bridge(tenant, "Z", ACTOR)
    header, rule, *rows = command("get_dial_in_conferencing_bridge").splitlines()
    assert header.split()[:3] == ["Name", "IsDefault", "Provider"]
    assert set(rule) == {"-", " "}
    two_wide_characters = 2
    assert rows[0].index("false") + two_wide_characters == header.index("IsDefault")
    assert rows[1].index("false") == header.index("IsDefault")
    assert "\x1b" not in "".join(rows)
