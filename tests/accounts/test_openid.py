"""Signing in through an OpenID provider: a real one, and one whose answers must not be believed."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from tenants_app.changes.invitations import accept, invite
from tenants_app.changes.tenants import grant_role
from tenants_app.models import AccountEvent, AuditEntry, Role, Tenant
from tests.support.actors import ACTOR
from tests.support.openid_provider import CLIENT, FOREIGN_KEY, Provider, openid_provider

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with openid_provider() as provider:
        yield provider


def use(settings: Any, issuer: str) -> None:
    """Make it the organization's sign-in."""
    settings.MMS_OIDC_ISSUER, settings.MMS_OIDC_NAME = issuer, "Contoso"
    settings.MMS_OIDC_ROLES = [
        ("mms-admins", "contoso", "admin"),
        ("mms-staff", "contoso", "viewer"),
        ("mms-staff", "fabrikam", "viewer"),
    ]
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "provider_class": "mms_site.accounts.openid.SignInProvider",
            "APPS": [
                {
                    "provider_id": settings.MMS_OIDC_PROVIDER_ID,
                    "name": "Contoso",
                    "client_id": CLIENT,
                    "secret": "x",
                    "settings": {"server_url": f"{issuer}/.well-known/openid-configuration"},
                }
            ],
        }
    }


@pytest.fixture
def provider(running: Provider, settings: Any, cast: None) -> Provider:
    """The provider, to which erna of Contoso's administrators is known."""
    use(settings, running.issuer)
    running.__init__(running.issuer)  # type: ignore[misc]
    running.claims = {
        "sub": "erna-1",
        "preferred_username": "erna",
        "name": "Erna Vogt",
        "email": "erna@contoso.com",
        "email_verified": True,
        "groups": ["mms-admins", "others"],
    }
    return running


def sign_in(provider: Provider, client: Client, **query: str) -> HttpResponse:
    begun = client.get("/accounts/openid/", query)
    assert begun.status_code == 302, begun.content
    return client.get(provider.answer_to(begun.url))


def told(answer: HttpResponse) -> str:
    """The sentence on the page that signs nobody in."""
    assert answer.status_code == 403
    found = re.search(r"Nobody was signed in</h1>\s*<p>(.*?)</p>", answer.content.decode(), re.DOTALL)
    assert found
    return found[1].replace("&#x27;", "'")


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_it_makes_an_account_with_the_roles_of_its_groups(provider: Provider) -> None:
    client = Client()
    answer = sign_in(provider, client, next="/contoso/users/")
    erna = User.objects.get(username="erna")

    assert answer.url == "/contoso/users/"
    assert client.get("/contoso/users/").status_code == 200
    assert (erna.email, erna.get_full_name(), erna.has_usable_password()) == ("erna@contoso.com", "Erna Vogt", False)
    assert [(role.tenant.slug, role.name, role.by_groups) for role in erna.tenant_roles.all()] == [
        ("contoso", "admin", True)
    ]
    assert AuditEntry.objects.filter(action="grant role", target="erna", actor="erna").count() == 1
    assert list(AccountEvent.objects.filter(account=erna).values_list("what", flat=True)) == [
        "sign in",
        "connect sign-in",
        "create account",
    ]
    assert AccountEvent.objects.filter(what="sign in").get().detail == "With Contoso."


def test_it_asks_with_a_nonce_and_a_challenge_of_its_own(provider: Provider) -> None:
    asked = []
    for _ in range(2):
        begun = Client().get("/accounts/openid/", {"auth_params": "nonce=mine", "scope": "more"})
        asked.append({name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()})

    assert asked[0]["redirect_uri"] == "http://testserver/accounts/openid/callback/"
    assert asked[0]["code_challenge_method"] == "S256"
    assert set(asked[0]["scope"].split()) == {"openid", "profile", "email"}
    assert len({"mine", asked[0]["nonce"], asked[1]["nonce"]}) == 3


def test_it_signs_out_and_in_again(provider: Provider) -> None:
    client = Client()
    sign_in(provider, client)
    client.post("/accounts/logout/")
    assert not is_signed_in(client)

    sign_in(provider, client)
    assert is_signed_in(client)
    assert User.objects.filter(username__startswith="erna").count() == 1
    assert AccountEvent.objects.filter(what="sign out", name="erna").count() == 1


WRONG = {
    "a nonce of another attempt": ("wrong nonce", lambda claims: claims.update(nonce="another")),
    "no nonce": ("wrong nonce", lambda claims: claims.pop("nonce")),
    "another audience": ("another service", lambda claims: claims.update(aud="someone-else")),
    "another party": ("another service", lambda claims: claims.update(azp="someone-else")),
    "one of several audiences": ("another service", lambda claims: claims.update(aud=[CLIENT, "someone-else"])),
    "another issuer": ("another issuer", lambda claims: claims.update(iss="https://evil.example.org")),
    "expired": ("has expired", lambda claims: claims.update(iat=claims["iat"] - 900, exp=claims["exp"] - 900)),
    "no end": ("lacks something", lambda claims: claims.pop("exp")),
    "nobody": ("lacks something", lambda claims: claims.update(sub="")),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_not_to_be_believed_signs_nobody_in(provider: Provider, wrong: str) -> None:
    sentence, provider.change = WRONG[wrong]
    client = Client()

    assert sentence in told(sign_in(provider, client))
    assert not is_signed_in(client)
    assert not User.objects.filter(username="erna").exists()
    event = AccountEvent.objects.get()
    assert (event.what, event.address) == ("refuse sign-in", "127.0.0.1")
    assert sentence in event.detail


@pytest.mark.parametrize("forged", ["with another key", "by no key", "with the secret"])
def test_an_answer_that_the_provider_has_not_signed_signs_nobody_in(provider: Provider, forged: str) -> None:
    if forged == "with another key":
        provider.key = FOREIGN_KEY
    else:
        provider.key, provider.algorithm = {"by no key": (None, "none"), "with the secret": ("x" * 32, "HS256")}[forged]
    client = Client()

    assert "not signed with one of its keys" in told(sign_in(provider, client))
    assert not is_signed_in(client)


def test_userinfo_about_somebody_else_signs_nobody_in(provider: Provider) -> None:
    provider.userinfo = {"sub": "alice-1"}

    assert "lacks something" in told(sign_in(provider, Client()))


def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(provider: Provider) -> None:
    answer = provider.answer_to(Client().get("/accounts/openid/").url)
    other = Client()

    assert "not begun in this browser" in told(other.get(answer))
    assert not is_signed_in(other)


def test_an_answer_is_taken_once(provider: Provider) -> None:
    client = Client()
    answer = provider.answer_to(client.get("/accounts/openid/").url)
    assert client.get(answer).status_code == 302
    client.post("/accounts/logout/")

    assert "not begun in this browser" in told(client.get(answer))


def test_who_turns_back_at_the_provider_is_told_so(provider: Provider) -> None:
    client = Client()
    provider.answer_to(client.get("/accounts/openid/").url)
    left = client.get("/accounts/openid/callback/", {"error": "access_denied", "state": provider.asked["state"]})

    assert "You left" in told(left)


@pytest.mark.parametrize("vouched", [False, None, "no", 1])
def test_an_address_that_nobody_vouches_for_takes_over_no_account(provider: Provider, vouched: Any) -> None:
    provider.claims |= {"email": "Alice@example.org", "email_verified": vouched}
    client = Client()

    assert "does not say that the address is yours" in told(sign_in(provider, client))
    assert not is_signed_in(client)
    assert not User.objects.filter(username="erna").exists()
    seen = AuditEntry.objects.get(tenant__slug="contoso", action="refuse sign-in")
    assert (seen.actor, seen.target) == ("erna", "alice")


def test_an_address_of_the_userinfo_is_not_vouched_for_by_another(provider: Provider) -> None:
    del provider.claims["email_verified"]
    provider.claims["email"] = "alice@example.org"
    provider.userinfo = {"email": "erna@contoso.com", "email_verified": True}

    assert "does not say that the address is yours" in told(sign_in(provider, Client()))


def test_an_address_that_the_provider_vouches_for_leads_to_the_account(provider: Provider) -> None:
    provider.claims |= {"email": "Bob@example.org", "groups": []}
    client = Client()
    sign_in(provider, client)

    assert client.session["_auth_user_id"] == str(User.objects.get(username="bob").pk)
    assert client.get("/contoso/").status_code == 200


def test_an_address_that_databases_take_for_the_same_is_another(provider: Provider) -> None:
    """The dotless ı in capitals is an I, as PostgreSQL compares."""
    provider.claims["email"] = "al\u0131ce@example.org"
    client = Client()
    sign_in(provider, client)

    assert client.session["_auth_user_id"] == str(User.objects.get(username="erna").pk)


def test_an_account_that_an_invitation_made_is_not_had_by_its_address(provider: Provider, tenant: Tenant) -> None:
    """A tenant's admin, whose mail server the invitation takes, could wait in it for the roles of whoever has it."""
    invitation, _token = invite(tenant, ACTOR, "erna@contoso.com", "viewer")
    accept(invitation, mallory := User(username="mallory", email=invitation.email, password="!"))
    client = Client()

    assert "may be somebody else's" in told(sign_in(provider, client))
    assert not is_signed_in(client)
    assert mallory.tenant_roles.get().name == "viewer"


def test_an_address_that_has_passed_to_somebody_else_takes_no_account_along(provider: Provider) -> None:
    sign_in(provider, Client())
    provider.claims |= {"sub": "erna-2", "preferred_username": "erna2"}
    client = Client()

    assert "may be somebody else's" in told(sign_in(provider, client))
    assert not is_signed_in(client)


def test_a_user_name_that_somebody_has_takes_over_no_account(provider: Provider) -> None:
    provider.claims["preferred_username"] = "Alice"

    assert "this user name already" in told(sign_in(provider, Client()))


@pytest.mark.parametrize("groups", [[], ["others"], None, {"mms-admins": 1}, ["MMS-ADMINS"]])
def test_groups_without_a_role_sign_nobody_in(provider: Provider, groups: Any) -> None:
    provider.claims["groups"] = groups
    client = Client()

    assert "None of your groups has a role here." in told(sign_in(provider, client))
    assert not is_signed_in(client)
    assert not User.objects.filter(username="erna").exists()
    assert AccountEvent.objects.get().what == "refuse sign-in"


def test_roles_follow_groups_and_end_with_them(provider: Provider, tenant: Tenant) -> None:
    sign_in(provider, Client())
    erna = User.objects.get(username="erna")

    def roles() -> dict[str, str]:
        return dict(Role.objects.filter(account=erna).values_list("tenant__slug", "name"))

    provider.claims["groups"] = ["mms-staff", "mms-admins"]
    sign_in(provider, Client())
    assert roles() == {"contoso": "admin", "fabrikam": "viewer"}

    provider.claims["groups"] = ["mms-staff"]
    sign_in(provider, Client())
    assert roles() == {"contoso": "viewer", "fabrikam": "viewer"}

    grant_role(tenant, erna, "operator", ACTOR)
    provider.claims["groups"] = []
    sign_in(provider, client := Client())
    assert roles() == {"contoso": "operator"}
    assert is_signed_in(client)


def test_who_has_left_all_groups_loses_the_roles_and_is_refused(provider: Provider) -> None:
    before = Client()
    sign_in(provider, before)
    provider.claims["groups"] = []

    assert "None of your groups" in told(sign_in(provider, Client()))
    assert not Role.objects.filter(account__username="erna").exists()
    assert before.get("/contoso/").status_code == 404


def test_an_account_that_is_switched_off_stays_out(provider: Provider) -> None:
    sign_in(provider, Client())
    User.objects.filter(username="erna").update(is_active=False)

    assert "switched off" in told(sign_in(provider, Client()))


def test_who_is_signed_in_can_connect_the_two(provider: Provider) -> None:
    provider.claims |= {"email": "alice@example.org", "email_verified": False}
    client = Client()
    client.post("/accounts/login/", {"username": "alice", "password": "a long pass phrase"})
    page = client.post("/accounts/openid/connect/").content.decode()
    (leads_to,) = re.findall(r'href="(http://127[^"]*)"', page)
    assert client.get(provider.answer_to(leads_to.replace("&amp;", "&"))).url == "/accounts/second-factor/"
    client.post("/accounts/logout/")
    sign_in(provider, client)

    assert client.session["_auth_user_id"] == str(User.objects.get(username="alice").pk)


def test_what_somebody_else_has_connected_is_not_connected_again(provider: Provider) -> None:
    sign_in(provider, Client())
    client = Client()
    client.post("/accounts/login/", {"username": "alice", "password": "a long pass phrase"})
    page = client.post("/accounts/openid/connect/").content.decode()
    (leads_to,) = re.findall(r'href="(http://127[^"]*)"', page)

    assert "another account already" in told(client.get(provider.answer_to(leads_to.replace("&amp;", "&"))))


def test_a_provider_that_does_not_answer_is_named_in_a_sentence(settings: Any, cast: None) -> None:
    use(settings, "http://127.0.0.1:9")

    assert "does not answer" in told(Client().get("/accounts/openid/"))


def test_a_provider_with_the_configuration_of_another_is_not_asked(provider: Provider, settings: Any) -> None:
    settings.MMS_OIDC_ISSUER = "http://127.0.0.1:1"

    assert "another issuer" in told(Client().get("/accounts/openid/"))


# --- signing out there ---------------------------------------------------------------------------------


def leads_on_to(answer: HttpResponse) -> str:
    """Where the page of a sign-out goes on to by itself; empty where nowhere."""
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', answer.content.decode())
    return unescape(found[1]) if found else ""


def test_signing_out_goes_on_to_the_provider(provider: Provider) -> None:
    provider.signs_out_at = f"{provider.issuer}/end"
    client = Client()
    sign_in(provider, client)
    answer = client.post("/accounts/logout/")
    there = urlsplit(leads_on_to(answer))
    asked = {name: values[0] for name, values in parse_qs(there.query).items()}

    assert not is_signed_in(client)
    assert f"{there.scheme}://{there.netloc}{there.path}" == provider.signs_out_at
    assert asked["post_logout_redirect_uri"] == "http://testserver/accounts/login/"
    assert jwt.decode(asked["id_token_hint"], options={"verify_signature": False})["sub"] == "erna-1"


def test_without_such_a_page_there_one_is_signed_out_here_and_told_so(provider: Provider) -> None:
    client = Client()
    sign_in(provider, client)
    answer = client.post("/accounts/logout/")

    assert not is_signed_in(client)
    assert leads_on_to(answer) == ""
    assert "Your session with Contoso goes on" in answer.content.decode()


@pytest.mark.parametrize("address", ["javascript:alert(1)", 7])
def test_an_address_that_is_none_leads_nobody_on(provider: Provider, settings: Any, address: Any) -> None:
    provider.signs_out_at = address
    client = Client()
    sign_in(provider, client)

    assert leads_on_to(client.post("/accounts/logout/")) == ""


def test_who_came_by_password_is_led_to_no_provider(provider: Provider) -> None:
    provider.signs_out_at = f"{provider.issuer}/end"
    client = Client()
    client.post("/accounts/login/", {"username": "alice", "password": "a long pass phrase"})

    assert client.post("/accounts/logout/").url == "/accounts/login/"


# --- a real one ---------------------------------------------------------------------------------------


@contextmanager
def real_provider(**options: Any) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own libraries
        import oidc_provider_mock
    people = [
        oidc_provider_mock.User(
            sub="erna-1",
            claims={
                "preferred_username": "erna",
                "email": "erna@contoso.com",
                "email_verified": True,
                "groups": ["mms-admins"],
            },
        ),
        oidc_provider_mock.User(sub="karl-2", claims={"preferred_username": "karl", "groups": ["others"]}),
        oidc_provider_mock.User(
            sub="mallory-3",
            claims={"email": "root@contoso.com", "email_verified": False, "groups": ["mms-admins"]},
        ),
    ]
    with oidc_provider_mock.run_server_in_thread(user_claims=people, **options) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.mark.filterwarnings("ignore")  # of the libraries that it is made of
def test_a_real_provider_signs_in_and_out_and_is_refused_without_a_role(settings: Any, cast: None) -> None:
    with real_provider() as issuer:
        use(settings, issuer)
        client = Client()
        begun = client.get("/accounts/openid/", {"next": "/contoso/"})
        allowed = httpx2.post(begun.url, data={"sub": "erna-1"}, follow_redirects=False)
        assert client.get(allowed.headers["Location"]).url == "/contoso/"
        assert client.get("/contoso/").status_code == 200
        there = leads_on_to(client.post("/accounts/logout/"))
        assert not is_signed_in(client)
        assert there.startswith(issuer)
        assert httpx2.get(there).status_code == 200

        begun = client.get("/accounts/openid/")
        allowed = httpx2.post(begun.url, data={"sub": "karl-2"}, follow_redirects=False)
        assert "None of your groups" in told(client.get(allowed.headers["Location"]))


REFUSED = {
    "a nonce of another attempt": "wrong nonce",
    "expired": "has expired",
    "another issuer": "another issuer",
    "an unverified address of an administrator": "does not say that the address is yours",
    "an answer to nobody": "not begun in this browser",
    "a code that was used": "not begun in this browser",
}


@pytest.mark.parametrize("wrong", REFUSED)
@pytest.mark.filterwarnings("ignore")  # of the libraries that it is made of
def test_a_real_provider_signs_nobody_in_with(settings: Any, cast: None, wrong: str) -> None:
    User.objects.create_superuser("root", "root@contoso.com", "a long pass phrase")
    age = timedelta(seconds=-900) if wrong == "expired" else timedelta(hours=1)
    with real_provider(access_token_max_age=age) as issuer:
        use(settings, issuer)
        if wrong == "another issuer":
            settings.MMS_OIDC_ISSUER = issuer.replace("localhost", "127.0.0.1")
        client = Client()
        begun = client.get("/accounts/openid/")
        if begun.status_code == 302:
            asked = re.sub("nonce=[^&]*", "nonce=another", begun.url) if "nonce" in wrong else begun.url
            person = "mallory-3" if "unverified" in wrong else "erna-1"
            back = httpx2.post(asked, data={"sub": person}, follow_redirects=False).headers["Location"]
            if wrong == "a code that was used":
                client.get(back)
                client.post("/accounts/logout/")
            begun = (Client() if wrong == "an answer to nobody" else client).get(back)

    assert REFUSED[wrong] in told(begun)
    assert not is_signed_in(client)
    if "not begun" not in REFUSED[wrong]:  # that anybody can bring about, and it goes to the log
        event = AccountEvent.objects.get(what="refuse sign-in")
        assert REFUSED[wrong] in event.detail
