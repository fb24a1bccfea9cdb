"""All accounts of the installation: for its administrators alone, of whom one always stays."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from tenants_app.changes.accounts import make_administrator, switch_account
from tenants_app.models import AccountEvent, AuditEntry
from tests.support.actors import ACTOR
from tests.support.visitors import sign_in

pytestmark = pytest.mark.django_db

ALL = "/accounts/all/"


@pytest.fixture
def root(cast: None) -> Client:
    User.objects.create_superuser("root", "root@example.org", "a long pass phrase")
    return sign_in("root")


def pk(name: str) -> int:
    return User.objects.get(username=name).pk


def text(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_it_shows_everybody_with_roles_and_second_factor(root: Client) -> None:
    Authenticator.objects.create(user_id=pk("bob"), type="totp", data={})
    page = text(root.get(ALL))

    assert "bob bob@example.org · has not signed in yet · second factor Contoso : Operator" in page
    assert "charlie" in page
    assert "root Administrator root@example.org" in page


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("BOB@ex", {"bob"}),
        ("fabrikam", {"charlie"}),
        ("example.org contoso", {"alice", "bob", "vera"}),
        ("nobody", set()),
        ("\0", {"alice", "bob", "charlie", "root", "vera"}),
    ],
)
def test_it_finds_by_name_address_and_tenant(root: Client, words: str, found: set[str]) -> None:
    page = root.get(ALL, {"q": words}).content.decode()
    assert set(re.findall(r'class="who">(\w+)<', page)) == found


def test_it_costs_the_same_for_many(root: Client, django_assert_max_num_queries: Any) -> None:
    User.objects.bulk_create(User(username=f"person{number}") for number in range(120))
    with django_assert_max_num_queries(8):
        page = root.get(ALL, {"page": "2"}).content.decode()
    assert page.count('class="who"') == 50
    assert root.get(ALL, {"page": "x"}).status_code == 200


@pytest.mark.parametrize("name", ["alice", "bob", "charlie"])
def test_nobody_else_learns_of_it(cast: None, name: str) -> None:
    client, of_vera = sign_in(name), pk("vera")
    assert client.get(ALL).status_code == 404
    for change in ("switch", "administrator", "remove-second-factor"):
        assert client.post(f"{ALL}{of_vera}/{change}/", {"on": "true"}).status_code == 404
    assert not User.objects.get(username="vera").is_superuser
    assert 'href="/accounts/all/"' not in client.get("/accounts/own/").content.decode()


def test_who_is_switched_off_is_signed_out_at_once(root: Client) -> None:
    bob = Client()
    bob.post("/accounts/login/", {"username": "bob", "password": "a long pass phrase"})
    assert bob.get("/contoso/").status_code == 200
    root.post(f"{ALL}{pk('bob')}/switch/", {"on": "false"})

    assert bob.get("/contoso/").status_code == 302
    assert bob.post("/accounts/login/", {"username": "bob", "password": "a long pass phrase"}).status_code == 200
    seen = AuditEntry.objects.get(tenant__slug="contoso", action="switch off account")
    assert (seen.actor, seen.target, seen.consequence) == ("root", "bob", "1 session was ended.")

    root.post(f"{ALL}{pk('bob')}/switch/", {"on": "true"})
    assert bob.post("/accounts/login/", {"username": "bob", "password": "a long pass phrase"}).status_code == 302
    assert AuditEntry.objects.filter(action="switch on account").count() == 1


def test_administrators_are_made_and_unmade(root: Client) -> None:
    root.post(f"{ALL}{pk('alice')}/administrator/", {"on": "true"})
    alice = sign_in("alice")
    assert alice.get(ALL).status_code == 200
    alice.post(f"{ALL}{pk('root')}/administrator/", {"on": "false"})
    assert root.get(ALL).status_code == 404

    told = [*AccountEvent.objects.values_list("what", "name")]
    assert told == [("end administrator", "root"), ("make administrator", "alice")]


def test_a_second_factor_that_was_lost_is_removed(root: Client) -> None:
    Authenticator.objects.create(user_id=pk("bob"), type="totp", data={})
    told = text(root.post(f"{ALL}{pk('bob')}/remove-second-factor/", follow=True))
    assert "bob has no second factor any more." in told
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.get(action="remove second factor").actor == "root"
    again = text(root.post(f"{ALL}{pk('bob')}/remove-second-factor/", follow=True))
    assert "a password is enough" in again


@pytest.mark.parametrize("change", ["switch", "administrator", "remove-second-factor"])
def test_nobody_shuts_themselves_out(root: Client, change: str) -> None:
    answer = root.post(f"{ALL}{pk('root')}/{change}/", {"on": "false"})
    assert answer.status_code == 403
    assert "That is your own account" in text(answer)


def test_the_last_administrator_stays(root: Client) -> None:
    account = User.objects.get(username="root")
    User.objects.create_superuser("sleeper", "s@example.org", "a long pass phrase", is_active=False)
    for change in (lambda: switch_account(account, False, ACTOR), lambda: make_administrator(account, False, ACTOR)):
        with pytest.raises(ValidationError, match="the last administrator"):
            change()
    account.refresh_from_db()
    assert (account.is_active, account.is_superuser) == (True, True)


# --- the same in the Django admin ---------------------------------------------------------------------


def change(client: Client, name: str, **values: str) -> str:
    """Send the form of an account in the Django admin, with what is ticked in ``values``."""
    account = User.objects.get(username=name)
    form = {
        "username": name,
        "email": account.email,
        "date_joined_0": "2026-01-01",
        "date_joined_1": "12:00",
        "last_login_0": "",
        "last_login_1": "",
        **values,
    }
    return text(client.post(f"/admin/auth/user/{account.pk}/change/", form, follow=True))


def test_the_django_admin_keeps_the_last_administrator_too(root: Client) -> None:
    assert "the last administrator" in change(root, "root", is_superuser="on", is_staff="on")
    assert "the last administrator" in change(root, "root", is_active="on")
    form = f"/admin/auth/user/{pk('root')}/delete/"
    assert root.post(form, {"post": "yes"}).status_code == 403
    many = {"action": "delete_selected", "_selected_action": [pk("root"), pk("bob")], "post": "yes"}
    assert root.post("/admin/auth/user/", many).status_code == 403
    User.objects.filter(username="bob").update(is_superuser=True)
    assert "none was deleted" in text(root.post("/admin/auth/user/", many, follow=True))
    account = User.objects.get(username="root")
    assert (account.is_active, account.is_superuser) == (True, True)
    assert User.objects.filter(username="bob").exists()


def test_the_django_admin_switches_off_with_a_trace(root: Client) -> None:
    change(root, "bob")
    assert not User.objects.get(username="bob").is_active
    seen = AuditEntry.objects.get(action="switch off account")
    assert (seen.actor, seen.target, seen.channel) == ("root", "bob", "admin")
    change(root, "bob", is_active="on", is_superuser="on", is_staff="on")
    bob = User.objects.get(username="bob")
    assert (bob.is_active, bob.is_superuser, bob.is_staff) == (True, True, True)


def test_a_password_that_the_django_admin_sets_ends_the_sessions(root: Client) -> None:
    bob = Client()
    bob.post("/accounts/login/", {"username": "bob", "password": "a long pass phrase"})
    new = {"password1": "violet otter plays", "password2": "violet otter plays", "usable_password": "true"}
    root.post(f"/admin/auth/user/{pk('bob')}/password/", new)

    assert User.objects.get(username="bob").check_password("violet otter plays")
    assert bob.get("/contoso/").status_code == 302
    assert AuditEntry.objects.get(action="change password").target == "bob"
