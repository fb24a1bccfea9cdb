"""R71: ``http`` asks by GET or HEAD, stays among the hosts of the deployment, and reads 64 KiB of an answer at most."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import ExitStack

import pytest

from migrations_app.rollouts.probes.answers import Outcome
from migrations_app.rollouts.probes.http import MOST_OCTETS
from tests.rollouts.probes.conftest import Probe, ServerTls
from tests.support.mail_servers import free_port
from tests.support.scripted_server import Asked, Told, scripted
from tests.support.talking import talking, trickling


def test_it_passes_with_an_expected_answer(probe: Probe) -> None:
    with scripted(lambda asked: Told(200, b"Skype for Business")) as server:
        answer = probe("http", url=f"{server.address}meet?a=1&b=%20", text="for Business")

    assert answer.outcome == Outcome.PASSED
    assert answer.sentence == f"{server.address}meet?a=1&b=%20 answered 200, as expected."
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/meet?a=1&b=%20")
    assert asked.headers["host"] == f"localhost:{server.port}"
    assert not {"cookie", "authorization"} & asked.headers.keys()


@pytest.mark.parametrize(
    ("status", "expected", "outcome"),
    [
        (204, "200-299", Outcome.PASSED),
        (500, "200-299", Outcome.FAILED),
        (401, "200, 401", Outcome.PASSED),
        (404, "200, 401", Outcome.FAILED),
        (503, "any", Outcome.PASSED),
        (302, "302", Outcome.PASSED),
    ],
)
def test_the_status_must_be_among_the_expected(probe: Probe, status: int, expected: str, outcome: Outcome) -> None:
    with scripted(lambda asked: Told(status, headers={"Location": "/elsewhere"} if status == 302 else {})) as server:
        answer = probe("http", url=server.address, statuses=expected)

    assert answer.outcome == outcome
    assert len(server.asked) == 1
    if outcome == Outcome.FAILED:
        assert f"answered {status}, and {expected} was expected." in answer.sentence


def test_head_asks_for_no_content(probe: Probe) -> None:
    with scripted(lambda asked: Told(200, length=0)) as server:
        answer = probe("http", url=server.address, method="HEAD")

    assert answer.outcome == Outcome.PASSED
    assert [asked.method for asked in server.asked] == ["HEAD"]


def test_it_fails_where_the_text_is_missing(probe: Probe) -> None:
    with scripted(lambda asked: Told(200, b"Maintenance")) as server:
        answer = probe("http", url=server.address, text="Überwachung läuft")

    assert answer.outcome == Outcome.FAILED
    assert "the text “Überwachung läuft” is not in the first 64 KiB" in answer.sentence


@pytest.mark.parametrize(("before", "outcome"), [(MOST_OCTETS - 5, Outcome.PASSED), (MOST_OCTETS - 4, Outcome.FAILED)])
def test_the_text_must_be_in_the_first_64_kib(probe: Probe, before: int, outcome: Outcome) -> None:
    with scripted(lambda asked: Told(200, b"x" * before + b"hello" + b"x" * 100)) as server:
        answer = probe("http", url=server.address, text="hello")

    assert answer.outcome == outcome


def test_of_ten_megabytes_no_more_than_64_kib_are_read(probe: Probe, over: threading.Event) -> None:
    sent: list[int] = []

    def pours(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x" * 10_000)
            sent.append(10_000)

    with talking(pours) as port:
        answer = probe("http", url=f"http://localhost:{port}/", text="never there")

    assert answer.outcome == Outcome.FAILED
    assert "is not in the first 64 KiB" in answer.sentence
    # What lies in the buffers of both ends counts as sent.
    assert sum(sent) < 9_000_000


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"])
def test_an_answer_that_trickles_is_cut_off(probe: Probe, over: threading.Event, begin: bytes) -> None:
    """Neither the first line nor the head nor the body has an end."""
    trickle = trickling(b"H", over)

    def handle(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(begin or b"HTTP/1.1 ")
        trickle(connection)

    with talking(handle) as port:
        answer = probe("http", url=f"http://localhost:{port}/", text="never there", seconds=0.5)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence.startswith("localhost had not answered in full after 0.5 seconds.")


def test_an_answer_that_comes_too_late_is_inconclusive(probe: Probe, over: threading.Event) -> None:
    with talking(lambda connection: over.wait(60)) as port:
        answer = probe("http", url=f"http://localhost:{port}/", seconds=0.3)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE


def test_hints_without_end_are_cut_off(probe: Probe, over: threading.Event) -> None:
    with talking(trickling(b"HTTP/1.1 103 Early Hints\r\n\r\n", over)) as port:
        answer = probe("http", url=f"http://localhost:{port}/", seconds=0.5)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE


def test_a_redirect_to_a_listed_host_is_followed(probe: Probe) -> None:
    with ExitStack() as stack:
        there = stack.enter_context(scripted(lambda asked: Told(200, b"here it is")))
        target = f"http://127.0.0.1:{there.port}/there?x=1#part"
        here = stack.enter_context(scripted(lambda asked: Told(302, headers={"Location": target})))
        answer = probe("http", url=here.address, text="here it is")

    assert answer.outcome == Outcome.PASSED
    assert [asked.path for asked in there.asked] == ["/there?x=1"]


@pytest.mark.parametrize("location", ["/new", "new", "//localhost:{port}/new", "http://LOCALHOST:{port}/new"])
def test_a_redirect_on_the_same_host_is_followed(probe: Probe, location: str) -> None:
    def told(asked: Asked) -> Told:
        if asked.path == "/new":
            return Told(200)
        return Told(301, headers={"Location": location.format(port=server.port)})

    with scripted(told) as server:
        answer = probe("http", url=server.address)

    assert answer.outcome == Outcome.PASSED
    assert [asked.path for asked in server.asked] == ["/", "/new"]


def test_a_redirect_to_another_host_fails_and_is_not_followed(probe: Probe) -> None:
    with ExitStack() as stack:
        there = stack.enter_context(scripted(lambda asked: Told(200)))
        to = {"Location": f"http://127.0.0.1:{there.port}/"}
        here = stack.enter_context(scripted(lambda asked: Told(302, headers=to)))
        answer = probe("http", url=here.address, hosts=["localhost"])

    assert answer.outcome == Outcome.FAILED
    assert "redirects to 127.0.0.1, another host." in answer.sentence
    assert not there.asked


def test_a_redirect_away_from_tls_fails(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with ExitStack() as stack:
        there = stack.enter_context(scripted(lambda asked: Told(200)))
        to = {"Location": there.address}
        here = stack.enter_context(scripted(lambda asked: Told(302, headers=to), server_tls()))
        answer = probe("http", url=here.address, ca_certificates=ca)

    assert answer.outcome == Outcome.FAILED
    assert "redirects to an address without TLS" in answer.sentence
    assert not there.asked


@pytest.mark.parametrize(
    "location", ["", "#top", "ftp://localhost/", "http://[::1", "javascript:alert(1)", "http://a b/"]
)
def test_a_redirect_to_no_web_address_fails(probe: Probe, location: str) -> None:
    def told(asked: Asked) -> Told:
        return Told(302, headers={"Location": location} if location else {})

    with scripted(told) as server:
        answer = probe("http", url=server.address)

    assert answer.outcome == Outcome.FAILED
    assert "redirects to what is no web address" in answer.sentence


def test_redirects_without_end_fail(probe: Probe) -> None:
    numbers = itertools.count()
    with scripted(lambda asked: Told(302, headers={"Location": f"/{next(numbers)}"})) as server:
        answer = probe("http", url=server.address)

    assert answer.outcome == Outcome.FAILED
    assert "one redirect after the other" in answer.sentence
    assert len(server.asked) == 6


def test_the_certificate_is_looked_at(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with scripted(lambda asked: Told(200), server_tls(days=30.5)) as server:
        good, near, unknown = (
            probe("http", url=server.address, **more)
            for more in ({"ca_certificates": ca}, {"ca_certificates": ca, "days_left": 31}, {})
        )
    with scripted(lambda asked: Told(200), server_tls("meet.contoso.com")) as server:
        other = probe("http", url=server.address, ca_certificates=ca)

    assert good.outcome == Outcome.PASSED
    assert "Its certificate is valid until" in good.sentence
    assert near.outcome == Outcome.FAILED
    assert "valid for 30 days" in near.sentence
    assert unknown.outcome == Outcome.FAILED
    assert "known" in unknown.sentence
    assert other.outcome == Outcome.FAILED
    assert "made out to another host" in other.sentence


def test_nobody_listening_fails(probe: Probe) -> None:
    assert probe("http", url=f"http://localhost:{free_port()}/").outcome == Outcome.FAILED


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 99999 Too many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbreaks off",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000,
        b"\0" * 1000,
    ],
)
def test_what_is_no_answer_of_http_fails(probe: Probe, octets: bytes) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(octets)

    with talking(handle) as port:
        answer = probe("http", url=f"http://localhost:{port}/", text="hello world")

    assert answer.outcome == Outcome.FAILED
    assert "does not answer as a web server" in answer.sentence or "broke off" in answer.sentence
