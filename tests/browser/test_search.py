"""The search box and the keys, driven by keyboard alone; and the box without JavaScript."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tenants_app.models import ConferencingUser
from tests.support.axe import violations
from tests.support.windows import Open

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def people(make_user: Callable[..., ConferencingUser], cast: None) -> None:
    make_user("alvaro", display_name="Álvaro Grünewald")
    make_user("berta", display_name="Berta Grünewald")
    make_user("clara", display_name="Clara Sanz")


def active(page: Page) -> str:
    """What the box says that the next Enter opens; empty for nothing."""
    return str(
        page.evaluate(
            "document.getElementById(document.getElementById('search-box').getAttribute('aria-activedescendant'))"
            "?.querySelector('bdi')?.textContent ?? ''"
        )
    )


def test_one_finds_and_opens_by_keyboard_alone(open_page: Open, people: None) -> None:
    page = open_page("/contoso/")
    box = page.get_by_role("combobox", name="Search users")
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type("grunewald")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_count(3)
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#announcer")).to_contain_text("2 suggestions")
    assert violations(page) == []

    assert active(page) == ""
    page.keyboard.press("ArrowDown")
    assert active(page) == "Álvaro Grünewald"
    page.keyboard.press("ArrowUp")
    assert active(page) == ""
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert active(page) == "Berta Grünewald"
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(box).to_be_focused()

    page.keyboard.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_have_value("grunewald")
    expect(options.first).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/contoso/users/alvaro@contoso.com/")


def test_enter_alone_leads_to_the_page_and_leaving_closes_the_list(open_page: Open, people: None) -> None:
    page = open_page("/contoso/users/")
    page.keyboard.press("/")
    page.keyboard.type("grünewald")
    suggestions = page.get_by_role("listbox", name="Suggestions")
    expect(suggestions.get_by_role("option")).to_have_count(3)
    page.keyboard.press("Tab")
    expect(suggestions).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    page.wait_for_url("**/contoso/search/?q=*")
    expect(page.get_by_role("heading", name="Users")).to_be_visible()
    expect(page.get_by_role("link", name="Berta Grünewald")).to_be_visible()


def test_it_works_without_javascript(open_page: Open, people: None) -> None:
    page = open_page("/contoso/", java_script_enabled=False)
    box = page.get_by_role("searchbox", name="Search users")
    box.press_sequentially("CLARA")
    box.press("Enter")
    page.wait_for_url("**/contoso/search/?q=CLARA")
    page.get_by_role("link", name="Clara Sanz").press("Enter")
    page.wait_for_url("**/contoso/users/clara@contoso.com/")
    page.locator("summary", has_text="alice").press("Enter")
    page.get_by_role("link", name="Keyboard").press("Enter")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    page.get_by_role("button", name="Switch them off").press("Enter")
    expect(page.get_by_role("button", name="Switch them on")).to_be_visible()


def test_on_a_phone_the_glass_leads_to_the_box(open_page: Open, people: None) -> None:
    page = open_page("/contoso/", viewport=PHONE)
    page.get_by_role("link", name="Search", exact=True).click()
    box = page.get_by_role("combobox", name="Search users")
    expect(box).to_be_focused()
    box.fill("clara")
    page.get_by_role("option", name="Clara Sanz").click()
    page.wait_for_url("**/contoso/users/clara@contoso.com/")


def test_keys_lead_to_pages_and_through_rows(open_page: Open, people: None) -> None:
    page = open_page("/contoso/")
    for key, address in {
        "u": "users",
        "h": "migrations",
        "b": "bridges",
        "l": "left",
        "f": "failures",
        "s": "settings",
        "a": "audit",
    }.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**/contoso/{address}/")
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url("**/contoso/")

    page.goto("/contoso/users/")
    for key, name in (("j", "Álvaro"), ("j", "Berta"), ("j", "Clara"), ("j", "Clara"), ("k", "Berta")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent").startswith(name)
    page.keyboard.press("Enter")
    page.wait_for_url("**/contoso/users/berta@contoso.com/")


def test_keys_do_nothing_in_fields_with_modifiers_over_dialogs_and_when_switched_off(
    open_page: Open, people: None
) -> None:
    page = open_page("/contoso/users/")
    page.get_by_role("searchbox", name="User", exact=True).press_sequentially("g u/?j")
    expect(page.get_by_role("searchbox", name="User", exact=True)).to_have_value("g u/?j")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/contoso/users/")
    page.keyboard.press("g")
    page.keyboard.press("Control+b")
    page.keyboard.press("Alt+/")
    expect(page.locator("#search-box")).not_to_be_focused()

    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard")
    expect(dialog).to_contain_text("Meetings that need a person")
    assert violations(page) == []
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.keyboard.press("/")
    expect(dialog).to_be_visible()
    expect(page.locator("#search-box")).not_to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    page.keyboard.press("?")
    dialog.get_by_role("button", name="Switch them off").press("Enter")
    page.wait_for_url("**/contoso/users/")
    expect(page.locator("body")).to_have_attribute("data-keys", "off")
    page.keyboard.press("/")
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.locator("#search-box")).not_to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url.endswith("/contoso/users/")
    page.get_by_role("combobox", name="Search users").fill("clara")
    expect(page.get_by_role("option", name="Clara Sanz")).to_be_visible()
