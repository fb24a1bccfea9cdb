"""Signing in and out, one-time sign-in links, and the list of tenants."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tenants_app.changes.tenants import grant_role
from tenants_app.models import Tenant
from tests.support.actors import ACTOR


def test_it_signs_in_and_goes_where_one_wanted_to(cast: None) -> None:
    client = Client()
    answer = client.post(
        "/accounts/login/", {"username": "alice", "password": "a long pass phrase", "next": "/contoso/users/"}
    )

    assert answer.url == "/contoso/users/"
    assert client.get("/contoso/users/").status_code == 200


def test_it_says_in_one_sentence_that_the_password_is_wrong(cast: None) -> None:
    answer = Client().post("/accounts/login/", {"username": "alice", "password": "wrong"})

    assert "The user name and password do not match." in answer.content.decode()


def test_it_signs_out_by_post_only(alice: Client) -> None:
    assert alice.get("/accounts/logout/").status_code == 405
    assert alice.post("/accounts/logout/").url == "/accounts/login/"
    assert alice.get("/contoso/").status_code == 302


def test_it_sets_the_first_password_by_a_link_that_works_once(cast: None) -> None:
    dora = User.objects.create_user("dora", "dora@example.org")
    link = reverse(
        "password_reset_confirm",
        kwargs={
            "uidb64": urlsafe_base64_encode(force_bytes(dora.pk)),
            "token": default_token_generator.make_token(dora),
        },
    )
    client = Client()
    form = client.get(link).url
    page = client.get(form).content.decode()
    weak = client.post(form, {"new_password1": "12345678", "new_password2": "12345678"})
    saved = client.post(form, {"new_password1": "violet otter plays", "new_password2": "violet otter plays"})

    assert "Choose a password" in page
    assert "dora" in page
    assert "entirely numeric" in weak.content.decode()
    assert saved.url == "/"
    assert "You have no role in any tenant yet" in client.get("/").content.decode()
    assert "This link does not work any more" in Client().get(link).content.decode()


def test_it_asks_the_whole_page_to_sign_in_when_a_session_ended_under_a_live_part(cast: None) -> None:
    answer = Client().get("/contoso/", headers={"HX-Request": "true"}, follow=True)

    assert answer["HX-Refresh"] == "true"
    assert b"<form" not in answer.content


def test_it_goes_straight_to_the_only_tenant(alice: Client) -> None:
    assert alice.get("/").url == "/contoso/"


def test_it_lists_the_tenants_where_there_are_several(alice: Client) -> None:
    grant_role(Tenant.objects.get(slug="fabrikam"), User.objects.get(username="alice"), "viewer", ACTOR)
    page = alice.get("/").content.decode()

    assert 'href="/contoso/"' in page
    assert 'href="/fabrikam/"' in page


def test_it_goes_where_one_wanted_to_only_where_that_is_a_page(cast: None) -> None:
    for wanted in (
        "x",
        "//evil.example.org/",
        "https://evil.example.org/contoso/",
        "/accounts/login/",
        "/nowhere/at/all/",
    ):
        answer = Client().post(
            "/accounts/login/", {"username": "alice", "password": "a long pass phrase", "next": wanted}
        )
        assert answer.url == "/", wanted


@pytest.mark.parametrize(
    "wanted", ["/accounts/login/", "/accounts/%6cogin/", "/accounts/login/?next=/accounts/login/", "x", "http://["]
)
def test_who_is_signed_in_does_not_go_round_in_a_circle(alice: Client, wanted: str) -> None:
    answer = alice.get("/accounts/login/", {"next": wanted}, follow=True)

    assert answer.status_code == 200
    assert answer.redirect_chain == [("/", 302), ("/contoso/", 302)]
