"""A password that was forgotten: a link by mail, and the same answer for everybody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils.translation import get_language
from django_q.models import OrmQ

from mms_site.accounts import recovery
from tenants_app.models import AccountEvent, Preferences

pytestmark = pytest.mark.django_db

FORGOTTEN = "/accounts/forgotten/"
NEW = {"new_password1": "violet otter plays", "new_password2": "violet otter plays"}


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []


def ask(email: str) -> str:
    """What the page says; the background service has done what was asked for."""
    page = Client().post(FORGOTTEN, {"email": email}).content.decode()
    for row in OrmQ.objects.all():
        task = row.task
        assert task["func"] == "mms_site.accounts.recovery.send_links"
        recovery.send_links(*task["args"])
        row.delete()
    return re.sub(r"(csrf\w+|nonce)[^>]*", "", page)


def link() -> str:
    (found,) = re.findall(r"http://testserver(/accounts/sign-in-link/\S+)", str(mail.outbox[-1].body))
    return str(found)


def test_the_link_leads_to_a_new_password_and_ends_all_sessions(cast: None) -> None:
    before = Client()
    before.post("/accounts/login/", {"username": "alice", "password": "a long pass phrase"})
    assert "Look into your mail" in ask("ALICE@example.org")
    assert mail.outbox[0].to == ["alice@example.org"]

    client = Client()
    form = client.get(link())
    assert client.post(form.url, NEW).url == "/"
    assert client.get("/contoso/").status_code == 200
    assert before.get("/contoso/").status_code == 302
    assert User.objects.get(username="alice").check_password(NEW["new_password1"])
    told = set(AccountEvent.objects.filter(account__username="alice").values_list("what", flat=True))
    assert {"ask for sign-in link", "change password", "sign in"} <= told
    assert "does not work any more" in Client().get(link(), follow=True).content.decode()


def test_the_answer_tells_nobody_whether_there_is_an_account(cast: None) -> None:
    assert ask("alice@example.org") == ask("stranger@example.org")
    assert len(mail.outbox) == 1


def test_the_second_factor_is_asked_for_as_always(cast: None) -> None:
    Authenticator.objects.create(user=User.objects.get(username="alice"), type="totp", data={})
    ask("alice@example.org")
    client = Client()
    answer = client.post(client.get(link()).url, NEW)

    assert answer.url == "/accounts/login/code/"
    assert client.get("/contoso/").status_code == 302


def test_who_signs_in_through_the_organization_alone_or_is_switched_off_gets_none(cast: None) -> None:
    alice = User.objects.get(username="alice")
    alice.set_unusable_password()
    alice.save()
    SocialAccount.objects.create(user=alice, provider="oidc-x", uid="alice-1")
    User.objects.filter(username="bob").update(is_active=False)
    ask("alice@example.org")
    ask("bob@example.org")

    assert mail.outbox == []


def test_who_never_chose_a_password_gets_one(cast: None) -> None:
    alice = User.objects.get(username="alice")
    alice.set_unusable_password()
    alice.save()
    ask("alice@example.org")

    assert len(mail.outbox) == 1


def test_a_mail_server_that_does_not_take_it_is_audited(cast: None, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "Look into your mail" in ask("alice@example.org")
    assert AccountEvent.objects.get().detail == "The mail server did not take the mail with the link."


def test_nobody_has_a_mailbox_filled_with_links(cast: None) -> None:
    for _ in range(5):
        ask("alice@example.org")
    assert "too many tries" in ask("alice@example.org")
    assert len(mail.outbox) == 5


@pytest.mark.parametrize("email", ["", "alice", "a@b@c", "\0@example.org"])
def test_what_is_no_address_is_not_looked_for(cast: None, email: str) -> None:
    assert "Look into your mail" not in ask(email)
    assert mail.outbox == []


@pytest.mark.parametrize(("language", "told"), [("", "it"), ("es", "es")])
def test_it_is_written_in_the_language_of_the_account(
    cast: None, monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    alice = User.objects.get(username="alice")
    Preferences.objects.create(account=alice, language=language)
    spoken: list[str] = []
    monkeypatch.setattr(recovery, "_", lambda text: spoken.append(str(get_language())) or text)
    recovery.send_links("alice@example.org", "it", "127.0.0.1")

    assert set(spoken) == {told}
