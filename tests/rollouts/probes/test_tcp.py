"""R71: ``tcp`` connects, and with TLS looks at the certificate: its name, its chain, and the days it has left."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest
import trustme

from migrations_app.rollouts.probes.answers import Outcome
from tests.rollouts.probes.conftest import Probe, ServerTls
from tests.support.mail_servers import free_port
from tests.support.talking import talking, trickling


def test_it_passes_when_connected(probe: Probe) -> None:
    with talking(lambda connection: None) as port:
        answer = probe("tcp", host="localhost", port=port)

    assert answer.outcome == Outcome.PASSED
    assert answer.sentence == f"localhost took the connection at port {port}."
    assert answer.seconds > 0


def test_it_fails_where_nobody_listens(probe: Probe) -> None:
    answer = probe("tcp", host="localhost", port=free_port())

    assert answer.outcome == Outcome.FAILED
    assert "takes no connection" in answer.sentence
    assert "Start the service there" in answer.sentence


def test_it_fails_where_there_is_no_such_host(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    answer = probe("tcp", host="gone.contoso.com", port=443, hosts=["gone.contoso.com"])

    assert answer.outcome == Outcome.FAILED
    assert answer.sentence == "There is no host gone.contoso.com. Correct the name, or its record in DNS."


def test_it_is_inconclusive_where_dns_does_not_say(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    answer = probe("tcp", host="sip.contoso.com", port=443, hosts=["sip.contoso.com"])

    assert answer.outcome == Outcome.INCONCLUSIVE


def test_the_look_up_of_a_name_is_cut_off_too(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, over: threading.Event
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])

    answer = probe("tcp", host="sip.contoso.com", port=443, hosts=["sip.contoso.com"], seconds=0.2)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "could not be looked up" in answer.sentence


def test_it_goes_on_to_the_next_address(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have addresses of which not all are served."""
    with talking(lambda connection: None) as port:
        entries = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
        answer = probe(
            "tcp", host="pool.contoso.com", port=port, hosts=["pool.contoso.com"], private=["pool.contoso.com"]
        )

    assert answer.outcome == Outcome.PASSED


def test_with_tls_it_says_how_long_the_certificate_is_valid(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with talking(lambda connection: None, server_tls()) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, ca_certificates=ca)

    assert answer.outcome == Outcome.PASSED
    assert "Its certificate is valid until" in answer.sentence


@pytest.mark.parametrize(("least", "outcome"), [(29, Outcome.PASSED), (31, Outcome.FAILED)])
def test_a_certificate_near_its_end_fails(
    probe: Probe, server_tls: ServerTls, ca: str, least: int, outcome: Outcome
) -> None:
    with talking(lambda connection: None, server_tls(days=30.5)) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, ca_certificates=ca, days_left=least)

    assert answer.outcome == outcome
    assert ("is valid for 30 days, until" in answer.sentence) == (outcome == Outcome.FAILED)


def test_a_certificate_that_has_ended_fails(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with talking(lambda connection: None, server_tls(days=-1)) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, ca_certificates=ca)

    assert answer.outcome == Outcome.FAILED
    assert answer.sentence.startswith("TLS with localhost failed: the certificate of localhost has expired.")


def test_a_certificate_of_another_name_fails(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with talking(lambda connection: None, server_tls("pool.contoso.com")) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, ca_certificates=ca)
        of_the_pool = probe(
            "tcp", host="localhost", port=port, tls=True, ca_certificates=ca, certificate_name="pool.contoso.com"
        )

    assert answer.outcome == Outcome.FAILED
    assert "the certificate of localhost is made out to another host. Have one installed" in answer.sentence
    assert of_the_pool.outcome == Outcome.PASSED


def test_a_chain_that_leads_to_no_known_ca_fails(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with talking(lambda connection: None, server_tls(issuer=trustme.CA())) as port:
        answers = [probe("tcp", host="localhost", port=port, tls=True, ca_certificates=known) for known in ("", ca)]

    assert {answer.outcome for answer in answers} == {Outcome.FAILED}
    assert all("known CA" in answer.sentence or "not known here" in answer.sentence for answer in answers)


def test_a_port_without_tls_fails(probe: Probe) -> None:
    def greets(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.contoso.com ESMTP\r\n")
        connection.recv(1000)

    with talking(greets) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True)

    assert answer.outcome == Outcome.FAILED
    assert "does not speak TLS at this port" in answer.sentence


def test_whoever_hangs_up_in_the_handshake_fails(probe: Probe) -> None:
    with talking(lambda connection: connection.recv(10)) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True)

    assert answer.outcome == Outcome.FAILED
    assert "broke off the TLS handshake" in answer.sentence


def test_a_handshake_without_an_answer_is_inconclusive(probe: Probe, over: threading.Event) -> None:
    with talking(lambda connection: over.wait(60)) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, seconds=0.3)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "does not answer the TLS handshake in time" in answer.sentence


def test_a_handshake_that_trickles_is_cut_off(probe: Probe, over: threading.Event) -> None:
    """A record of TLS whose length is never reached."""
    with talking(trickling(b"\x16\x03\x03\x3f\xff" + b"\x02" * 200, over)) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, seconds=0.5)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "does not answer the TLS handshake in time" in answer.sentence


def test_a_server_that_demands_a_certificate_is_inconclusive(
    probe: Probe, server_tls: ServerTls, ca: str, authority: trustme.CA
) -> None:
    """Mutual TLS, as front ends may have it: 1.2 says so within the handshake."""
    tls = server_tls()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    with talking(lambda connection: None, tls) as port:
        answer = probe("tcp", host="localhost", port=port, tls=True, ca_certificates=ca)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "perhaps because it demands a certificate of its peer" in answer.sentence
    assert "Use a check of kind tcp without TLS, or of kind command." in answer.sentence
