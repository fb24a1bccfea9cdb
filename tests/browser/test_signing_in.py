"""Signing in with a keyboard and a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.axe import violations
from tests.support.windows import Open

pytestmark = pytest.mark.browser


def test_it_lets_in_who_knows_the_password(open_page: Open) -> None:
    page = open_page("/contoso/", name="")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("alice")
    page.get_by_label("Password").fill("a wrong pass phrase")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_have_text("The user name and password do not match. Both are case-sensitive.")
    expect(page.get_by_label("Password")).to_be_focused()
    assert violations(page) == []

    page.keyboard.type("a long pass phrase")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
    expect(page.get_by_label("Account alice")).to_be_visible()
