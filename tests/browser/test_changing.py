"""Changing what starts migrations: the service switch, a user, everyone on a bridge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from migrations_app.models import Run
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.windows import Open

pytestmark = pytest.mark.browser

MakeUser = Callable[..., ConferencingUser]


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_r12_the_switch_turns_the_service_off_and_on(
    open_page: Open, tenant: Tenant, java_script_enabled: bool
) -> None:
    page = open_page("/contoso/", java_script_enabled=java_script_enabled)
    switch = page.get_by_role("switch", name="Meeting migration")
    expect(switch).to_be_checked()

    switch.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Switch the service off?")
    tenant.refresh_from_db()
    assert tenant.meeting_migration_enabled
    page.get_by_role("button", name="Switch it off").click()
    expect(page.get_by_role("status")).to_contain_text(["The service is off: 0 pending runs wait"])
    expect(page.get_by_text("The service is off for Contoso.")).to_be_visible()
    expect(switch).not_to_be_checked()
    tenant.refresh_from_db()
    assert not tenant.meeting_migration_enabled

    switch.press("Space")
    expect(page.get_by_text("The service is on. Nothing is waiting.")).to_be_visible()
    expect(switch).to_be_checked()


def test_it_tells_what_a_change_would_start_as_soon_as_it_is_made(
    open_page: Open, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    invite(anna)
    page = open_page(f"/contoso/users/{anna.upn}/")
    page.get_by_label("Bridge", exact=True).select_option(label="New bridge")

    expect(page.locator("#consequence")).to_contain_text(
        "If you save this: Run, because the user moved to the bridge New bridge."
    )
    assert not Run.objects.exists()
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text(f"The settings of {anna.upn} are saved.")).to_be_visible()
    assert Run.objects.get().user == anna


def test_a_page_that_stood_open_undoes_nothing_of_what_others_changed(
    open_page: Open, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    page = open_page(f"/contoso/users/{anna.upn}/")
    change_user(anna, ACTOR, bridge=new_bridge, language="it-IT")
    page.get_by_label("Display name").fill("Anna R.")
    page.get_by_label("Display name").press("Tab")
    expect(page.locator("#consequence")).to_contain_text("No run, because nothing changed")
    page.get_by_label("Language").fill("es-ES")
    page.get_by_label("Language").press("Tab")
    expect(page.locator("#consequence")).to_contain_text("It was changed meanwhile to it-IT")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator("ul.errors")).to_contain_text("It was changed meanwhile to it-IT")
    expect(page.get_by_label("Bridge", exact=True).locator("option:checked")).to_have_text("New bridge")

    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text(f"The settings of {anna.upn} are saved.")).to_be_visible()
    anna.refresh_from_db()
    assert (anna.display_name, anna.language, anna.bridge) == ("Anna R.", "es-ES", new_bridge)


def test_r5_it_moves_everyone_to_another_bridge(
    open_page: Open, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    for name in ("anna", "bruno"):
        invite(make_user(name))
    page = open_page(f"/contoso/bridges/{old_bridge.pk}/")
    page.get_by_label("New bridge").select_option(label="New bridge")
    page.get_by_role("button", name="Show what this starts").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Move 2 users to New bridge?")
    expect(page.locator("dl.facts > div")).to_contain_text(
        ["Users who move2", "Runs that start2", "Meetings that change2", "Invitations"]
    )
    assert not Run.objects.exists()

    page.get_by_role("button", name="Move 2 users").click()
    expect(
        page.get_by_text("Moved to New bridge. Run, because the user moved to the bridge New bridge.").first
    ).to_be_visible()
    assert new_bridge.users.count() == 2
