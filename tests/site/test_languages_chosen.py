"""Which language a page speaks, and who decides that."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import get_language, override

from mms_site.logs import OneLine
from tenants_app.languages import language_of_address, spoken_to
from tenants_app.models import AccountEvent, Preferences, Tenant
from tenants_app.sentences import sentence


def language_of(answer: object) -> str:
    page = answer.content.decode()  # type: ignore[attr-defined]
    return page.partition('<html lang="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("", "en"),
        ("it-CH, fr;q=0.9", "it"),
        ("fr, es-MX;q=0.8, en;q=0.1", "es"),
        ("zz", "en"),
        ("*", "en"),
        ("x" * 600, "en"),
    ],
)
def test_a_stranger_is_spoken_to_as_the_browser_asks(client: Client, asked: str, spoken: str, db: None) -> None:
    answer = client.get("/accounts/login/", headers={"accept-language": asked} if asked else {})
    assert (language_of(answer), answer["Content-Language"]) == (spoken, spoken)
    assert "Accept-Language" in answer["Vary"]


def test_what_a_stranger_chooses_holds(client: Client, db: None) -> None:
    chosen = client.post("/accounts/language/", {"language": "it", "next": "/accounts/login/?next=/contoso/"})
    assert (chosen.status_code, chosen["Location"]) == (302, "/accounts/login/?next=/contoso/")
    assert language_of(client.get("/accounts/login/", headers={"accept-language": "es"})) == "it"


@pytest.mark.parametrize("language", ["", "fr", "../es", "EN", "x" * 5000, "\x00"])
def test_a_language_that_does_not_exist_is_refused(client: Client, language: str, db: None) -> None:
    answer = client.post("/accounts/language/", {"language": language})
    assert answer.status_code == 400
    assert "There is no such language here" in answer.content.decode()
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    assert not AccountEvent.objects.exists()


def test_who_is_signed_in_and_asks_for_one_stands_in_the_audit(alice: Client) -> None:
    assert alice.post("/accounts/language/", {"language": "tlh\0" + "x" * 5000}).status_code == 400
    (event,) = AccountEvent.objects.filter(what="refuse language")
    assert (event.name, event.detail) == ("alice", "tlh" + "x" * 97)


def test_a_cookie_of_no_language_is_ignored(client: Client, db: None) -> None:
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "tlh"
    assert language_of(client.get("/accounts/login/", headers={"accept-language": "es"})) == "es"


def test_an_account_decides_for_itself_and_its_browser_keeps_that(alice: Client, tenant: Tenant) -> None:
    account = User.objects.get(username="alice")
    Preferences.objects.create(account=account, language="es")
    assert language_of(alice.get("/contoso/", headers={"accept-language": "it"})) == "es"
    assert language_of(alice.get("/nowhere/at/all/", headers={"accept-language": "it"})) == "es"
    assert get_language() == "en"
    Preferences.objects.update(language="tlh")
    del alice.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert language_of(alice.get("/contoso/", headers={"accept-language": "it"})) == "it"


def test_a_page_that_follows_is_made_anew_in_another_language(alice: Client, tenant: Tenant) -> None:
    part = {"HX-Request": "true"}
    seen = alice.get("/contoso/", headers=part).context["shown_version"]
    again = alice.get("/contoso/", headers=part | {"MMS-Shown": seen, "accept-language": "es"})
    assert again.status_code == 200


def test_who_gets_a_mail_decides_its_language(alice: Client, tenant: Tenant, settings: object) -> None:
    account = User.objects.get(username="alice")
    User.objects.filter(pk=account.pk).update(email="alice@contoso.com")
    Preferences.objects.create(account=account, language="it")
    settings.LANGUAGE_CODE = "es"  # type: ignore[attr-defined]
    assert [language_of_address(each) for each in ("Alice@Contoso.com", "nobody@contoso.com", "")] == ["it", "es", "es"]
    with spoken_to("alice@contoso.com"):
        assert get_language() == "it"


def test_logs_are_english() -> None:
    with override("es"):
        record = logging.LogRecord("mms", logging.INFO, "", 0, "%s", (sentence("Sunday"),), None)
        assert OneLine().format(record) == "Sunday"
        assert str(sentence("Sunday")) == "domingo"
