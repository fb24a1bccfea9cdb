"""What the pages and mails of accounts say can all be said in every language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from mms_site.accounts import recovery
from tenants_app.changes.invitations import invite
from tenants_app.models import Invitation, Tenant
from tests.accounts.test_invitations import text_of
from tests.accounts.test_openid import use
from tests.site.test_languages_of_pages import NAMES
from tests.support.actors import ACTOR
from tests.support.marked import everything_marked, forgotten_in, forgotten_on

pytestmark = pytest.mark.django_db

PASSWORD = "a long pass phrase"
OF_PEOPLE = {"alice", "bob", "root", "vera", "Contoso", "Fabrikam", "charlie", "yves@contoso.com", "tests", "by tests"}
KEEP = {*NAMES, *OF_PEOPLE, "Microsoft Authenticator", "Google Authenticator", "Europe/Rome", "Firefox", "Windows"}


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    use(settings, "http://127.0.0.1:9")
    mail.outbox = []


def pages(tenant: Tenant) -> Iterator[tuple[str, Any]]:
    """What is answered, by what it is."""
    visitor = Client()
    yield "signing in", visitor.get("/accounts/login/?unsaved=yes")
    yield "a wrong password", visitor.post("/accounts/login/", {"username": "alice", "password": "wrong"})
    yield "a forgotten password", visitor.get("/accounts/forgotten/")
    yield "what is no address", visitor.post("/accounts/forgotten/", {"email": "alice"})
    yield "a link asked for", visitor.post("/accounts/forgotten/", {"email": "alice@example.org"})
    yield "a link that was used", visitor.get("/accounts/sign-in-link/MQ/used-up/")
    yield "a refusal", visitor.get("/accounts/openid/callback/")
    yield "no invitation", visitor.get("/accounts/invitation/used-up/")
    _, token = invite(tenant, ACTOR, "yves@contoso.com", "viewer")
    yield "an invitation", visitor.get(f"/accounts/invitation/{token}/")
    yield "one that cannot be taken", visitor.post(f"/accounts/invitation/{token}/", {"username": "a b"})
    User.objects.create_superuser("root", "root@example.org", PASSWORD)
    client = Client(headers={"User-Agent": "Firefox/1 Windows"})
    client.post("/accounts/login/", {"username": "root", "password": PASSWORD})
    for path in ("own", "own/name", "own/preferences", "own/password"):
        wrong = {"language": "tlh", "time_zone": "x", "theme": "x", "full_name": "x" * 300, "old_password": "x"}
        yield path, client.post(f"/accounts/{path}/", wrong) if path != "own" else client.get("/accounts/own/")
    yield "the keys", client.get("/accounts/keyboard/")
    yield "all accounts", client.get("/accounts/all/")
    yield "nobody found", client.get("/accounts/all/?q=zzz")
    yield "people", client.get("/contoso/people/")
    yield "people, refused", client.post("/contoso/people/", {"email": "x", "role": "x", "language": "x"})
    for path in ("", "app/", "passkeys/add/"):
        yield path, client.get(f"/accounts/second-factor/{path}")
    yield "a wrong code", client.post("/accounts/second-factor/app/", {"code": "1"})
    Authenticator.objects.create(user=User.objects.get(username="alice"), type="totp", data={"secret": ""})
    visitor.post("/accounts/login/", {"username": "alice", "password": PASSWORD})
    yield "the code", visitor.get("/accounts/login/code/")


def test_nothing_on_the_pages_of_accounts_was_forgotten(cast: None, tenant: Tenant) -> None:
    with everything_marked():
        answers = {what: answer.content.decode() for what, answer in pages(tenant)}
    assert [what for what, page in answers.items() if not page] == []
    found = {what: forgotten_on(page, KEEP) for what, page in answers.items()}
    assert [f"{what}: {each}" for what, texts in found.items() for each in texts] == []


def test_nothing_in_their_mails_was_forgotten(cast: None, alice: Client) -> None:
    with everything_marked():
        alice.post("/contoso/people/", {"email": "yves@contoso.com", "role": "viewer", "language": "en"})
        recovery.send_links("bob@example.org", "en", "127.0.0.1")
    assert Invitation.objects.count() == 1
    invitation, link = mail.outbox
    assert forgotten_in([*text_of(invitation).split("\n\n"), *str(link.body).split("\n\n")], KEEP) == []
