"""Selecting users in a browser: over several pages, by keyboard, on a phone, and without JavaScript (R11)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from migrations_app.models import BulkAction, Run
from tenants_app.models import ConferencingUser
from tests.support.axe import violations
from tests.support.windows import Open

pytestmark = pytest.mark.browser

MakeUsers = Callable[..., list[ConferencingUser]]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def many(make_users: MakeUsers) -> list[ConferencingUser]:
    return make_users({f"user{number:02}": {} for number in range(30)})


def test_ticks_hold_while_pages_are_turned_and_the_list_is_filtered(
    open_page: Open, many: list[ConferencingUser]
) -> None:
    page = open_page("/contoso/users/?sort=upn")
    page.get_by_label("Select user01@contoso.com").check()
    page.get_by_label("Select user03@contoso.com").check()
    expect(page.locator("#ticked")).to_have_text("2 selected")
    assert violations(page) == []
    page.get_by_role("link", name="Next").click()
    page.get_by_label("Select user27@contoso.com").check()
    expect(page.locator("#ticked")).to_have_text("3 selected, 2 of them not on this page")
    page.get_by_label("All 10 on this page").check()
    expect(page.get_by_label("Select user29@contoso.com")).to_be_checked()
    page.get_by_label("Select user28@contoso.com").uncheck()
    expect(page.locator("#ticked")).to_have_text("11 selected, 2 of them not on this page")
    page.get_by_role("searchbox", name="User", exact=True).fill("user03")
    expect(page.get_by_label("Select user03@contoso.com")).to_be_checked()
    page.get_by_role("button", name="Start runs").click()
    expect(page.get_by_role("heading", name="Start runs for 11 users?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    expect(page.locator("#ticked")).to_have_text("11 selected, 10 of them not on this page")
    page.get_by_role("button", name="Untick all").click()
    expect(page.get_by_label("Select user03@contoso.com")).not_to_be_checked()


def test_all_that_the_filter_finds_by_keyboard(open_page: Open, many: list[ConferencingUser]) -> None:
    page = open_page("/contoso/users/?q=user0")
    page.get_by_label("All 10 users that the filter finds").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("Select user00@contoso.com")).to_be_checked()
    expect(page.get_by_label("Select user00@contoso.com")).to_be_disabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Start runs for 10 users?")).to_be_visible()
    page.get_by_role("button", name="Start 10 runs").press("Enter")
    expect(page.get_by_role("heading", name="Start runs for 10 users")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/users/actions/\d+/$"))
    assert violations(page) == []
    assert Run.objects.count() == 10
    page.get_by_role("link", name="No run 0").click()
    expect(page.get_by_text("No user has this result.")).to_be_visible()


def test_without_javascript_and_on_a_phone_a_page_or_some_rows_of_it_are_selected(
    open_page: Open, many: list[ConferencingUser]
) -> None:
    page = open_page("/contoso/users/?sort=upn", java_script_enabled=False, viewport=PHONE)
    expect(page.get_by_text("Ticks hold for this page")).to_be_visible()
    page.get_by_label("All 20 on this page").check()
    page.get_by_role("button", name="Mark as up to date").click()
    expect(page.get_by_role("heading", name="Mark 20 users as up to date?")).to_be_visible()
    page.get_by_role("button", name="Mark as up to date").click()
    expect(page.get_by_text("Up to date already, so nothing was changed.").first).to_be_visible()
    assert BulkAction.objects.get().refused_count == 20
