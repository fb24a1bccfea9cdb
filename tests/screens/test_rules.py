"""The page that says what starts a run, with the switches as they are and with all others."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tenants_app.changes.tenants import change_tenant
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.pages import words


def row_about(client: Client, action: str) -> str:
    """The part of the page about one kind of change; what holds now comes first."""
    page = client.get("/contoso/settings/rules/").content.decode()
    (row,) = [part for part in re.split(r'<li>\s*<div class="main">', page)[1:] if f'"who">{action}</span>' in part]
    return words(row.encode())


@pytest.mark.parametrize(
    ("switch", "action", "sentence"),
    [
        ({}, "Move the user to another bridge", "Run, because the user moved to the bridge America."),
        ({}, "Change the user&#x27;s language", "No run, because a changed language alone does not start one."),
        (
            {"automatically_migrate_user_meetings": False},
            "Move the user to another bridge",
            "No run, because AutomaticallyMigrateUserMeetings is off: start it by hand when you are ready.",
        ),
        (
            {"automatically_migrate_user_meetings": False},
            "Move the user from on-premises to online",
            "Run, because the user moved from on-premises to online: Skype for Business meetings move to Link, and all "
            "others stay in their service.",
        ),
        (
            {"meeting_migration_enabled": False},
            "Start a run by hand",
            "No run, because the service is switched off for this tenant: switch MeetingMigrationEnabled on first.",
        ),
    ],
)
def test_r12_r13_it_says_what_a_change_starts_now(
    vera: Client, tenant: Tenant, switch: dict[str, bool], action: str, sentence: str
) -> None:
    change_tenant(tenant, ACTOR, **switch)
    now, _, _ = row_about(vera, action).partition("Other switches and users")

    assert sentence in now


@pytest.mark.parametrize("replaces", [True, False])
def test_r14_it_says_what_a_licence_does_for_a_user_on_a_provider(vera: Client, tenant: Tenant, replaces: bool) -> None:
    change_tenant(tenant, ACTOR, automatically_replace_acp_provider=replaces)
    row = row_about(vera, "Assign the audio conferencing licence")
    _, _, about_provider = row.partition("User on a third-party provider")
    about_provider, _, _ = about_provider.partition("User hosted on-premises")

    held = re.findall(r"\(now\) (.+?\.)(?:\s|$)", about_provider)
    assert held == [
        "Run, because the audio conferencing licence was assigned and the provider changed from Fabrikam to Microsoft."
        if replaces
        else "No run, because AutomaticallyReplaceAcpProvider is off and Fabrikam stays the provider: "
        "make Microsoft the provider by hand, with a bridge of Microsoft's."
    ]


def test_r15_to_r17_it_names_the_users_whom_mms_refuses(vera: Client) -> None:
    row = row_about(vera, "Enable audio conferencing")

    assert "Fabrikam provides the user's conferencing: use the Meeting Migration Tool instead." in row
    assert "the mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool" in row
    assert "the user is hosted on-premises: move them online, or use the Meeting Migration Tool instead." in row


def test_the_settings_lead_to_it(vera: Client) -> None:
    assert 'href="/contoso/settings/rules/"' in vera.get("/contoso/settings/").content.decode()


def test_r9_saving_another_meeting_url_says_that_it_starts_nothing(alice: Client) -> None:
    form = alice.get("/contoso/settings/").context["form"]
    filled = {field.name: field.value() for field in form if field.value() is not None}
    posted = filled | {"meeting_url": "https://join.contoso.com"}
    page = words(alice.post("/contoso/settings/", posted, follow=True).content)

    assert "No run, because a changed meeting URL does not start one" in page
