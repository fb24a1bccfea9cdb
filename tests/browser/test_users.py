"""Users in a real browser: finding them, and their meetings with what a run would do to each."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from tenants_app.changes.users import change_user
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.axe import violations
from tests.support.commands import invitation
from tests.support.samples import teams_text
from tests.support.windows import Open

pytestmark = pytest.mark.browser

MakeUser = Callable[..., ConferencingUser]


@pytest.fixture
def anna(make_user: MakeUser) -> ConferencingUser:
    """Anna with two pages of meetings."""
    user = make_user("anna.rossi")
    uids = [f"m{number:02}" for number in range(27)]
    EmbeddedMailbox(user).store((uid, invitation(user, uid, days=day)) for day, uid in enumerate(uids, 1))
    return user


def test_the_meetings_come_by_themselves_and_are_paged_on_the_users_page(
    open_page: Open, anna: ConferencingUser
) -> None:
    page = open_page(f"/contoso/users/{anna.upn}/")
    meetings = page.get_by_role("region", name="Future meetings", exact=True).last
    expect(meetings.get_by_role("row")).to_have_count(21)
    expect(meetings).to_contain_text("Budget m00")
    expect(meetings).to_contain_text("Would be updated")
    assert violations(page) == []

    page.get_by_role("link", name="Next").click()
    expect(meetings.get_by_role("row")).to_have_count(8)
    expect(meetings).to_contain_text("Budget m26")
    expect(page).to_have_url(re.compile(r"/users/anna\.rossi@contoso\.com/$"))
    expect(page.get_by_role("button", name="Save changes")).to_be_visible()


def test_an_explanation_opens_over_the_users_page(open_page: Open, anna: ConferencingUser) -> None:
    page = open_page(f"/contoso/users/{anna.upn}/")
    page.get_by_role("link", name="Explain Budget m01").click()
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("A run would replace DESCRIPTION")
    assert violations(page, within="dialog.sheet") == []
    page.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()


def test_without_javascript_a_link_leads_to_the_meetings(open_page: Open, anna: ConferencingUser) -> None:
    page = open_page(f"/contoso/users/{anna.upn}/", java_script_enabled=False)
    page.get_by_role("link", name="Show them").click()
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="Explain Budget m26").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Budget m26")
    page.get_by_role("link", name="Anna Rossi").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Anna Rossi")


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_it_finds_users_by_several_things_at_once(
    open_page: Open, make_user: MakeUser, java_script_enabled: bool
) -> None:
    for name in ("anna", "bruno"):
        change_user(make_user(name), ACTOR, audio_conferencing_enabled=False)
    make_user("clara")
    page = open_page("/contoso/users/", java_script_enabled=java_script_enabled)
    page.get_by_label("Invitations").select_option(label="Out of date")
    page.get_by_role("combobox", name="Bridge", exact=True).select_option(label="Old bridge")
    page.get_by_role("searchbox", name="User", exact=True).fill("bru")
    page.get_by_role("button", name="Filter").click()

    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("bruno@contoso.com")
    expect(page).to_have_url(re.compile(r"q=bru&.*out_of_date=yes&bridge=\d+"))
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_r40_what_a_run_would_move_is_told_as_soon_as_it_is_chosen(open_page: Open, make_user: MakeUser) -> None:
    nora = make_user("nora.berg")
    teams = invitation(nora, "teams", text=teams_text())
    EmbeddedMailbox(nora).store([("skype", invitation(nora, "skype")), ("teams", teams)])
    page = open_page(f"/contoso/users/{nora.upn}/")
    page.get_by_role("link", name="Start with options").click()
    expect(page.locator("#start")).to_contain_text("2 would stay in their meeting service.")
    meetings = page.get_by_role("region", name="Future meetings", exact=True).last
    expect(meetings).to_contain_text("stays in Teams")
    page.get_by_label("Meetings", exact=True).select_option("SkypeForBusiness")
    expect(meetings).to_contain_text("The run was started for meetings of other services")
    page.get_by_label("Afterwards they are").select_option("Link")
    expect(page.locator("#start")).to_contain_text("1 would move from Skype for Business to Link")
    expect(meetings).to_contain_text("moves from Skype for Business to Link")
    assert violations(page) == []

    page.get_by_role("button", name="Start 1 run").click()
    expect(page.get_by_text("Skype for Business meetings move to Link").first).to_be_visible()


def test_r40_without_javascript_a_button_tells_what_a_run_would_move(open_page: Open, make_user: MakeUser) -> None:
    nora = make_user("nora.berg")
    EmbeddedMailbox(nora).store([("skype", invitation(nora, "skype"))])
    page = open_page("/contoso/users/selected/start/?q=nora&all", java_script_enabled=False)
    page.get_by_label("Afterwards they are").select_option("Link")
    page.get_by_role("button", name="Show what this starts").click()
    page.get_by_role("link", name="count it").click()
    expect(page.locator("#movements")).to_have_text("1 would move from Skype for Business to Link.")
    page.get_by_role("button", name="Start 1 run").click()
    expect(page.get_by_text("all meetings move to Link").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"/users/actions/\d+/$"))
