"""A session that ends while somebody fills in a form: nothing is saved, and what they typed is there again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.axe import violations
from tests.support.two_tenants import everything_stored
from tests.support.windows import Open

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ANNA = "/contoso/users/anna.rossi@contoso.com/"
LOST = "You were signed out, so nothing was saved or started."
GONE = "Do it again. What you had typed, if anything, is gone."
KEPT = "What you had typed stands in the form again: look at it, and send it once more."


def end_all_sessions() -> None:
    Session.objects.all().delete()


def open_user(open_page: Open, address: str = ANNA, **options: Any) -> Page:
    """Anna's page with all its parts, which come after it."""
    page = open_page(address, **options)
    if options.get("java_script_enabled", True):
        expect(page.get_by_text("The mailbox has no future meetings.")).to_be_visible()
    return page


@contextmanager
def looking_ahead(page: Page) -> Iterator[None]:
    """An edit of a user, with what saving it would start, which the page asks for when the field is left."""
    with page.expect_response(lambda response: response.request.method == "POST") as answer:
        yield
        page.keyboard.press("Tab")
    answer.value.finished()


def sign_in(page: Page, name: str = "alice") -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_text(LOST)).to_be_visible()
    assert violations(page) == []
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill("a long pass phrase")
    page.get_by_role("button", name="Sign in", exact=True).click()


def told(page: Page) -> Page:
    """Where the page says what became of the form; only the one that is true is to be seen."""
    return page.get_by_role("status").filter(has_text=LOST)


def test_a_page_that_is_older_than_the_sign_in_says_that_it_must_be_reloaded(
    open_page: Open, anna: ConferencingUser, faults: list[str]
) -> None:
    page = open_user(open_page)
    page.context.clear_cookies(name="csrftoken")
    with looking_ahead(page):
        page.get_by_label("Display name").fill("Anna Bianchi")

    expect(page.get_by_role("alert").filter(has_text="This page is older than your last sign-in")).to_be_visible()
    expect(page.get_by_text("The server does not answer")).to_be_hidden()
    faults.clear()


def test_the_page_comes_back_with_what_was_typed_and_nothing_is_saved(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page, f"{ANNA}?from=list")
    with looking_ahead(page):
        page.get_by_label("Display name").fill("Anna Bianchi")
    with looking_ahead(page):
        page.get_by_label("Language").fill("it-IT")
    with looking_ahead(page):
        page.get_by_label("Audio conferencing enabled").uncheck()
    with looking_ahead(page):
        page.get_by_label("Hosting").select_option(label="On-premises")
    before = everything_stored()
    end_all_sessions()
    page.get_by_role("button", name="Save changes").click()
    sign_in(page)

    expect(page).to_have_url(re.compile(re.escape(f"{ANNA}?from=list") + "$"))
    expect(told(page).get_by_text(KEPT)).to_be_visible()
    expect(told(page).get_by_text(GONE)).to_be_hidden()
    expect(page.get_by_label("Display name")).to_have_value("Anna Bianchi")
    expect(page.get_by_label("Language")).to_have_value("it-IT")
    expect(page.get_by_label("Audio conferencing enabled")).not_to_be_checked()
    expect(page.get_by_label("Hosting")).to_have_value("on-premises")
    expect(page.get_by_label("SIP address")).to_have_value(anna.sip_address)
    expect(page.locator("#consequence")).to_contain_text("If you save this")
    assert violations(page) == []
    after = everything_stored()
    assert [event["what"] for event in after.pop("AccountEvent")] == ["sign in"]
    before.pop("AccountEvent")
    assert after == before

    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("The settings of anna.rossi@contoso.com are saved.")).to_be_visible()
    anna.refresh_from_db()
    assert (anna.display_name, anna.language, anna.hosting) == ("Anna Bianchi", "it-IT", "on-premises")
    page.wait_for_load_state()
    assert page.evaluate("sessionStorage.getItem('kept')") is None


def test_a_look_ahead_that_is_refused_loses_nothing_either(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page)
    end_all_sessions()
    page.get_by_label("Display name").fill("Anna Bianchi")
    page.get_by_label("Display name").blur()
    sign_in(page)

    expect(told(page).get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Display name")).to_have_value("Anna Bianchi")


def test_somebody_else_gets_nothing_of_it(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page)
    with looking_ahead(page):
        page.get_by_label("Display name").fill("Anna Bianchi")
    end_all_sessions()
    page.get_by_role("button", name="Save changes").click()
    sign_in(page, "bob")

    expect(told(page).get_by_text(GONE)).to_be_visible()
    expect(told(page).get_by_text(KEPT)).to_be_hidden()
    page.wait_for_load_state()
    assert page.evaluate("sessionStorage.getItem('kept')") is None
    assert "Bianchi" not in page.content()


def test_what_others_saved_meanwhile_is_not_overwritten_unseen(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page)
    page.get_by_label("Display name").fill("Anna Bianchi")
    end_all_sessions()
    page.get_by_role("button", name="Save changes").click()
    change_user(anna, ACTOR, display_name="Anna Verdi", language="it-IT")
    sign_in(page)
    expect(page.get_by_label("Display name")).to_have_value("Anna Bianchi")
    expect(page.get_by_label("Language")).to_have_value("it-IT")  # it was not edited, so it is as stored now
    page.get_by_role("button", name="Save changes").click()

    expect(page.get_by_text("It was changed meanwhile to Anna Verdi")).to_be_visible()
    anna.refresh_from_db()
    assert (anna.display_name, anna.language) == ("Anna Verdi", "it-IT")


def test_forms_of_settings_and_of_bridges_keep_what_was_typed(
    open_page: Open, tenant: Tenant, old_bridge: Bridge
) -> None:
    page = open_page("/contoso/settings/")
    page.get_by_label("Attendee limit").fill("99")
    end_all_sessions()
    page.get_by_role("button", name="Save changes").click()
    sign_in(page)
    expect(told(page).get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Attendee limit")).to_have_value("99")

    page.goto(f"/contoso/bridges/{old_bridge.pk}/")
    page.get_by_label("Number", exact=True).fill("nonsense")
    page.get_by_role("button", name="Add the number").click()
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    page.get_by_label("Number", exact=True).fill("+14255550199")
    page.get_by_label("City").fill("Tacoma")
    end_all_sessions()
    page.get_by_role("button", name="Add the number").click()
    sign_in(page)
    expect(page).to_have_url(re.compile(f"/contoso/bridges/{old_bridge.pk}/$"))
    expect(told(page).get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Number", exact=True)).to_have_value("+14255550199")
    expect(page.get_by_label("City")).to_have_value("Tacoma")
    assert not old_bridge.numbers.filter(number="+14255550199").exists()


def test_a_page_from_before_another_sign_in_keeps_what_was_typed(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page)
    with looking_ahead(page):
        page.get_by_label("Display name").fill("Anna Bianchi")
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto("/accounts/login/")
    other.get_by_label("User name").fill("alice")
    other.get_by_label("Password").fill("a long pass phrase")
    other.get_by_role("button", name="Sign in", exact=True).click()
    expect(other.get_by_label("Account alice")).to_be_visible()
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("The mailbox has no future meetings.")).to_be_visible()

    expect(page.get_by_text("The page was too old, so nothing was saved or started.")).to_be_visible()
    expect(page.get_by_text(KEPT)).to_be_visible()
    expect(page.get_by_label("Display name")).to_have_value("Anna Bianchi")
    anna.refresh_from_db()
    assert anna.display_name == "Anna Rossi"


def test_without_javascript_it_says_that_it_is_gone(open_page: Open, anna: ConferencingUser) -> None:
    page = open_user(open_page, java_script_enabled=False)
    page.get_by_label("Display name").fill("Anna Bianchi")
    end_all_sessions()
    page.get_by_role("button", name="Save changes").click()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a long pass phrase")
    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(told(page).get_by_text(GONE)).to_be_visible()
    expect(told(page).get_by_text(KEPT)).to_be_hidden()
    expect(page.get_by_label("Display name")).to_have_value("Anna Rossi")
