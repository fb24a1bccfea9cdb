"""Invitations by mail: accepted once and within seven days, and never the way into somebody's account."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from tenants_app.changes import invitations
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import AccountEvent, AuditEntry, Invitation, Role, Tenant
from tests.support.actors import ACTOR
from tests.support.mail_servers import HOST, relay

pytestmark = pytest.mark.django_db
PEOPLE = "/contoso/people/"
INVITE = {"email": "yves@contoso.com", "role": "viewer", "language": "en"}
CHOSEN = {"username": "yves", "password1": "violet otter plays", "password2": "violet otter plays"}


@pytest.fixture(autouse=True)
def mailbox(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.outbox = []


def invited(alice: Client, email: str = "yves@contoso.com", role: str = "operator") -> str:
    """The path of the link in the mail."""
    assert alice.post(PEOPLE, INVITE | {"email": email, "role": role}).status_code == 302
    assert mail.outbox[-1].to == [email]
    (path,) = re.findall(r"http://testserver(/accounts/invitation/\S+)", text_of(mail.outbox[-1]))
    return str(path)


def text_of(letter: Any) -> str:
    """What stands in a mail, as its reader sees it."""
    return str(message_from_bytes(letter.message().as_bytes(), policy=default).get_content())


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_it_makes_an_account_with_the_role_and_signs_in(alice: Client) -> None:
    path, client = invited(alice), Client()
    page = client.get(path).content.decode()
    answer = client.post(path, CHOSEN)

    assert "Contoso invites you" in page
    assert answer.url == "/contoso/"
    assert client.get("/contoso/").status_code == 200
    yves = User.objects.get(username="yves")
    assert (yves.email, Role.objects.get(account=yves).name) == ("yves@contoso.com", "operator")
    assert list(AuditEntry.objects.order_by("-pk").values_list("action", "actor")[:3]) == [
        ("grant role", "yves"),
        ("accept invitation", "yves"),
        ("invite", "alice"),
    ]


def test_it_is_used_once(alice: Client) -> None:
    path = invited(alice)
    Client().post(path, CHOSEN)
    for method in ("get", "post"):
        again = Client()
        answer = getattr(again, method)(path, CHOSEN | {"username": "zoe"})
        assert "This invitation was used already." in answer.content.decode()
        assert not is_signed_in(again)
    assert not User.objects.filter(username="zoe").exists()
    assert AuditEntry.objects.filter(action="refuse sign-in", target="yves@contoso.com").count() == 2
    assert AccountEvent.objects.filter(what="refuse sign-in", name="yves@contoso.com").count() == 2


def test_it_ends_after_seven_days(alice: Client) -> None:
    path, client = invited(alice), Client()
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        answer = client.post(path, CHOSEN)

    assert "older than 7 days" in answer.content.decode()
    assert not is_signed_in(client)
    assert not User.objects.filter(username="yves").exists()
    assert AuditEntry.objects.filter(action="refuse sign-in").count() == 1


def test_one_that_is_withdrawn_or_replaced_does_nothing(alice: Client) -> None:
    first = invited(alice)
    second = invited(alice)
    alice.post(f"{PEOPLE}invitations/{Invitation.objects.get().pk}/withdraw/")

    for path in (first, second, "/accounts/invitation/nothing/"):
        client = Client()
        assert "belongs to no invitation" in client.post(path, CHOSEN).content.decode()
        assert not is_signed_in(client)


def test_the_mail_alone_opens_no_account_that_is_there(alice: Client) -> None:
    path, client = invited(alice, "Charlie@example.org"), Client()
    assert "Sign in with it" in client.get(path).content.decode()
    client.post(path, CHOSEN)
    assert not is_signed_in(client)
    assert not Role.objects.filter(account__username="charlie", tenant__slug="contoso").exists()

    signed_in = client.post("/accounts/login/", {"username": "charlie", "password": "a long pass phrase", "next": path})
    assert signed_in.url == path
    assert client.post(path).url == "/contoso/"
    assert Role.objects.get(account__username="charlie", tenant__slug="contoso").name == "operator"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"username": "ALICE"}, "choose another"),
        ({"password2": "violet otter"}, "The two passwords differ"),
        ({"password1": "12345678", "password2": "12345678"}, "numeric"),
        ({"username": ""}, "required"),
    ],
)
def test_a_form_that_cannot_be_taken_uses_nothing_up(alice: Client, wrong: dict[str, str], told: str) -> None:
    path, client = invited(alice), Client()
    answer = client.post(path, CHOSEN | wrong).content.decode()

    assert told in answer or "Fill" in answer or "Give" in answer
    assert not is_signed_in(client)
    assert client.post(path, CHOSEN).url == "/contoso/"


def test_nobody_is_invited_whom_the_mail_server_does_not_take(alice: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        9,
    )
    answer = alice.post(PEOPLE, INVITE)

    assert "so nobody is invited" in answer.content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("email", ["anna@m\u00fcnchen.example.org", "\u0131rene@contoso.com"])
def test_an_address_that_no_mail_server_needs_to_take_invites_nobody(alice: Client, email: str) -> None:
    answer = alice.post(PEOPLE, INVITE | {"email": email}).content.decode()

    assert "Give an address such as anna@contoso.com, in ASCII letters." in answer
    assert not Invitation.objects.exists()
    assert mail.outbox == []


def test_an_admin_changes_and_takes_away_roles_but_not_their_own(alice: Client) -> None:
    def role(name: str) -> Role | None:
        return Role.objects.filter(account__username=name, tenant__slug="contoso").first()

    bob, own = role("bob"), role("alice")
    assert bob
    assert own
    alice.post(f"{PEOPLE}{bob.pk}/role/", {"role": "viewer"})
    assert role("bob").name == "viewer"  # type: ignore[union-attr]
    alice.post(f"{PEOPLE}{bob.pk}/role/", {"role": "king"})
    assert role("bob").name == "viewer"  # type: ignore[union-attr]
    alice.post(f"{PEOPLE}{bob.pk}/remove/")
    assert role("bob") is None

    for change in ("role", "remove"):
        told = alice.post(f"{PEOPLE}{own.pk}/{change}/", {"role": "viewer"}, follow=True).content.decode()
        assert "That is your own role" in told
    assert role("alice").name == "admin"  # type: ignore[union-attr]


def test_without_a_mail_server_the_link_is_shown_once(alice: Client) -> None:
    path = invited(alice)
    page = alice.get(PEOPLE).content.decode()

    assert f"http://testserver{path}</code>" in page
    assert path not in alice.get(PEOPLE).content.decode()
    assert Client().post(path, CHOSEN).url == "/contoso/"


@pytest.mark.parametrize(
    ("language", "told"), [("tlh", "There is no such language here"), ("", "Fill this in: it must not be empty.")]
)
def test_a_language_that_does_not_exist_invites_nobody(alice: Client, language: str, told: str) -> None:
    answer = alice.post(PEOPLE, INVITE | {"language": language}).content.decode()

    assert told in answer
    assert not Invitation.objects.exists()
    assert mail.outbox == []


def test_it_goes_out_by_the_mail_server_of_the_tenant(alice: Client, tenant: Tenant, settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_ALLOWED_MAIL_HOSTS = [HOST]
    with relay() as served:
        change_mail_server(tenant, ACTOR, sender="mms@contoso.com", **served.settings)
        page = alice.post(PEOPLE, INVITE, follow=True).content.decode()
        (envelope,) = served.relay.envelopes
        served.relay.refuse("zoe@contoso.com")
        refused = alice.post(PEOPLE, INVITE | {"email": "zoe@contoso.com"}).content.decode()

    assert "The mail is on its way." in page
    assert "http://testserver/accounts/invitation/" not in page
    assert (envelope.mail_from, envelope.rcpt_tos) == ("mms@contoso.com", ["yves@contoso.com"])
    assert mail.outbox == []
    assert "so nobody is invited: answer 550." in refused
    assert [row.email for row in Invitation.objects.all()] == ["yves@contoso.com"]


def test_it_is_written_in_the_language_that_was_chosen(alice: Client, settings: Any) -> None:
    assert "Language of the mail" in alice.get(PEOPLE).content.decode()
    alice.post(PEOPLE, INVITE | {"language": "it"})

    assert "Content-Language: it" in mail.outbox[-1].message().as_bytes().decode()
    assert Invitation.objects.get().language == "it"


def test_who_was_switched_off_does_not_come_back_by_an_invitation(alice: Client) -> None:
    User.objects.filter(username="charlie").update(is_active=False)
    path, client = invited(alice, "charlie@example.org"), Client()
    for answer in (client.get(path), client.post(path, CHOSEN)):
        assert "This account is switched off." in answer.content.decode()
    assert not is_signed_in(client)
    assert not User.objects.filter(username="yves").exists()
    assert AuditEntry.objects.filter(action="refuse sign-in", target="charlie@example.org").count() == 2


def test_what_is_withdrawn_while_it_is_accepted_makes_no_account(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, client, found = invited(alice), Client(), invitations.find

    def found_and_gone(token: str) -> Invitation | None:
        invitation = found(token)
        Invitation.objects.all().delete()
        return invitation

    monkeypatch.setattr(invitations, "find", found_and_gone)
    assert "belongs to no invitation" in client.post(path, CHOSEN).content.decode()
    assert not is_signed_in(client)
    assert not User.objects.filter(username="yves").exists()


def test_what_is_accepted_while_it_is_withdrawn_stays_accepted(tenant: Tenant) -> None:
    invitation, _token = invitations.invite(tenant, ACTOR, "yves@contoso.com", "viewer")
    invitations.accept(Invitation.objects.get(), User(username="yves", email="yves@contoso.com", password="!"))

    with pytest.raises(ValidationError, match="used or withdrawn meanwhile"):
        invitations.withdraw(invitation, ACTOR)
    assert Invitation.objects.get().used_at
    assert not AuditEntry.objects.filter(action="withdraw invitation").exists()


def test_a_name_that_somebody_takes_in_this_moment_is_told_so(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    path, client = invited(alice), Client()

    def taken(*_given: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(invitations, "accept", taken)
    assert "choose another" in client.post(path, CHOSEN).content.decode()


def test_the_password_is_not_the_address(alice: Client) -> None:
    path = invited(alice, "yves.underhill@contoso.com")
    like_it = {"password1": "yves.underhill9", "password2": "yves.underhill9"}
    assert "too similar to the email" in Client().post(path, CHOSEN | like_it).content.decode()


def test_a_name_in_other_letters_of_the_same_is_taken(alice: Client) -> None:
    path = invited(alice)
    assert "choose another" in Client().post(path, CHOSEN | {"username": "\uff21lice"}).content.decode()
