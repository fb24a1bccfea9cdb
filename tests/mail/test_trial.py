"""Trying a mail server by command and on the page: what works, in words, and one message to who asked for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.management import call_command
from django.core.management.base import CommandError

from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import MailServerConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.mail_servers import HOST, PASSWORD, USER, Served, relay
from tests.support.meetings import messages_in
from tests.support.visitors import sign_in

Try = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def operator(settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_ALLOWED_MAIL_HOSTS = [HOST]


@pytest.fixture
def own(tenant: Tenant) -> Iterator[Served]:
    with relay() as served:
        change_mail_server(tenant, ACTOR, **served.settings)
        yield served


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Try:
    """Runs a command; its exit status and what it printed."""

    def run(command: str, *options: str) -> tuple[int, str]:
        try:
            call_command(command, *options)
        except SystemExit as ended:
            return int(ended.code or 0), capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def test_it_says_what_works_step_by_step_and_mails_nobody(own: Served, run: Try) -> None:
    code, told = run("test_mail_server")
    assert code == 0, told
    steps = [line.split("  ", 1)[1].strip().partition(":")[0] for line in told.splitlines()]
    assert steps == ["server", "certificate", "sign-in", "offers", "sender"]
    assert "TLSv1" in told
    assert "Signed in." in told
    assert USER not in told, "the installation's is none of a tenant's business"
    assert "SIZE" in told or "MB" in told
    assert "8BITMIME" in told
    assert PASSWORD not in told
    assert own.relay.envelopes == []


def test_it_sends_one_message_to_that_address_only(own: Served, run: Try) -> None:
    code, told = run("test_mail_server", "--to", "alice@contoso.com")
    assert (code, "alice@contoso.com is on its way" in told) == (0, True)
    ((_, address),) = own.relay.copies()
    assert address == "alice@contoso.com"
    assert own.relay.envelopes[0].mail_from == "meeting-migration@contoso.com"
    assert b"text/calendar" not in own.relay.envelopes[0].content


def test_with_the_installations_folder_it_writes_one_file(tenant: Tenant, outbox: Path, run: Try) -> None:
    code, told = run("test_mail_server", "--to", "alice@contoso.com")
    assert code == 0
    assert "no SMTP server" in told
    (message,) = messages_in(outbox)
    assert message["To"].addresses[0].addr_spec == "alice@contoso.com"


@pytest.mark.parametrize(
    "address", ["nobody", "a@b@c", "a@example.org, b@example.org", "a@example.org\nBcc: b@example.org"]
)
def test_what_is_no_address_gets_nothing(tenant: Tenant, outbox: Path, address: str) -> None:
    with pytest.raises(CommandError, match="address"):
        call_command("test_mail_server", "--to", address)
    assert not list(outbox.iterdir())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"password": "wrong"}, "FAILED  sign-in: The server refuses user name or password (answer 535)."),
        ({"username": "", "password": None}, "FAILED  sender: It takes no message from"),
        ({"ca_certificates": ""}, "FAILED  certificate: The server's certificate is issued by a CA"),
        (
            {"ca_certificates": trustme.CA().cert_pem.bytes().decode()},
            "FAILED  certificate: The server's certificate is issued by a CA",
        ),
        ({"port": 9}, "FAILED  server: localhost, port 9, cannot be reached: connection refused."),
        ({"host": "nowhere.invalid"}, "its name leads to no address"),
        ({"security": "tls"}, "FAILED  TLS: "),
        ({"security": "none"}, "look    TLS: The connection is not encrypted"),
    ],
)
def test_what_does_not_work_is_named_and_ends_it(tenant: Tenant, run: Try, wrong: dict[str, Any], told: str) -> None:
    with relay() as served:
        change_mail_server(tenant, ACTOR, **(served.settings | wrong))
        code, found = run("test_mail_server")
        assert code == 1
        assert told in found
        assert served.relay.envelopes == []


@pytest.mark.parametrize("issued_for", ["smtp.fabrikam.com"])
def test_a_certificate_of_another_host_is_named(tenant: Tenant, run: Try, issued_for: str) -> None:
    with relay(issued_for=issued_for) as served:
        change_mail_server(tenant, ACTOR, **served.settings)
        assert "is made out to another host" in run("test_mail_server")[1]


def test_an_address_of_a_private_network_is_named(own: Served, run: Try, settings: Any) -> None:
    settings.MMS_ALLOWED_MAIL_HOSTS = []
    code, told = run("test_mail_server")
    assert code == 1
    assert "is in a private network" in told
    assert own.relay.sessions == set()


def test_a_server_that_babbles_is_told_as_one(tenant: Tenant, run: Try) -> None:
    """Something that answers, but not as a mail server does, and without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            answered, _ = listener.accept()
            with answered:
                answered.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        change_mail_server(tenant, ACTOR, host=HOST, port=listener.getsockname()[1])
        code, told = run("test_mail_server")
        thread.join()
    assert code == 1
    assert told.startswith("FAILED  server: ")


# --- the commands that set and show ---------------------------------------------------------------------


def test_it_is_set_and_shown_by_command_without_the_password(tenant: Tenant, run: Try, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    code, told = run(
        "set_mail_server",
        *("--host", "SMTP.contoso.com.", "--username", USER, "--secret-file", str(tmp_path / "password")),
        *("--messages-per-minute", "30", "--per-domain-per-minute", "10", "--sender-mode", "service"),
        *("--sender", "mms@contoso.com", "--dkim-selectors", "s1, s2"),
    )
    assert code == 0
    assert "contoso: Server installation → smtp.contoso.com" in told
    assert "contoso: MessagesPerMinute 0 → 30" in told
    kept = MailServerConnection.objects.get()
    assert (kept.password, kept.port, kept.security) == (PASSWORD, 587, "starttls")
    _, shown = run("get_mail_server", "--format", "json")
    assert '"SenderMode": "service"' in shown
    assert '"HasPassword": true' in shown
    assert PASSWORD not in told + shown
    run("set_mail_server", "--use-installation")
    assert '"Server": "installation"' in run("get_mail_server", "--format", "json")[1]


def test_the_installations_server_goes_with_nothing_of_an_own_one(tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="leave out"):
        call_command("set_mail_server", "--use-installation", "--port", "25")


# --- the page -------------------------------------------------------------------------------------------


def test_an_admin_changes_it_on_the_page_and_the_password_is_not_shown_again(own: Served, cast: None) -> None:
    alice = sign_in("alice")
    page = alice.get("/contoso/settings/mail/").content.decode()
    assert USER in page
    assert PASSWORD not in page
    assert MailServerConnection.objects.get().sealed_password not in page
    answer = alice.post(
        "/contoso/settings/mail/",
        {
            **{name: value for name, value in own.settings.items() if name != "password"},
            "security": "starttls",
            "sender_mode": "service",
            "messages_per_minute": "7",
            "per_domain_per_minute": "0",
        },
        follow=True,
    )
    assert "The mail settings are saved." in answer.content.decode()
    kept = MailServerConnection.objects.get()
    assert (kept.sender_mode, kept.messages_per_minute, kept.password) == ("service", 7, PASSWORD)


def test_another_host_without_the_password_is_refused_beside_the_field(own: Served, cast: None) -> None:
    values = {name: value for name, value in own.settings.items() if name != "password"}
    answer = sign_in("alice").post(
        "/contoso/settings/mail/",
        values
        | {
            "host": "smtp.fabrikam.com",
            "security": "starttls",
            "sender_mode": "organizer",
            "messages_per_minute": "0",
            "per_domain_per_minute": "0",
        },
    )
    assert "Enter the password too" in answer.content.decode()
    assert MailServerConnection.objects.get().host == HOST


def test_the_page_tests_the_server_and_sends_a_message_to_who_asks(own: Served, cast: None) -> None:
    alice = sign_in("alice")
    assert "Signed in." in alice.post("/contoso/settings/mail/test/").content.decode()
    assert own.relay.envelopes == []
    page = alice.post("/contoso/settings/mail/test-message/").content.decode()
    assert "is on its way" in page
    ((_, address),) = own.relay.copies()
    assert address.startswith("alice@")
