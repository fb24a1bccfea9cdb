"""R71: ``sip`` sends one OPTIONS request as RFC 3261 has it, and believes the final answer to it, and no other."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rollouts.probes import sip
from migrations_app.rollouts.probes.answers import Outcome
from migrations_app.rollouts.probes.sip_messages import NotSip, Request, Stream, read
from tests.rollouts.probes.conftest import Probe, ServerTls
from tests.support.mail_servers import free_port
from tests.support.talking import datagrams, talking, trickling

ASKED = Request("sip.contoso.com", 5060, "udp", ("192.0.2.1", 5070), "z9hG4bKabc", "tag1", "call1")


def reply(request: bytes, status: str = "200 OK", body: bytes = b"", **instead: str) -> bytes:
    """An answer with what RFC 3261 has it repeat, or something else instead of that."""
    fields = dict(re.findall(r"(?m)^(\S+): (.*)\r$", request.decode()))
    fields = {name: fields[name] for name in ("Via", "From", "To", "Call-ID", "CSeq")}
    fields["Content-Length"] = str(len(body))
    lines = [f"{name}: {instead.get(name.lower().replace('-', '_'), value)}" for name, value in fields.items()]
    return "\r\n".join((f"SIP/2.0 {status}", *lines, "", "")).encode() + body


def over_stream(answer: Callable[[bytes], bytes]) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            part = connection.recv(4096)
            if not part:
                return
            request += part
        connection.sendall(answer(request))
        connection.recv(1)  # until the other side has hung up

    return handle


def test_the_request_is_as_rfc_3261_has_it(probe: Probe) -> None:
    asked: list[bytes] = []
    with datagrams(lambda octets: asked.append(octets) or [reply(octets)]) as port:  # type: ignore[func-returns-value]
        for _ in range(2):
            assert probe("sip", host="localhost", port=port, transport="udp").outcome == Outcome.PASSED

    first, second = ({**dict(re.findall(r"(?m)^(\S+): (.*)\r$", octets.decode()))} for octets in asked)
    assert asked[0].startswith(f"OPTIONS sip:localhost:{port} SIP/2.0\r\n".encode())
    assert asked[0].endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert first["Max-Forwards"] == "70"
    assert first["CSeq"] == "1 OPTIONS"
    assert re.fullmatch(r"SIP/2\.0/UDP 127\.0\.0\.1:\d+;branch=z9hG4bK[0-9a-f]{24};rport", first["Via"])
    assert re.fullmatch(r"<sip:mms@127\.0\.0\.1>;tag=[0-9a-f]{16}", first["From"])
    assert first["To"] == "<sip:localhost>"
    for name in ("Via", "From", "Call-ID"):
        assert first[name] != second[name]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize(
    ("status", "expected", "outcome"),
    [
        ("200 OK", "200-299", Outcome.PASSED),
        ("404 Not Found", "200-299", Outcome.FAILED),
        ("404 Not Found", "200-299, 404", Outcome.PASSED),
        ("603 Decline", "any", Outcome.PASSED),
        ("401 Unauthorized", "any", Outcome.PASSED),
    ],
)
def test_the_final_answer_must_be_among_the_expected(
    probe: Probe,
    server_tls: ServerTls,
    ca: str,
    transport: str,
    status: str,
    expected: str,
    outcome: Outcome,
) -> None:
    values = {"host": "localhost", "transport": transport, "expected": expected, "ca_certificates": ca}
    if transport == "udp":
        with datagrams(lambda octets: [reply(octets, status)]) as port:
            answer = probe("sip", port=port, **values)
    else:
        tls = server_tls() if transport == "tls" else None
        with talking(over_stream(lambda request: reply(request, status)), tls) as port:
            answer = probe("sip", port=port, **values)

    assert answer.outcome == outcome
    assert f"localhost answered OPTIONS with {status}" in answer.sentence
    assert ("Its certificate is valid until" in answer.sentence) == (transport == "tls" and outcome == Outcome.PASSED)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_provisional_answers_are_waited_past(probe: Probe, transport: str) -> None:
    def answers(octets: bytes) -> list[bytes]:
        return [reply(octets, "100 Trying"), reply(octets, "183 Progress", b"v=0\r\n\r\n"), reply(octets, "500 Oh")]

    if transport == "udp":
        with datagrams(answers) as port:
            answer = probe("sip", host="localhost", port=port, transport="udp")
    else:
        with talking(over_stream(lambda request: b"\r\n\r\n" + b"".join(answers(request)))) as port:
            answer = probe("sip", host="localhost", port=port, transport="tcp")

    assert answer.outcome == Outcome.FAILED
    assert "answered OPTIONS with 500 Oh" in answer.sentence


@pytest.mark.parametrize(
    "instead",
    [
        {"via": "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKother"},
        {"via": "SIP/2.0/UDP 127.0.0.1:5060"},
        {"call_id": "other"},
        {"cseq": "2 OPTIONS"},
        {"cseq": "1 INVITE"},
        {"cseq": "one"},
    ],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_answer_to_something_else_is_not_believed(probe: Probe, transport: str, instead: dict[str, str]) -> None:
    """What somebody else sends counts neither for nor against the service."""

    def answers(octets: bytes) -> list[bytes]:
        return [reply(octets, "200 OK", **instead)]

    if transport == "udp":
        with datagrams(answers) as port:
            answer = probe("sip", host="localhost", port=port, transport="udp", seconds=0.3)
    else:
        with talking(over_stream(lambda request: b"".join(answers(request)))) as port:
            answer = probe("sip", host="localhost", port=port, transport="tcp", seconds=0.3)

    assert answer.outcome != Outcome.PASSED


def test_the_right_answer_counts_after_others(probe: Probe) -> None:
    with datagrams(lambda octets: [b"", b"junk", reply(octets, "500 No", call_id="other"), reply(octets)]) as port:
        assert probe("sip", host="localhost", port=port, transport="udp").outcome == Outcome.PASSED


def test_over_udp_it_asks_again_until_it_is_answered(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same request, by which the server knows it as one."""
    monkeypatch.setattr(sip, "T1", 0.01)
    asked: list[bytes] = []

    def answers(octets: bytes) -> Sequence[bytes]:
        asked.append(octets)
        return [reply(octets)] if len(asked) == 4 else []

    with datagrams(answers) as port:
        answer = probe("sip", host="localhost", port=port, transport="udp")

    assert answer.outcome == Outcome.PASSED
    assert len(asked) >= 4
    assert len(set(asked)) == 1


class Simulated:
    """A connection over UDP whose time passes only while it is waited on; ``answers`` come at their times."""

    def __init__(self, answers: dict[float, bytes]) -> None:
        self.now = 0.0
        self.sent: list[float] = []
        self.answers = dict(sorted(answers.items()))

    def write(self, octets: bytes) -> None:
        self.sent.append(self.now)

    def read(self, most: int, seconds: float) -> bytes:
        at = next(iter(self.answers), None)
        if at is not None and at <= self.now + seconds:
            self.now = max(self.now, at)
            return self.answers.pop(at)
        self.now += seconds
        raise TimeoutError


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ({}, [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]),
        ({1.0: "100 Trying"}, [0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]),
        ({1.0: "100 Trying", 6.0: "200 OK"}, [0, 0.5, 1.5, 5.5]),
        ({0.1: "200 OK"}, [0]),
    ],
)
def test_the_times_between_requests_are_those_of_rfc_3261(
    monkeypatch: pytest.MonkeyPatch, answers: dict[float, str], sent: list[float]
) -> None:
    """Timer E from T1 to T2, T2 after a provisional answer, and timer F at its end (section 17.1.2.2)."""
    connection = Simulated({at: reply(ASKED.octets(), status) for at, status in answers.items()})
    monkeypatch.setattr(sip, "monotonic", lambda: connection.now)
    is_answered = "200 OK" in answers.values()

    if is_answered:
        assert sip._over_udp(connection, ASKED, sip.TIMER_F).status == 200  # type: ignore[arg-type]
    else:
        with pytest.raises(TimeoutError):
            sip._over_udp(connection, ASKED, sip.TIMER_F)  # type: ignore[arg-type]

    assert connection.sent == sent
    assert connection.now == (max(answers) if is_answered else 32)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_silence_is_inconclusive(probe: Probe, transport: str, over: threading.Event) -> None:
    serve: Any = datagrams(lambda octets: []) if transport == "udp" else talking(lambda connection: over.wait(60))
    with serve as port:
        answer = probe("sip", host="localhost", port=port, transport=transport, seconds=0.3)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence.startswith("localhost did not answer the OPTIONS request.")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_nobody_listening_fails(probe: Probe, transport: str) -> None:
    answer = probe("sip", host="localhost", port=free_port(), transport=transport, seconds=5)

    assert answer.outcome == Outcome.FAILED
    assert "takes no connection at port" in answer.sentence


def test_whoever_hangs_up_without_an_answer_fails(probe: Probe) -> None:
    with talking(lambda connection: connection.recv(4096)) as port:
        answer = probe("sip", host="localhost", port=port, transport="tcp")

    assert answer.outcome == Outcome.FAILED
    assert "ended the connection without an answer to OPTIONS" in answer.sentence


def test_an_answer_that_trickles_is_cut_off(probe: Probe, over: threading.Event) -> None:
    with talking(trickling(b"SIP/2.0 200 OK\r\nX: y\r\n", over)) as port:
        answer = probe("sip", host="localhost", port=port, transport="tcp", seconds=0.4)
        over.set()

    assert answer.outcome == Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SIP/2.0 999 No\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"x" * 100_000,
    ],
)
def test_what_does_not_speak_sip_fails(probe: Probe, octets: bytes) -> None:
    with talking(over_stream(lambda request: octets)) as port:
        answer = probe("sip", host="localhost", port=port, transport="tcp")

    assert answer.outcome == Outcome.FAILED
    assert f"localhost does not speak SIP at port {port}." in answer.sentence


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_demands_a_certificate_is_inconclusive(
    probe: Probe, server_tls: ServerTls, ca: str, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    """1.3 says so only after the handshake."""
    tls = server_tls()
    tls.minimum_version = tls.maximum_version = version
    tls.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(tls)
    with talking(over_stream(reply), tls) as port:
        answer = probe("sip", host="localhost", port=port, ca_certificates=ca)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "Use a check of kind tcp without TLS, or of kind command." in answer.sentence


def test_the_certificate_is_looked_at(probe: Probe, server_tls: ServerTls, ca: str) -> None:
    with talking(over_stream(reply), server_tls("pool.contoso.com", days=30.5)) as port:
        values = {"host": "localhost", "port": port, "ca_certificates": ca}
        other, pool, near = (
            probe("sip", **values, **more)
            for more in (
                {},
                {"certificate_name": "pool.contoso.com"},
                {"certificate_name": "pool.contoso.com", "days_left": 31},
            )
        )

    assert (other.outcome, pool.outcome, near.outcome) == (Outcome.FAILED, Outcome.PASSED, Outcome.FAILED)
    assert "made out to another host" in other.sentence
    assert "valid for 30 days" in near.sentence


def test_answers_in_short_forms_and_folded_lines_are_read() -> None:
    octets = (
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;\r\n branch=z9hG4bKabc, SIP/2.0/UDP b;branch=z9hG4bKdef\r\n"
        b"Via: SIP/2.0/UDP c;branch=z9hG4bKghi\r\ni: call1\r\ncseq:  0001   OPTIONS\r\nl: 0\r\n\r\n"
    )

    assert read(octets).is_to(ASKED)


def test_what_a_server_calls_its_answer_is_shown_without_what_deceives() -> None:
    assert read(reply(ASKED.octets(), "200 O\x1b[2J\u202eK")).reason == "O [2J K"


def test_quotation_marks_that_never_end_are_read_once() -> None:
    """Whatever is looked for in them is looked for once for each octet."""
    via = 'SIP/2.0/UDP a;branch=z9hG4bKabc;x="' + '",' * 20_000

    assert read(reply(ASKED.octets(), via=via)).is_to(ASKED)


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999", "x"])
def test_lengths_that_are_none_are_refused(length: str) -> None:
    with pytest.raises(NotSip):
        read(reply(ASKED.octets(), content_length=length))


@given(st.binary(max_size=300))
def test_no_octets_break_the_reading(octets: bytes) -> None:
    stream = Stream()
    for read_it in (read, lambda each: (stream.add(each), stream.next())):
        for each in (octets, reply(ASKED.octets())[:40] + octets + b"\r\n\r\n"):
            with suppress(NotSip):
                read_it(each)


@given(st.integers(min_value=1, max_value=400), st.binary(max_size=50).filter(lambda body: b"\r" not in body))
def test_answers_are_taken_apart_wherever_they_are_cut(size: int, body: bytes) -> None:
    octets = b"".join(reply(ASKED.octets(), status, body) for status in ("100 Trying", "180 Ringing", "200 OK"))
    stream, found = Stream(), []
    for begin in range(0, len(octets), size):
        stream.add(octets[begin : begin + size])
        while (response := stream.next()) is not None:
            found.append(response.status)

    assert found == [100, 180, 200]
