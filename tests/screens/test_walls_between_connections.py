"""Connections to Microsoft 365 of another tenant: on every page, in every form and command as good as none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import Client

from migrations_app import graph_access
from migrations_app.models import Preview
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.pages import settings_form, shown, words
from tests.support.teams import teams_connection
from tests.support.two_tenants import everything_stored

SECRETS = ("Harbour 365", "99999999-8888-7777-6666-555555555555", "their-application")
INVENTED = 987_654


@pytest.fixture
def theirs(anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> MailboxConnection:
    """Of another tenant, to Microsoft 365; whoever asks Microsoft anything fails."""

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("Microsoft was asked")

    monkeypatch.setattr(graph_access, "Graph", asked)
    harbour = create_tenant(ACTOR, slug="harbour", name="Harbour", domain="fabrikam.com", meeting_service="none")
    name, directory, application = SECRETS
    found = teams_connection(harbour, name=name, directory_id=directory, username=application)
    change_tenant(harbour, ACTOR, teams_connection=found)
    return found


@pytest.fixture
def own(anna: ConferencingUser) -> MailboxConnection:
    return teams_connection(anna.tenant)


def text_of(answer: Any, pk: int) -> str:
    page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())
    return re.sub(rf"\b({pk}|{INVENTED})\b", "", page)


def alike(client: Client, address: str, form: dict[str, Any], field: str, pk: int) -> Any:
    """What is answered to a choice of another tenant, which is what is answered to one that nobody has."""
    before = everything_stored()
    real, invented = (client.post(address, form | {field: str(each)}) for each in (pk, INVENTED))
    assert (real.status_code, text_of(real, pk)) == (invented.status_code, text_of(invented, pk))
    assert not any(secret in real.content.decode() for secret in SECRETS)
    assert everything_stored() == before
    return real


@pytest.mark.parametrize("field", ["teams_connection", "initial-teams_connection"])
def test_teams_is_not_reached_by_another_tenants_connection(
    field: str, alice: Client, own: MailboxConnection, theirs: MailboxConnection
) -> None:
    form = settings_form(alice) if field == "teams_connection" else shown(alice.get("/contoso/settings/"))
    form |= {"teams_connection": str(own.pk)} if field.startswith("initial") else {}
    for extra in ({}, {"preview": "1"}, {"confirmed": "yes"}):
        alike(alice, "/contoso/settings/", form | extra, field, theirs.pk)
    assert not any(secret in alice.get("/contoso/settings/").content.decode() for secret in SECRETS)


def test_a_preview_of_settings_takes_no_connection_of_another_tenant(
    alice: Client, own: MailboxConnection, theirs: MailboxConnection
) -> None:
    form = settings_form(alice, kind="settings")
    answer = alike(alice, "/contoso/previews/", form, "teams_connection", theirs.pk)
    assert answer.status_code != 500
    assert not Preview.objects.exists()


def test_users_are_not_brought_in_by_another_tenants_connection(
    alice: Client, own: MailboxConnection, theirs: MailboxConnection
) -> None:
    answer = alike(alice, "/contoso/users/import/", {"group": "", "domain": ""}, "connection", theirs.pk)
    assert "Select a valid choice" in words(answer.content) or "not on offer" in words(answer.content)


COMMANDS = [
    ("check_graph", "{}", "--user", "anna.rossi@contoso.com"),
    ("check_teams", "{}", "--user", "anna.rossi@contoso.com"),
    ("check_exchange", "{}", "--user", "anna.rossi@contoso.com"),
    ("import_users", "--from-graph", "{}"),
    ("set_tenant", "--teams-connection", "{}"),
    ("set_mailbox_connection", "{}", "--secret-expires", "2030-01-01"),
    ("set_dial_in_conferencing_user", "--user", "anna.rossi@contoso.com", "--mailbox", "{}"),
    ("test_mailbox_connection", "{}", "--user", "anna.rossi@contoso.com"),
    ("remove_mailbox_connection", "{}"),
]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line[0])
def test_a_command_knows_no_connection_of_another_tenant(
    line: tuple[str, ...], command: Command, own: MailboxConnection, theirs: MailboxConnection
) -> None:
    before = everything_stored()
    told = []
    for name in (theirs.name, "Nobody's 365"):
        with pytest.raises(CommandError) as refused:
            command(*(part.format(name) for part in line), "--tenant", "contoso")
        told.append(str(refused.value).replace(name, "NAME"))
    assert told[0] == told[1]
    assert "has no mailbox connection NAME" in told[0]
    assert everything_stored() == before


def test_a_viewer_sees_no_application_to_change_and_changes_none(
    vera: Client, own: MailboxConnection, theirs: MailboxConnection, tenant: Tenant
) -> None:
    before = everything_stored()
    for address in ("/contoso/settings/mailboxes/?kind=graph", f"/contoso/settings/mailboxes/{own.pk}/"):
        page = vera.get(address).content.decode()
        assert 'name="directory_id"' not in page
        assert 'type="password"' not in page
        assert not any(secret in page for secret in SECRETS)
    graph = {"kind": "graph", "name": "New", "directory_id": SECRETS[1], "username": "x", "password": "y"}
    for address, form in (
        ("/contoso/settings/mailboxes/?kind=graph", graph),
        (f"/contoso/settings/mailboxes/{own.pk}/", graph),
        (f"/contoso/settings/mailboxes/{own.pk}/", {"make_default": "1"}),
        (f"/contoso/settings/mailboxes/{own.pk}/try/", {"user": "anna.rossi@contoso.com"}),
        (f"/contoso/settings/mailboxes/{own.pk}/remove/", {}),
        ("/contoso/users/import/", {"connection": str(own.pk)}),
        ("/contoso/settings/", {"teams_connection": str(own.pk)}),
        ("/contoso/previews/", {"kind": "settings", "teams_connection": str(own.pk)}),
    ):
        assert vera.post(address, form).status_code == 403, address
    for address in ("/contoso/users/import/", f"/contoso/settings/mailboxes/{own.pk}/remove/", "/contoso/previews/"):
        assert vera.get(address).status_code == 403, address
    for address in (f"/contoso/settings/mailboxes/{theirs.pk}/", "/harbour/settings/mailboxes/", "/harbour/settings/"):
        assert vera.get(address).status_code == 404, address
    assert everything_stored() == before
