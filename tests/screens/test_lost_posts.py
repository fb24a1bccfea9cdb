"""What is sent after the session has ended, or to an address that is no page: one is led back and told the truth."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.test import Client

from tenants_app.models import Bridge, ConferencingUser
from tests.support.pages import user_form, words
from tests.support.two_tenants import everything_stored

SIGN_IN = "/accounts/login/"
PASSWORD = {"username": "alice", "password": "a long pass phrase"}
LOST = "You were signed out, so nothing was saved or started."
GONE = "Do it again. What you had typed, if anything, is gone."
NO_PAGE = "Nothing was changed. That address only takes forms; this is the page it belongs to."
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ANNA = "/contoso/users/anna.rossi@contoso.com/"


def sign_in_page(address: str) -> dict[str, list[str]]:
    """What the address of the sign-in page asks of it."""
    path, _, query = address.partition("?")
    assert path == SIGN_IN
    return parse_qs(query)


def sign_in_at(client: Client, address: str, **who: str) -> Any:
    """The page that one is led to in the end."""
    return client.post(address, PASSWORD | who, headers=BROWSER, follow=True)


def test_a_form_of_an_ended_session_leads_back_to_its_page_and_is_not_saved(
    alice: Client, anna: ConferencingUser
) -> None:
    form = user_form(alice, anna.upn, display_name="Anna Bianchi")
    before = everything_stored()
    nobody = Client()

    asked = nobody.post(ANNA, form, headers=BROWSER | {"Referer": f"http://testserver{ANNA}?from=list"})
    assert sign_in_page(asked.url) == {"next": [f"{ANNA}?from=list"], "unsaved": ["yes"]}
    assert LOST in words(nobody.get(asked.url).content)
    page = sign_in_at(nobody, asked.url)

    assert page.redirect_chain == [(f"{ANNA}?from=list", 302)]
    assert f"{LOST} {GONE}" in words(page.content)
    after = everything_stored()
    assert [event["what"] for event in after.pop("AccountEvent")] == ["sign in"]
    before.pop("AccountEvent")
    assert after == before
    assert LOST not in words(nobody.get(ANNA).content)


def test_a_wrong_password_in_between_forgets_nothing(alice: Client, anna: ConferencingUser) -> None:
    nobody = Client()
    asked = nobody.post(f"{ANNA}start/", headers={"Referer": f"http://testserver{ANNA}"})
    wrong = sign_in_at(nobody, asked.url, password="guessed")
    assert LOST in words(wrong.content)
    page = sign_in_at(nobody, asked.url)

    assert page.request["PATH_INFO"] == ANNA
    assert LOST in words(page.content)
    assert not anna.runs.exists()


def test_who_has_signed_in_in_another_window_meanwhile_is_told_too(alice: Client, anna: ConferencingUser) -> None:
    asked = Client().post(ANNA, headers={"Referer": f"http://testserver{ANNA}"})
    page = alice.get(asked.url, follow=True)

    assert page.redirect_chain == [(ANNA, 302)]
    assert LOST in words(page.content)


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "not an address",
        "https://evil.example.org/contoso/users/",
        "http://evil.example.org/contoso/users/",
        "//evil.example.org/contoso/users/",
        "http://testserver@evil.example.org/contoso/users/",
        "http://testserver.evil.example.org/contoso/users/",
        "http://testserver:81/contoso/users/",
        "http:///evil.example.org/contoso/users/",
        "http://testserver//evil.example.org/contoso/users/",
        "http://testserver/\\evil.example.org/contoso/users/",
        "javascript:alert(1)//contoso/users/",
        "http://testserver/contoso/no/such/page/",
        "http://[broken/contoso/users/",
    ],
)
def test_it_leads_to_no_other_site_and_to_nothing_that_is_not_there(
    alice: Client, anna: ConferencingUser, referer: str
) -> None:
    nobody = Client()
    asked = nobody.post(f"{ANNA}start/", headers={"Referer": referer})
    assert sign_in_page(asked.url) == {"next": [f"{ANNA}start/"], "unsaved": ["yes"]}
    page = sign_in_at(nobody, asked.url)

    assert [address for address, _ in page.redirect_chain] == [f"{ANNA}start/", ANNA]
    assert LOST in words(page.content)
    assert NO_PAGE not in words(page.content)  # which would say the same a second time


@pytest.mark.parametrize("elsewhere", ["https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org/"])
def test_the_sign_in_page_leads_to_no_other_site(cast: None, elsewhere: str) -> None:
    page = Client().post(f"{SIGN_IN}?next={elsewhere}&unsaved=yes", PASSWORD)

    assert page.url == "/"


def test_a_form_that_was_shown_again_with_errors_leads_to_its_page(alice: Client, old_bridge: Bridge) -> None:
    added = f"/contoso/bridges/{old_bridge.pk}/numbers/add/"
    nobody = Client()
    asked = nobody.post(added, {"number": "+14255550199"}, headers={"Referer": f"http://testserver{added}"})
    page = sign_in_at(nobody, asked.url)

    assert page.request["PATH_INFO"] == f"/contoso/bridges/{old_bridge.pk}/"
    assert LOST in words(page.content)
    assert not old_bridge.numbers.filter(number="+14255550199").exists()


def test_a_part_of_a_page_makes_the_whole_page_sign_in_and_say_so(alice: Client, anna: ConferencingUser) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{ANNA}"}
    answer = Client().post(ANNA, {"preview": "1"}, headers=htmx, follow=True)

    assert sign_in_page(answer["HX-Redirect"]) == {"next": [ANNA], "unsaved": ["yes"]}
    assert answer.content == b""


def test_a_part_of_a_page_leads_to_no_other_site(cast: None) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": "https://evil.example.org/contoso/"}
    answer = Client().post(ANNA, {"preview": "1"}, headers=htmx, follow=True)

    assert sign_in_page(answer["HX-Redirect"])["next"] == [ANNA]


def test_signing_out_twice_is_nothing_to_be_told_about(cast: None) -> None:
    answer = Client().post("/accounts/logout/", headers={"Referer": "http://testserver/contoso/"})

    assert answer.url == SIGN_IN


def test_only_what_is_sent_is_told_to_be_lost(cast: None) -> None:
    nobody = Client()
    assert "unsaved" not in nobody.get(ANNA, headers={"Referer": "http://testserver/contoso/"}).url
    assert LOST not in words(sign_in_at(nobody, f"{SIGN_IN}?next=/contoso/").content)


# --- addresses that only take forms -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/contoso/settings/directory-key/", "/contoso/settings/"),
        (f"{ANNA}start/", ANNA),
        (f"{ANNA}mark-up-to-date/", ANNA),
        ("/contoso/bridges/add/", "/contoso/bridges/"),
        ("/contoso/bridges/{bridge}/edit/", "/contoso/bridges/{bridge}/"),
        ("/contoso/bridges/{bridge}/numbers/add/", "/contoso/bridges/{bridge}/"),
        ("/contoso/settings/MeetingMigrationEnabled/", "/contoso/settings/"),
        ("/accounts/theme/?theme=dark", "/contoso/"),
        ("/accounts/logout/", "/contoso/"),
    ],
)
def test_a_browser_that_opens_one_is_led_to_the_page_it_belongs_to(
    alice: Client, anna: ConferencingUser, address: str, page: str
) -> None:
    address, page = (each.format(bridge=anna.bridge_id) for each in (address, page))
    before = everything_stored()
    opened = alice.get(address, headers=BROWSER, follow=True)

    assert (opened.status_code, opened.request["PATH_INFO"]) == (200, page)
    assert NO_PAGE in words(opened.content)
    assert everything_stored() == before
    assert NO_PAGE not in words(alice.get(page).content)


def test_after_signing_in_one_is_led_there_too(cast: None) -> None:
    nobody = Client()
    asked = nobody.get("/contoso/settings/directory-key/", headers=BROWSER)
    page = sign_in_at(nobody, asked.url)

    assert page.request["PATH_INFO"] == "/contoso/settings/"
    assert NO_PAGE in words(page.content)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("get", {}),
        ("get", {"Accept": "*/*"}),
        ("get", {"Accept": "application/json"}),
        ("get", BROWSER | {"HX-Request": "true"}),
        ("head", BROWSER),
        ("put", BROWSER),
        ("patch", BROWSER),
        ("delete", BROWSER),
    ],
)
def test_whatever_else_asks_is_told_that_the_method_is_not_taken(
    alice: Client, anna: ConferencingUser, method: str, headers: dict[str, str]
) -> None:
    answer = getattr(alice, method)(f"{ANNA}start/", headers=headers)

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_a_page_takes_no_other_method_of_a_browser_either(alice: Client, anna: ConferencingUser) -> None:
    assert alice.put(ANNA, headers=BROWSER).status_code == 405
    assert alice.post("/contoso/", headers=BROWSER).status_code == 405


# --- forms of pages that are older than the sign-in ---------------------------------------------------


@pytest.fixture
def checked(cast: None) -> Client:
    """Alice, whose forms must carry the token of her session."""
    client = Client(enforce_csrf_checks=True)
    client.get(SIGN_IN)
    client.post(SIGN_IN, PASSWORD | {"csrfmiddlewaretoken": client.cookies["csrftoken"].value})
    return client


def test_a_form_of_an_older_page_leads_back_to_its_page_and_is_not_saved(
    checked: Client, anna: ConferencingUser
) -> None:
    before = everything_stored()
    form = {"display_name": "Anna Bianchi", "csrfmiddlewaretoken": "a" * 64}
    answer = checked.post(ANNA, form, headers=BROWSER | {"Referer": f"http://testserver{ANNA}"})
    assert answer.url == ANNA
    page = checked.get(answer.url)

    assert f"The page was too old, so nothing was saved or started. {GONE}" in words(page.content)
    assert everything_stored() == before


@pytest.mark.parametrize("referer", ["", "https://evil.example.org/contoso/"])
def test_a_form_of_another_site_is_refused(checked: Client, anna: ConferencingUser, referer: str) -> None:
    before = everything_stored()
    answer = checked.post(ANNA, {"display_name": "Anna Bianchi"}, headers=BROWSER | {"Referer": referer})

    assert answer.status_code == 403
    assert "The form was too old" in words(answer.content)
    assert everything_stored() == before


def test_a_part_of_a_page_with_an_old_token_is_refused(checked: Client, anna: ConferencingUser) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{ANNA}"}

    answer = checked.post(ANNA, {"preview": "1"}, headers=htmx)

    assert answer.status_code == 403
    assert json.loads(answer["HX-Trigger"]) == {"tooOld": {}}
    assert "so it can neither look ahead nor save: reload it." in words(checked.get(ANNA).content)


def test_who_is_not_signed_in_and_whose_browser_may_refuse_cookies_is_told_why(cast: None) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(SIGN_IN, PASSWORD, headers={"Referer": f"http://testserver{SIGN_IN}"})

    assert answer.status_code == 403
    assert "the browser refuses cookies" in words(answer.content)
