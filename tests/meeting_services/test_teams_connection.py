"""The connection to Teams as a setting of a tenant: by command, on the page, in files, and what it is refused for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.test import Client

from migrations_app.meeting_services.of_user import service_named, service_of, services_of, why_no_target
from migrations_app.preview.plans import TenantSettings
from migrations_app.targets import MIGRATION_TYPES, NO_SERVICE, TEAMS, Targets
from tenants_app.changes.mailboxes import create_connection, remove_connection
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.pages import settings_form, words
from tests.support.teams import connect_teams, teams_connection
from tests.support.two_tenants import everything_stored


def fresh(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant").get(pk=user.pk)


def test_r39_by_command(command: Command, anna: ConferencingUser) -> None:
    connection = teams_connection(anna.tenant)
    told = command("set_tenant", "--teams-connection", "microsoft 365", "--meeting-service", "teams")
    assert "TeamsConnection" in told
    assert "→ Microsoft 365" in told
    record = json.loads(command("get_tenant", "--tenant", "contoso", "--format", "json"))
    record = record[0] if isinstance(record, list) else record
    assert (record["TeamsConnection"], record["MeetingService"]) == ("Microsoft 365", "teams")
    assert AuditEntry.objects.latest("pk").after == {"teams_connection": str(connection), "meeting_service": "teams"}
    assert service_of(fresh(anna)) == TEAMS

    with pytest.raises(CommandError, match="The Teams service needs a connection to Teams"):
        command("set_tenant", "--teams-connection", "none")
    command("set_tenant", "--teams-connection", "none", "--meeting-service", "link")
    assert Tenant.objects.get().teams_connection is None


@pytest.mark.parametrize("name", ["Nowhere", ""])
def test_an_unknown_connection_is_refused(command: Command, tenant: Tenant, name: str) -> None:
    with pytest.raises(CommandError, match="Contoso has no mailbox connection"):
        command("set_tenant", "--teams-connection", name)


def test_r39_on_the_page(alice: Client, tenant: Tenant) -> None:
    connection = teams_connection(tenant)
    posted = settings_form(alice, teams_connection=str(connection.pk), meeting_service="teams")
    page = words(alice.post("/contoso/settings/", posted, follow=True).content)
    tenant.refresh_from_db()
    assert (tenant.teams_connection, tenant.meeting_service) == (connection, "teams")
    assert "No run, because a changed meeting service does not start one" in page
    audit = words(alice.get("/contoso/audit/").content)
    assert ("Connection to Teams" in audit, "→ Microsoft 365" in audit) == (True, True)


def test_a_preview_of_both_settings_says_that_nobody_becomes_out_of_date(alice: Client, anna: ConferencingUser) -> None:
    connection = teams_connection(anna.tenant)
    posted = settings_form(alice, teams_connection=str(connection.pk), meeting_service="teams", preview="asked")
    page = words(alice.post("/contoso/settings/", posted).content)
    assert "No run, and nobody becomes out of date" in page
    values = {"teams_connection": connection, "meeting_service": "teams", "footer_text": "Recorded."}
    plan = TenantSettings.of(anna.tenant, values)
    assert json.loads(json.dumps(plan.terms)) == plan.terms
    assert [planned.user.tenant.teams_connection for planned in plan.planned([anna.pk])] == [connection]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"cloud": "china"}, "In Microsoft's cloud in China no application can make Teams meetings"),
        ({"of": "fabrikam"}, "Contoso has no connection Microsoft 365: choose one of its own"),
        (
            {"kind": "caldav"},
            "Nextcloud does not lead to Microsoft 365: choose a connection of the kind Exchange Online",
        ),
    ],
)
def test_r39_a_connection_that_does_not_lead_to_teams_is_refused(
    tenant: Tenant, values: dict[str, Any], sentence: str
) -> None:
    fabrikam = create_tenant(ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none")
    if values.get("kind") == "caldav":
        connection = create_connection(tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")
    elif "of" in values:
        connection = teams_connection(fabrikam)
    else:
        connection = teams_connection(tenant, **values)
    before = everything_stored()
    with pytest.raises(ValidationError, match=sentence):
        change_tenant(tenant, ACTOR, teams_connection=connection)
    assert everything_stored() == before


def test_a_connection_by_which_teams_is_reached_stays(tenant: Tenant) -> None:
    tenant = connect_teams(tenant)
    assert tenant.teams_connection is not None
    with pytest.raises(ValidationError, match="Microsoft 365 cannot be removed, because Teams is reached by it"):
        remove_connection(tenant.teams_connection, ACTOR)
    connection = tenant.teams_connection
    change_tenant(tenant, ACTOR, teams_connection=None, meeting_service="link")
    remove_connection(connection, ACTOR)


def test_r39_users_have_teams_by_themselves_or_from_the_tenant_and_none_without_a_connection(
    command: Command, anna: ConferencingUser, make_user: Callable[..., ConferencingUser], tmp_path: Path
) -> None:
    change_tenant(anna.tenant, ACTOR, teams_connection=teams_connection(anna.tenant))
    path = tmp_path / "users.csv"
    path.write_text("UserPrincipalName,MeetingService\nanna.rossi@contoso.com,teams\n", encoding="utf-8")
    command("import_users", str(path))
    bruno = make_user("bruno")
    assert [service_of(fresh(user)) for user in (anna, bruno)] == [TEAMS, "Link"]
    assert services_of(fresh(anna).tenant) == ["Link", TEAMS]
    assert why_no_target(fresh(anna).tenant, TEAMS) == ""

    change_tenant(anna.tenant, ACTOR, teams_connection=None)
    assert service_of(fresh(anna)) == NO_SERVICE
    assert service_named(TEAMS, fresh(anna)).makes_nothing
    assert "no connection to Teams" in why_no_target(fresh(anna).tenant, TEAMS)


def test_r40_a_target_that_nobody_has_says_what_to_do(anna: ConferencingUser) -> None:
    change_tenant(anna.tenant, ACTOR, teams_connection=teams_connection(anna.tenant))
    assert "make Teams its meeting service" in why_no_target(fresh(anna).tenant, TEAMS)
    change_user(anna, ACTOR, meeting_service="teams")
    assert why_no_target(fresh(anna).tenant, TEAMS) == ""


def test_a_new_user_can_have_teams_where_there_is_a_connection(tenant: Tenant) -> None:
    with pytest.raises(ValidationError, match="Contoso has no connection to Teams, which the Teams service needs"):
        create_user(tenant, ACTOR, upn="zoe@contoso.com", meeting_service="teams")
    tenant = change_tenant(tenant, ACTOR, teams_connection=teams_connection(tenant))
    assert create_user(tenant, ACTOR, upn="zoe@contoso.com", meeting_service="teams").meeting_service == "teams"


def test_r44_the_history_knows_the_names_of_runs_into_teams() -> None:
    assert {"SkypeForBusinessToTeams", "LinkToTeams", "TeamsToTeams", "AllToTeams"} <= set(MIGRATION_TYPES)
    told = Targets.of_types(TEAMS, TEAMS).words
    assert "Teams meetings of another organization get a new one" in told
    assert "meeting URL" not in told
