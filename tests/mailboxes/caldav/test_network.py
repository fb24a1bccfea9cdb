"""Whom MMS connects to, whose certificate it believes, and where it finds a server."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from migrations_app.failures import Failure
from migrations_app.https.addresses import normal
from migrations_app.mailboxes.caldav.client import Client
from migrations_app.mailboxes.caldav.steps import check
from migrations_app.mailboxes.caldav.transport import Account, Limits
from migrations_app.reachable import is_public
from tests.support.mail_servers import free_port
from tests.support.name_server import names
from tests.support.scripted_server import Asked, Told, multistatus, response, scripted

QUICK = Limits(connect=20, read=20, write=20, whole=60)
PRINCIPAL = multistatus(
    response("/", "<d:current-user-principal><d:href>/anna/</d:href></d:current-user-principal>"),
)


def account(address: str, ca: str = "") -> Account:
    return Account(address, "anna", "secret", ca)


def failure_at(address: str, hosts: Sequence[str] = (), ca: str = "") -> Failure:
    with pytest.raises(Failure) as failure, Client(account(address, ca), hosts, QUICK) as client:
        client.get("/x.ics")
    assert "secret" not in failure.value.what
    return failure.value


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1"),
        *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("https://localhost/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/"),
        *("https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost./", "localhost", "HTTPS://LOCALHOST:443"),
    ],
)
def test_no_way_of_writing_this_machine_is_connected_to(address: str) -> None:
    failure = failure_at(address)

    assert failure.code == "mailbox-address"
    assert "is in a private network, or MMS itself" in failure.detail


@pytest.mark.parametrize(
    "address",
    [
        *("", "https://", "://", "ftp://contoso.com/", "file:///etc/passwd", "https://[::1", "https://contoso.com:x/"),
        *("https://contoso.com:99999/", "https://anna:secret@contoso.com/", "https:///path", "http://contoso.com/"),
    ],
)
def test_what_is_no_address_to_use_is_said_to_be_none(address: str) -> None:
    assert failure_at(address).code == "mailbox-address"


def test_plain_http_is_possible_only_to_hosts_that_the_operator_names() -> None:
    with scripted(lambda _: Told(404)) as server:
        failure = failure_at(server.address)
        assert (failure.code, server.asked) == ("mailbox-address", [])
        with Client(account(server.address), ("LOCALHOST.",)) as client:
            assert client.get("/x.ics") is None


def resolved_to(*answers: Sequence[str]) -> Any:
    """In place of ``getaddrinfo``: another answer each time, the last one for ever."""
    left = list(answers)

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return getaddrinfo


def test_one_private_address_among_others_rules_out_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolved_to(["93.184.216.34", "127.0.0.1"]))

    assert failure_at("https://dav.contoso.com/").code == "mailbox-address"


def test_a_name_that_changes_its_address_after_the_check_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was checked is connected to; the name is not asked for again in between."""
    reached: list[str] = []

    def create_connection(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        reached.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolved_to(["93.184.216.34"], ["127.0.0.1"]))
    monkeypatch.setattr(socket, "create_connection", create_connection)

    assert failure_at("https://dav.contoso.com/").code == "mailbox-unavailable"
    assert reached == ["93.184.216.34"]
    assert failure_at("https://dav.contoso.com/").code == "mailbox-address"
    assert reached == ["93.184.216.34"]


@pytest.mark.usefixtures("dead_proxy")
def test_a_proxy_of_the_environment_is_not_used() -> None:
    with scripted(lambda _: Told(404)) as server, Client(account(server.address), ("localhost",)) as client:
        assert client.get("/x.ics") is None


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")


def test_a_host_that_is_not_there_and_one_that_takes_no_connection_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure = failure_at(f"https://localhost:{free_port()}/", ("localhost",))
    assert failure.code == "mailbox-unavailable"
    assert "takes no connection" in failure.detail

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = failure_at("https://misspelt.contoso.com/")
    assert (failure.code, failure.detail) == ("mailbox-address", "there is no host misspelt.contoso.com")


@pytest.mark.parametrize("limits", [{"whole": 0.3}, {"session": 0.3}])
def test_a_server_that_trickles_is_given_up(limits: dict[str, float]) -> None:
    """Octet by octet it never exceeds the time for the next one; the time for the whole answer, or for all, ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def trickle() -> None:
            connection, _ = listening.accept()
            ended = threading.Event()
            with connection:
                try:
                    for octet in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000:
                        connection.sendall(bytes([octet]))
                        ended.wait(0.02)
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        with (
            pytest.raises(Failure) as failure,
            Client(account(f"http://localhost:{port}/"), ("localhost",), Limits(2, 2, 2, **limits)) as client,
        ):
            client.get("/x.ics")
        thread.join()
    assert failure.value.code == "mailbox-unavailable"
    assert failure.value.detail == "localhost did not answer in time about /x.ics"


# Certificates


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA(organization_name="Contoso CA")


def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


def behind(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def failure_of(certificate: trustme.LeafCert, ca: str) -> Failure:
    with scripted(lambda _: Told(404), behind(certificate)) as server:
        failure = failure_at(server.address, ("localhost",), ca)
        assert server.asked == []
    return failure


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


def test_a_certificate_that_has_expired_is_said_to_have(ca: trustme.CA) -> None:
    failure = failure_of(ca.issue_cert("localhost", not_after=YESTERDAY), pem(ca))
    assert (failure.code, failure.detail) == ("mailbox-certificate", "the certificate of localhost has expired")


def test_a_certificate_of_tomorrow_is_not_valid_yet(ca: trustme.CA) -> None:
    failure = failure_of(ca.issue_cert("localhost", not_before=TOMORROW), pem(ca))
    assert failure.detail == "the certificate of localhost is not valid yet"


def test_a_certificate_for_another_host_is_said_to_be_one(ca: trustme.CA) -> None:
    failure = failure_of(ca.issue_cert("dav.fabrikam.com"), pem(ca))
    assert failure.detail == "the certificate of localhost is made out to another host"


def test_a_certificate_that_nobody_known_has_issued_is_not_trusted(ca: trustme.CA) -> None:
    failure = failure_of(ca.issue_cert("localhost"), "")
    assert failure.code == "mailbox-certificate"
    assert failure.detail == "the certificate of localhost is issued by a CA that is not known here"


def test_a_ca_that_is_not_pem_is_said_to_be_none() -> None:
    failure = failure_at("https://dav.contoso.com/", ca="-----BEGIN CERTIFICATE-----\nnonsense")
    assert failure.code == "mailbox-certificate"


def test_a_server_without_tls_at_the_port_is_the_wrong_address() -> None:
    with scripted(lambda _: Told(404)) as server:
        failure = failure_at(server.address.replace("http:", "https:"), ("localhost",))
    assert (failure.code, failure.detail) == ("mailbox-address", "localhost does not speak TLS at this port")


def test_a_redirect_from_https_to_http_is_refused(ca: trustme.CA) -> None:
    with scripted(lambda _: Told(404)) as plain:
        moved = Told(301, headers={"Location": plain.address})
        with scripted(lambda _: moved, behind(ca.issue_cert("localhost"))) as server:
            failure = failure_at(server.address, ("localhost",), pem(ca))
        assert plain.asked == []
    assert failure.code == "mailbox-address"
    assert "to plain http" in failure.detail


def test_a_redirect_from_http_to_https_is_followed(ca: trustme.CA) -> None:
    with (
        scripted(lambda _: Told(207, PRINCIPAL), behind(ca.issue_cert("localhost"))) as secure,
        scripted(lambda _: Told(301, headers={"Location": secure.address})) as plain,
        Client(account(plain.address, pem(ca)), ("localhost",)) as client,
    ):
        assert client.discover() == f"{secure.address}anna/"


def test_the_check_warns_of_a_certificate_that_ends_within_thirty_days(ca: trustme.CA) -> None:
    soon = ca.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=12, hours=1))
    with scripted(lambda _: Told(207, PRINCIPAL), behind(soon)) as server:
        found = {
            finding.step: finding
            for finding in check(account(server.address, pem(ca)), "a", allowed_hosts=["localhost"])
        }
    assert (found["certificate"].ok, found["certificate"].code) == (True, "mailbox-certificate")
    assert "issued by Contoso CA" in found["certificate"].sentence
    assert "12 days" in found["certificate"].sentence


# Where the server is


@pytest.fixture
def on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """All hosts of Contoso are this machine."""
    monkeypatch.setattr(socket, "getaddrinfo", resolved_to(["127.0.0.1"]))


@pytest.fixture
def elsewhere(ca: trustme.CA) -> Iterator[Any]:
    def script(asked: Asked) -> Told:
        return Told(207, PRINCIPAL) if asked.path == "/dav/" else Told(404)

    with scripted(script, behind(ca.issue_cert("dav.contoso.com", "dav.fabrikam.com"))) as server:
        yield server


HOSTS = ("contoso.com", "dav.contoso.com", "dav.fabrikam.com")


@pytest.mark.usefixtures("on_this_machine")
def test_a_server_is_found_by_srv_and_txt_records(
    ca: trustme.CA, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {
        ("_caldavs._tcp.contoso.com.", "SRV"): [f"0 1 {elsewhere.port} dav.contoso.com."],
        ("_caldavs._tcp.contoso.com.", "TXT"): ['"path=/dav/"'],
    }
    with names(records, monkeypatch), scripted(lambda _: Told(404)) as web:
        address = f"http://contoso.com:{web.port}/"
        with Client(account(address, pem(ca)), HOSTS, QUICK) as client:
            assert client.discover() == f"https://dav.contoso.com:{elsewhere.port}/anna/"
            assert client.get("/anna/x.ics") is None
        assert [asked.path for asked in web.asked] == ["/", "/.well-known/caldav"]
        assert [asked.path for asked in elsewhere.asked] == ["/dav/", "/anna/x.ics"]


@pytest.mark.usefixtures("on_this_machine")
def test_the_password_does_not_follow_dns_to_somebody_elses_host(
    ca: trustme.CA, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = {("_caldavs._tcp.contoso.com.", "SRV"): [f"0 1 {elsewhere.port} dav.fabrikam.com."]}
    with (
        names(records, monkeypatch),
        scripted(lambda _: Told(404)) as web,
        pytest.raises(Failure) as failure,
        Client(account(f"http://contoso.com:{web.port}/", pem(ca)), HOSTS, QUICK) as client,
    ):
        client.discover()
    assert elsewhere.asked == []
    assert "DNS names dav.fabrikam.com, which is not a part of contoso.com" in failure.value.detail


@pytest.mark.usefixtures("on_this_machine")
def test_what_was_tried_is_named_where_no_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        names({}, monkeypatch),
        scripted(lambda _: Told(200, b"<html>")) as web,
        pytest.raises(Failure) as failure,
        Client(account(f"http://contoso.com:{web.port}/calendars"), HOSTS, QUICK) as client,
    ):
        client.discover()
    assert failure.value.code == "mailbox-address"
    for tried in (f"contoso.com:{web.port}/calendars ", "/.well-known/caldav ", "_caldavs._tcp.contoso.com"):
        assert tried in failure.value.detail


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("/a%40b/", "/a@b/"),
        ("/%7euser/", "/~user/"),
        ("/%c3%a4/", "/ä/"),
        ("/a b/", "/a%20b/"),
        ("/%2525/", "/%2525/"),
    ],
)
def test_paths_have_one_form(path: str, same: str) -> None:
    assert normal(path) == normal(same)
    assert normal(normal(path)) == normal(path)


def test_an_encoded_slash_is_no_separator() -> None:
    assert normal("/a%2fb/") == "/a%2Fb/"
    assert normal("/a%2fb/") != normal("/a/b/")
