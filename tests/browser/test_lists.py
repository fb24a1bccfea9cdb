"""Arranging a list in a real browser: by keyboard alone, without JavaScript, and with Back after a live filter."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tenants_app.models import ConferencingUser, ListLayout
from tests.support.axe import violations
from tests.support.windows import Open

pytestmark = pytest.mark.browser


def headings(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("thead th").all_inner_texts() if text.strip() not in {"", "Select"}]


def test_columns_are_chosen_and_put_in_order_by_keyboard(
    open_page: Open, make_user: Callable[..., ConferencingUser]
) -> None:
    make_user("anna.rossi")
    page = open_page("/contoso/users/")
    page.locator("#list-columns > summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox", name="Bridge", exact=True)).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="User", exact=True)).to_be_focused()
    page.get_by_role("checkbox", name="Hosting", exact=True).focus()
    page.keyboard.press("Space")
    move = page.get_by_role("button", name="Move Bridge up")
    move.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(move).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("Bridge: place 1 of")
    page.get_by_label("Rows on a page").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/users/\?columns=bridge,upn,latest_state,audio,latest_modified&rows=20$"))
    assert headings(page) == ["Bridge", "User", "Latest run", "Audio conferencing", "Changed"]
    page.locator("#list-columns > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#list-columns")).not_to_have_attribute("open", "")
    expect(page.locator("#list-columns > summary")).to_be_focused()


def test_without_javascript_columns_are_put_in_order_by_numbers(
    open_page: Open, make_user: Callable[..., ConferencingUser]
) -> None:
    make_user("anna.rossi")
    page = open_page("/contoso/users/", java_script_enabled=False)
    page.locator("#list-columns > summary").click()
    page.get_by_label("Place of Bridge").fill("1")
    page.get_by_label("Rows on a page").select_option("50")
    page.get_by_role("button", name="Apply").click()

    assert headings(page)[0] == "Bridge"
    assert ListLayout.objects.get().rows == 50
    page.locator("#list-columns > summary").click()
    page.get_by_role("button", name="Reset").click()
    assert headings(page)[0] == "User"


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_a_filter_is_kept_and_opened_again(
    open_page: Open, make_user: Callable[..., ConferencingUser], java_script_enabled: bool
) -> None:
    make_user("anna.rossi")
    make_user("bruno.costa")
    page = open_page("/contoso/users/?q=anna&sort=-upn", java_script_enabled=java_script_enabled)
    page.locator("#list-filters > summary").click()
    page.get_by_label("Save what is shown as").fill("Anna alone")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#list-filters > summary")).to_contain_text("Anna alone")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("#list-filters > summary").click()
    page.get_by_role("link", name="Anna alone").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_live_filter_and_enter_are_one_step_back(open_page: Open, make_user: Callable[..., ConferencingUser]) -> None:
    make_user("anna.rossi")
    make_user("bruno.costa")
    page = open_page("/contoso/users/")
    box = page.get_by_role("searchbox", name="User")
    for text in ("an", "anna", "anna.r"):
        box.fill(text)
        expect(page).to_have_url(re.compile(rf"q={re.escape(text)}&"))
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_response(re.compile("q=anna.r")):
        box.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()

    expect(page).to_have_url(re.compile(r"/contoso/users/$"))
    expect(page.locator("tbody tr")).to_have_count(2)
