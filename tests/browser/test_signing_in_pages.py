"""The pages of signing in, each in both widths and both colours: no barrier, nothing cut off, nothing refused."""

from __future__ import annotations

import re
import time
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Page, expect

from tests.support.axe import violations
from tests.support.looks import faint_edges, picture, sideways
from tests.support.openid_provider import openid_provider
from tests.support.windows import Open

pytestmark = pytest.mark.browser
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


class Looks:
    """Looks at the page that is open in every way, without opening it anew: it may be there once only."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: dict[str, Any] = {}

    def at(self, name: str) -> None:
        for size in (DESKTOP, PHONE):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                expect(self.page.locator("html")).to_have_attribute("data-bs-theme", scheme)
                where = f"{name} at {size['width']} {scheme}"
                self.found[where] = violations(self.page) + faint_edges(self.page) + sideways(self.page)
                picture(self.page, f"sign-in-{name}", size["width"], scheme)
        self.page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def test_each_page_of_signing_in_shuts_nobody_out(open_page: Open, settings: Any, faults: list[str]) -> None:
    cache.clear()
    with openid_provider() as provider:
        settings.MMS_OIDC_ISSUER, settings.MMS_OIDC_NAME = provider.issuer, "Contoso"
        app = {"provider_id": settings.MMS_OIDC_PROVIDER_ID, "name": "Contoso", "client_id": "mms", "secret": "x"}
        app["settings"] = {"server_url": f"{provider.issuer}/.well-known/openid-configuration"}
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"provider_class": "mms_site.accounts.openid.SignInProvider", "APPS": [app]}
        }
        page = open_page("/accounts/login/", name="")
        looks = Looks(page)
        looks.at("login")
        sign_in(page)
        page.goto("/accounts/second-factor/")
        looks.at("no-factor")
        page.get_by_role("link", name="Add an app").click()
        looks.at("app")
        (secret,) = re.findall(r"Key: (\w+)", page.locator("main").inner_text())
        page.get_by_label("Code that the app shows").fill("123")
        page.get_by_role("button", name="Add the app").click()
        looks.at("app-wrong-code")
        page.get_by_label("Code that the app shows").fill(code_of(secret))
        page.get_by_role("button", name="Add the app").click()
        looks.at("recovery-codes")
        recovery = re.findall(r"\b\d{8}\b", page.locator("main").inner_text())
        page.get_by_role("link", name="Make new ones").click()
        looks.at("recovery-codes-new")
        page.goto("/accounts/second-factor/")
        looks.at("factors")
        page.get_by_role("link", name="Remove the app").click()
        looks.at("app-remove")
        page.goto("/accounts/second-factor/passkeys/add/")
        looks.at("passkey-add")
        for name, address in (("again-password", "confirm/"), ("again-code", "confirm/code/")):
            page.goto(f"/accounts/{address}?next=/accounts/second-factor/")
            looks.at(name)
        page.goto("/accounts/second-factor/")
        page.get_by_role("button", name="Connect Contoso").click()
        looks.at("connect")
        page.get_by_role("link", name="Cancel").click()
        page.get_by_label("Account alice").click()
        page.get_by_role("button", name="Sign out").click()
        sign_in(page)
        looks.at("code")
        page.get_by_label("Code of your app, or a recovery code").fill(recovery[0][::-1])
        page.get_by_role("button", name="Go on").click()
        looks.at("code-wrong")
        page.goto("/accounts/openid/callback/?state=x&code=y")
        looks.at("refused")

    assert {where: what for where, what in looks.found.items() if what} == {}


def test_people_and_invitations_shut_nobody_out(open_page: Open, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    page = open_page("/contoso/people/")
    looks = Looks(page)
    page.get_by_label("Mail address").fill("a-rather-long-name-of-somebody@administration.contoso.com")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("heading", name="Invited")).to_be_visible()
    looks.at("people")
    letter = message_from_bytes(mail.outbox[-1].message().as_bytes(), policy=default).get_content()
    (path,) = re.findall(r"(/accounts/invitation/\S+)", str(letter))
    page.get_by_label("Account alice").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto(path)
    looks.at("invitation")
    page.get_by_label("Password", exact=True).fill("12345678")
    page.get_by_label("Password once more").fill("12345678")
    page.get_by_role("button", name="Accept and sign in").click()
    looks.at("invitation-weak-password")

    assert {where: what for where, what in looks.found.items() if what} == {}


def sign_in(page: Page) -> None:
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a long pass phrase")
    page.get_by_role("button", name="Sign in", exact=True).click()


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))
