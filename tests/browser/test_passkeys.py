"""Passkeys in a real browser, with an authenticator that Chromium plays."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tenants_app.models import AccountEvent
from tests.support.axe import violations
from tests.support.windows import Open

pytestmark = pytest.mark.browser


def with_authenticator(page: Page) -> Any:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, added["authenticatorId"]


def test_a_passkey_signs_in_by_itself_and_after_a_password(open_page: Open, live_server: Any) -> None:
    site = live_server.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name
    page = open_page(f"{site}/accounts/login/", name="")
    with_authenticator(page)
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a long pass phrase")
    page.keyboard.press("Enter")
    page.get_by_label("Account alice").click()
    page.get_by_role("link", name="Second factor").click()
    page.get_by_role("link", name="Add a passkey").click()
    assert violations(page) == []
    page.get_by_label("Name, by which you know it again").fill("Laptop")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("link", name="Remove Laptop")).to_be_visible()

    page.get_by_label("Account alice").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    assert AccountEvent.objects.filter(what="sign in").first().detail == "With a passkey."  # type: ignore[union-attr]

    page.get_by_label("Account alice").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a long pass phrase")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    assert violations(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")


def test_a_passkey_that_nobody_here_has_signs_nobody_in(open_page: Open, live_server: Any) -> None:
    page = open_page(f"{live_server.url.replace('127.0.0.1', 'localhost')}/accounts/login/", name="")
    session, authenticator = with_authenticator(page)
    page.get_by_role("button", name="Sign in with a passkey").wait_for()
    session.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_role("alert")).to_contain_text("The passkey was not given.")
    assert page.url.endswith("/accounts/login/")
