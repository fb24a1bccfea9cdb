"""Second factors: codes of an app, recovery codes, who must have one, and what is audited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from mms_site.accounts.adapters import NOT_THE_PASSKEY
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AccountEvent, AuditEntry, Tenant
from tests.support.actors import ACTOR

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
HOME = "/accounts/second-factor/"
CODE = "/accounts/login/code/"
T0 = 1_800_000_000
"""A moment at which a step of the clock begins."""


@pytest.fixture(autouse=True)
def nobody_has_guessed() -> Iterator[None]:
    """Wrong codes are counted in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def clock(cast: None) -> Any:
    with time_machine.travel(T0, tick=False) as clock:
        yield clock


def password(client: Client, name: str = "alice", **form: str) -> HttpResponse:
    return client.post("/accounts/login/", {"username": name, "password": PASSWORD} | form)


def code_of(secret: str, moment: float) -> str:
    return format_hotp_value(hotp_value(secret, int(moment) // 30))


def add_app(client: Client, moment: float = T0) -> str:
    """Adds an app to the account that is signed in; its key."""
    page = client.get(f"{HOME}app/").content.decode()
    (secret,) = re.findall(r"Key: <code>(\w+)</code>", page)
    added = client.post(f"{HOME}app/", {"code": code_of(secret, moment)})
    assert added.url == f"{HOME}recovery-codes/"
    return str(secret)


@pytest.fixture
def secret(clock: Any) -> str:
    """Of alice's app, which was added a minute ago."""
    client = Client()
    password(client)
    secret = add_app(client)
    clock.shift(60)
    return secret


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def sentence(answer: HttpResponse) -> str:
    return " ".join(re.findall(r'role="alert">(.*?)</', answer.content.decode(), re.DOTALL))


def events(what: str) -> list[str]:
    return list(AccountEvent.objects.filter(what=what, name="alice").order_by("pk").values_list("detail", flat=True))


def test_a_password_alone_signs_nobody_in_who_has_an_app(secret: str) -> None:
    client = Client()

    assert password(client, next="/contoso/users/").url == CODE
    assert not is_signed_in(client)
    assert client.get("/contoso/").status_code == 302
    assert client.post(CODE, {"code": code_of(secret, T0 + 60)}).url == "/contoso/users/"
    assert client.get("/contoso/users/").status_code == 200
    assert events("sign in") == ["With a password.", "With a password and an app."]


def test_a_code_is_taken_once(secret: str) -> None:
    code = code_of(secret, T0 + 60)
    first, second = Client(), Client()
    for client in (first, second):
        password(client)
    assert first.post(CODE, {"code": code}).status_code == 302

    again = second.post(CODE, {"code": f" {code[:3]} {code[3:]} "})
    assert "has been used already" in sentence(again)
    assert not is_signed_in(second)
    assert events("refuse sign-in") == ["The code of the second factor was wrong, or had been used already."]
    assert AuditEntry.objects.filter(tenant__slug="contoso", action="refuse sign-in", target="alice").count() == 1


def test_the_code_with_which_the_app_was_added_is_used(clock: Any) -> None:
    client = Client()
    password(client)
    secret = add_app(client)
    client.post("/accounts/logout/")
    password(client)

    assert "has been used already" in sentence(client.post(CODE, {"code": code_of(secret, T0)}))


@pytest.mark.parametrize("code", ["000000", "", "abc", "\x00", "１２３４５６", "9" * 500])
def test_a_wrong_code_signs_nobody_in(secret: str, code: str) -> None:
    client = Client()
    password(client)

    assert sentence(client.post(CODE, {"code": code}))
    assert not is_signed_in(client)


@pytest.mark.parametrize("seconds", [-90, 90])
def test_a_code_of_another_moment_signs_nobody_in(secret: str, seconds: int) -> None:
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(secret, T0 + 60 + seconds)})

    assert not is_signed_in(client)


def test_codes_are_not_guessed(secret: str) -> None:
    client = Client()
    password(client)
    for _ in range(6):
        answer = client.post(CODE, {"code": "000000"})

    assert "too many wrong codes" in sentence(answer)
    right = client.post(CODE, {"code": code_of(secret, T0 + 60)})
    assert "too many wrong codes" in sentence(right)
    assert not is_signed_in(client)


def test_a_recovery_code_takes_the_place_of_the_app_once(clock: Any) -> None:
    client = Client()
    password(client)
    add_app(client)
    codes = re.findall(r"<code>(\d{8})</code>", client.get(f"{HOME}recovery-codes/").content.decode())
    assert len(set(codes)) == 10
    for is_first in (True, False):
        client.post("/accounts/logout/")
        password(client)
        client.post(CODE, {"code": codes[3]})
        assert is_signed_in(client) == is_first


def test_new_recovery_codes_end_the_old(secret: str) -> None:
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(secret, T0 + 60)})
    old = re.findall(r"<code>(\d{8})</code>", client.get(f"{HOME}recovery-codes/").content.decode())
    assert client.post(f"{HOME}recovery-codes/new/").url == f"{HOME}recovery-codes/"
    new = re.findall(r"<code>(\d{8})</code>", client.get(f"{HOME}recovery-codes/").content.decode())

    assert not set(old) & set(new)
    assert len(new) == 10


def test_nothing_of_a_second_factor_is_stored_in_the_clear(secret: str) -> None:
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))

    assert Authenticator.objects.count() == 2
    assert secret not in stored
    assert stored.count("v1:") == 2


def test_keys_of_second_factors_are_rotated(secret: str, settings: Any, clock: Any) -> None:
    old, new = settings.MMS_SECRETS_KEYS, [Fernet.generate_key().decode()]
    settings.MMS_SECRETS_KEYS = new + old
    call_command("rotate_secrets")
    settings.MMS_SECRETS_KEYS = new
    client = Client()
    password(client)
    assert client.post(CODE, {"code": code_of(secret, T0 + 60)}).url == "/"

    settings.MMS_SECRETS_KEYS = old
    with pytest.raises(CommandError, match="second factor of alice"):
        call_command("rotate_secrets")
    client = Client()
    password(client)
    assert "put the key back" in sentence(client.post(CODE, {"code": code_of(secret, T0 + 90)}))
    assert not is_signed_in(client)


def test_without_a_key_no_second_factor_is_added(clock: Any, settings: Any) -> None:
    client = Client()
    password(client)
    page = client.get(f"{HOME}app/").content.decode()
    (secret,) = re.findall(r"Key: <code>(\w+)</code>", page)
    settings.MMS_SECRETS_KEYS = []

    refused = client.post(f"{HOME}app/", {"code": code_of(secret, T0)})
    assert "ask whoever runs it to set MMS_SECRETS_KEY" in refused.content.decode()
    assert not Authenticator.objects.exists()


def test_a_session_that_is_left_alone_changes_no_second_factor(secret: str, clock: Any) -> None:
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(secret, T0 + 60)})
    clock.shift(900)

    for page in ("app/remove/", "recovery-codes/", "recovery-codes/new/", "passkeys/add/"):
        assert client.get(HOME + page).url.startswith("/accounts/confirm/?next="), page
    asked = client.post(f"{HOME}app/remove/").url
    assert "That is not your password." in sentence(client.post(asked, {"password": "wrong"}))
    assert Authenticator.objects.filter(type="totp").exists()


def test_removing_the_app_takes_the_recovery_codes_with_it(secret: str) -> None:
    client = Client()
    password(client)
    client.post(CODE, {"code": code_of(secret, T0 + 60)})
    client.post(f"{HOME}app/remove/")
    client.post("/accounts/logout/")

    assert password(client).url == "/"
    assert not Authenticator.objects.exists()
    assert events("add second factor") == events("remove second factor") == ["An app that shows codes."]


def test_a_one_time_link_takes_the_place_of_no_second_factor(secret: str) -> None:
    alice = User.objects.get(username="alice")
    link = reverse(
        "password_reset_confirm",
        args=[urlsafe_base64_encode(force_bytes(alice.pk)), default_token_generator.make_token(alice)],
    )
    client = Client()
    form = client.get(link).url
    chosen = client.post(form, {"new_password1": "violet otter plays", "new_password2": "violet otter plays"})

    assert chosen.url == CODE
    assert not is_signed_in(client)
    assert client.post(CODE, {"code": code_of(secret, T0 + 60)}).url == "/"


def test_who_has_lost_the_factors_is_helped_by_a_command(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("remove_second_factor", "alice")

    assert password(client := Client()).url == "/"
    assert is_signed_in(client)
    assert events("remove second factor") == ["All were removed, because they were lost."]
    assert AuditEntry.objects.filter(action="remove second factor", channel="command", target="alice").exists()


def test_the_admin_is_behind_the_same_door(secret: str) -> None:
    User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)
    client = Client()

    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    assert client.get("/admin/login/?next=/admin/").url == "/accounts/login/?next=/admin/"
    assert password(client, next="/admin/").url == CODE
    assert client.get("/admin/").status_code == 302
    assert client.post(CODE, {"code": code_of(secret, T0 + 60)}).url == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert client.post("/admin/logout/").url == "/accounts/login/"
    assert not is_signed_in(client)


# --- who must have one --------------------------------------------------------------------------------


def test_a_tenant_that_asks_for_one_is_shown_to_nobody_without(clock: Any, tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, second_factor_required=True)
    client = Client()
    password(client)

    led = client.get("/contoso/users/", follow=True)
    assert led.redirect_chain[-1][0] == HOME
    assert "is for those only who sign in with a second factor" in led.content.decode()
    assert client.get("/contoso/users/", headers={"HX-Request": "true"})["HX-Redirect"] == HOME
    assert client.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false"}).url == HOME
    add_app(client)
    assert client.get("/contoso/users/").status_code == 200
    client.post(f"{HOME}app/remove/")
    assert client.get("/contoso/users/").url == HOME


def test_strangers_do_not_learn_that_a_tenant_asks_for_one(clock: Any, tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, second_factor_required=True)
    client = Client()
    password(client, "charlie")

    assert client.get("/contoso/").status_code == 404


def test_an_installation_that_asks_for_one_shows_nothing_without(clock: Any, settings: Any) -> None:
    settings.MMS_SECOND_FACTOR = "required"
    client = Client()
    password(client, "bob")

    for address in ("/", "/contoso/", "/admin/"):
        assert client.get(address).url == HOME, address
    assert "Everybody here signs in with a second factor" in client.get(HOME).content.decode()
    add_app(client)
    assert client.get("/contoso/").status_code == 200


NO_CREDENTIALS = [
    "[]",
    '{"id":5}',
    '{"id":"a","rawId":"YQ","type":"public-key","response":{}}',
    '{"id":"YQ","rawId":"YQ","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"YQ"}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("credential", NO_CREDENTIALS)
def test_what_is_no_passkey_is_told_so(cast: None, credential: str) -> None:
    stranger, alice = Client(), Client()
    stranger.get("/accounts/login/passkey/")
    password(alice)
    alice.get(f"{HOME}passkeys/add/")
    assert str(NOT_THE_PASSKEY) in alice.post(f"{HOME}passkeys/add/", {"credential": credential}).content.decode()
    assert not Authenticator.objects.exists()
    page = stranger.post("/accounts/login/passkey/", {"credential": credential}).content.decode()
    assert str(NOT_THE_PASSKEY) in page
    assert "_auth_user_id" not in stranger.session
