"""Who guesses passwords is stopped, and keeps nobody else from signing in."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

RIGHT = "a long pass phrase"


def sign_in(
    client: Client, password: str = RIGHT, name: str = "alice", address: str = "192.0.2.1", **extra: Any
) -> int:
    """The status of the answer: 302 signed in, 200 wrong, 429 locked."""
    credentials = {"username": name, "password": password}
    return client.post("/accounts/login/", credentials, REMOTE_ADDR=address, **extra).status_code


def guess(times: int, name: str = "alice", address: str = "192.0.2.1", **extra: Any) -> list[int]:
    return [sign_in(Client(), "wrong", name, address, **extra) for _ in range(times)]


def test_a_name_is_locked_for_the_address_that_guesses_at_it(cast: None) -> None:
    assert guess(8) == [200] * 7 + [429]

    answer = Client().post("/accounts/login/", {"username": "alice", "password": RIGHT}, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 429
    assert "Too many tries" in answer.content.decode()
    assert sign_in(Client(), address="198.51.100.7") == 302


def test_another_browser_at_the_same_address_does_not_begin_anew(cast: None) -> None:
    guess(8)

    assert sign_in(Client(), HTTP_USER_AGENT="another") == 429


def test_further_tries_do_not_prolong_the_lock(cast: None) -> None:
    with time_machine.travel(0, tick=False) as clock:
        guess(8)
        for _ in range(14):
            clock.shift(60)
            assert sign_in(Client(), "wrong") == 429
            assert sign_in(Client()) == 429
        clock.shift(61)
        assert sign_in(Client()) == 302


def test_guesses_at_one_name_from_many_addresses_have_a_second_limit(cast: None) -> None:
    answers = [guess(1, address=f"192.0.2.{host}")[0] for host in range(1, 43)]

    assert answers[:39] == [200] * 39
    assert set(answers[40:]) == {429}
    assert sign_in(Client(), address="198.51.100.7") == 429
    assert sign_in(Client(), name="bob", address="198.51.100.7") == 302


def test_guesses_at_many_names_from_one_address_are_limited(cast: None) -> None:
    answers = [guess(1, name=f"user{number}")[0] for number in range(32)]

    assert answers[:29] == [200] * 29
    assert set(answers[30:]) == {429}
    assert sign_in(Client(), address="192.0.2.1") == 429
    assert sign_in(Client(), address="198.51.100.7") == 302


def test_signing_in_between_does_not_make_guesses_at_others_free(cast: None) -> None:
    answers = []
    for number in range(32):
        answers += guess(1, name=f"user{number}")
        sign_in(Client(), name="bob")

    assert set(answers[30:]) == {429}


def test_a_sign_in_forgets_ones_own_wrong_passwords(cast: None) -> None:
    guess(7)
    assert sign_in(Client()) == 302
    assert guess(7) == [200] * 7


@pytest.mark.parametrize("from_where", ["one address", "many addresses"])
def test_the_right_password_from_a_known_device_passes(cast: None, from_where: str) -> None:
    device = Client()
    assert sign_in(device) == 302
    device.post("/accounts/logout/")
    if from_where == "one address":
        assert guess(8)[-1] == 429
    else:
        assert [guess(1, address=f"198.51.100.{host}")[0] for host in range(1, 43)][-1] == 429

    assert sign_in(Client(), address="203.0.113.9" if from_where == "many addresses" else "192.0.2.1") == 429
    assert sign_in(device) == 302


def test_a_known_device_has_as_many_tries_as_any(cast: None) -> None:
    device = Client()
    sign_in(device)
    device.post("/accounts/logout/")

    assert [sign_in(device, "wrong") for _ in range(8)] == [200] * 7 + [429]
    assert sign_in(device) == 429


def test_a_device_is_known_for_those_only_who_have_signed_in_with_it(cast: None) -> None:
    device = Client()
    sign_in(device, name="bob")
    device.post("/accounts/logout/")
    sign_in(device, name="vera")
    device.post("/accounts/logout/")
    for name in ("alice", "bob"):
        guess(8, name=name)

    assert sign_in(device, name="alice") == 429
    assert sign_in(device, name="bob") == 302


@pytest.mark.parametrize("cookie", ["", "x", "W10:x:y", "a:b:c:d", "\x00", "é" * 5000])
def test_a_forged_cookie_makes_no_device_known(cast: None, cookie: str) -> None:
    guess(8)
    client = Client()
    client.cookies["mms_device"] = cookie

    assert sign_in(client) == 429


def test_the_admin_has_the_same_door(cast: None) -> None:
    User.objects.filter(username="alice").update(is_staff=True, is_superuser=True)
    door = Client().get("/admin/", follow=True).redirect_chain[-1][0]
    with_password = Client().post("/admin/login/", {"username": "alice", "password": RIGHT})

    assert door == "/accounts/login/?next=/admin/"
    assert with_password.url == "/accounts/login/?next=/admin/"


@pytest.mark.parametrize(
    ("trusted", "connected", "forwarded", "counts"),
    [
        ("127.0.0.0/8", "127.0.0.1", "192.0.2.9", True),
        ("127.0.0.0/8", "127.0.0.1", "10.9.9.9, 192.0.2.9", True),
        ("127.0.0.0/8", "127.0.0.1", "192.0.2.9:4711", True),
        ("127.0.0.0/8", "", "192.0.2.9", True),  # a Unix socket
        ("127.0.0.0/8 10.0.0.0/8", "127.0.0.1", "192.0.2.9, 10.0.0.7", True),
        ("::1/128", "::1", "::ffff:192.0.2.9", True),
        ("10.0.0.0/8", "127.0.0.1", "192.0.2.9", False),
        ("", "127.0.0.1", "192.0.2.9", False),
    ],
)
def test_the_address_is_what_a_trusted_proxy_says(
    cast: None, settings: Any, trusted: str, connected: str, forwarded: str, counts: bool
) -> None:
    settings.MMS_TRUSTED_PROXIES = [ip_network(network) for network in trusted.split()]
    guess(8, address=connected, HTTP_X_FORWARDED_FOR=forwarded)

    assert sign_in(Client(), address="192.0.2.9") == (429 if counts else 302)
    assert sign_in(Client(), address=connected, HTTP_X_FORWARDED_FOR="198.51.100.7") == (302 if counts else 429)


def test_a_proxy_that_names_nobody_is_taken_for_the_client_itself(cast: None) -> None:
    guess(8, address="127.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.9, unknown")

    assert sign_in(Client(), address="127.0.0.1") == 429
    assert sign_in(Client(), address="192.0.2.9") == 302


def test_an_ipv6_client_does_not_get_a_new_address_by_choosing_one(cast: None) -> None:
    for host in range(1, 9):
        guess(1, address=f"2001:db8:0:7::{host:x}")

    assert sign_in(Client(), address="2001:db8:0:7:ffff::1") == 429
    assert sign_in(Client(), address="2001:db8:0:8::1") == 302
