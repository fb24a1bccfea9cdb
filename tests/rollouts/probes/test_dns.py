"""R71: ``dns`` compares the records of a name with the expected set, of the system's resolver or of a named one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.rollouts.probes.answers import Outcome
from migrations_app.rollouts.probes.bounds import Bounds
from migrations_app.rollouts.probes.kinds import KINDS
from tests.rollouts.probes.conftest import HERE, Probe
from tests.support.name_server import names
from tests.support.talking import datagrams

RECORDS = {
    ("sip.contoso.com.", "A"): ["203.0.113.7", "203.0.113.8"],
    ("sip.contoso.com.", "AAAA"): ["2001:db8::7"],
    ("meet.contoso.com.", "CNAME"): ["Pool.Contoso.com."],
    ("_sip._tls.contoso.com.", "SRV"): ["0 5 443 sip.contoso.com."],
    ("contoso.com.", "TXT"): ['"v=spf1 " "-all"', '"MS=ms123"'],
}


@pytest.fixture
def answered(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks a server with these records."""

    def ask(**values: Any) -> Any:
        with names(RECORDS, monkeypatch):
            return probe("dns", **values)

    return ask


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("sip.contoso.com", "A", ["203.0.113.8", "203.0.113.7"]),
        ("SIP.contoso.com.", "a", "203.0.113.7\n203.0.113.8\n"),
        ("sip.contoso.com", "AAAA", ["2001:0DB8::0007"]),
        ("meet.contoso.com", "CNAME", ["pool.contoso.com."]),
        ("_sip._tls.contoso.com", "SRV", ["0 5 443 SIP.contoso.com"]),
        ("_sip._tls.contoso.com", "SRV", ["00  5 0443  sip.contoso.com."]),
        ("contoso.com", "TXT", ["MS=ms123", "v=spf1 -all"]),
        ("contoso.com", "A", []),
        ("gone.contoso.com", "A", []),
    ],
)
def test_it_passes_with_exactly_the_expected_set(answered: Any, name: str, kind: str, expected: Any) -> None:
    answer = answered(name=name, type=kind, expected=expected)

    assert answer.outcome == Outcome.PASSED, answer.sentence


@pytest.mark.parametrize(
    ("name", "kind", "expected", "said"),
    [
        ("sip.contoso.com", "A", ["203.0.113.7"], "has the A records 203.0.113.7, 203.0.113.8, and 203.0.113.7 was"),
        ("sip.contoso.com", "A", ["203.0.113.7", "203.0.113.8", "203.0.113.9"], "203.0.113.9 was expected."),
        ("sip.contoso.com", "A", [], "and none was expected."),
        ("gone.contoso.com", "A", ["203.0.113.7"], "gone.contoso.com has no A record, and 203.0.113.7 was expected."),
        ("contoso.com", "SRV", ["0 5 443 sip.contoso.com"], "has no SRV record"),
        ("_sip._tls.contoso.com", "SRV", ["0 5 5061 sip.contoso.com"], "0 5 443 sip.contoso.com, and 0 5 5061"),
        ("contoso.com", "TXT", ["ms=MS123"], "was expected."),
    ],
)
def test_it_fails_with_another_set(answered: Any, name: str, kind: str, expected: list[str], said: str) -> None:
    answer = answered(name=name, type=kind, expected=expected)

    assert answer.outcome == Outcome.FAILED
    assert said in answer.sentence


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [(["203.0.113.7"], Outcome.PASSED), (["203.0.113.7", "203.0.113.9"], Outcome.FAILED)],
)
def test_it_may_contain_others_where_the_check_says_so(answered: Any, expected: list[str], outcome: Outcome) -> None:
    assert answered(name="sip.contoso.com", expected=expected, match="contains").outcome == outcome


def answering(text: str, rcode: int = dns.rcode.NOERROR) -> Any:
    def answers(octets: bytes) -> Sequence[bytes]:
        query = dns.message.from_wire(octets)
        answer = dns.message.make_response(query)
        answer.set_rcode(rcode)
        if text:
            answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", text))
        return [answer.to_wire()]

    return answers


def test_it_asks_the_named_server(probe: Probe) -> None:
    with datagrams(answering("203.0.113.99")) as port:
        answer = probe("dns", name="sip.contoso.com", expected="203.0.113.99", resolver="localhost", resolver_port=port)

    assert answer.outcome == Outcome.PASSED


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
def test_a_server_that_does_not_know_is_inconclusive(probe: Probe, rcode: int) -> None:
    with datagrams(answering("", rcode)) as port:
        answer = probe("dns", name="sip.contoso.com", expected="203.0.113.99", resolver="localhost", resolver_port=port)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence.startswith("DNS does not answer for sip.contoso.com.")


def test_silence_is_inconclusive(probe: Probe) -> None:
    with datagrams(lambda octets: []) as port:
        answer = probe("dns", name="sip.contoso.com", resolver="localhost", resolver_port=port, seconds=0.3)

    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.seconds > 0.2


def forged(change: Any) -> Any:
    """An answer that is not to what was asked."""

    def answers(octets: bytes) -> Sequence[bytes]:
        (good,) = answering("203.0.113.99")(octets)
        return [change(good)]

    return answers


@pytest.mark.parametrize(
    "change",
    [
        lambda octets: bytes([octets[0] ^ 1]) + octets[1:],
        lambda octets: octets[:-3],
        lambda octets: octets[:12],
        lambda octets: b"",
        lambda octets: octets[:6] + b"\xff\xff" + octets[8:],
        lambda octets: octets[:12] + b"\xc0\x0c" + octets[14:],
        lambda octets: b"\xff" * 60_000,
    ],
)
def test_answers_that_are_none_are_not_believed(probe: Probe, change: Any) -> None:
    with datagrams(forged(change)) as port:
        answer = probe(
            "dns",
            name="sip.contoso.com",
            expected="203.0.113.99",
            resolver="localhost",
            resolver_port=port,
            seconds=0.4,
        )

    assert answer.outcome == Outcome.INCONCLUSIVE


class Said:
    """What the one server of the fuzzing says next."""

    octets = b""
    query = b""

    def answer(self, octets: bytes) -> Sequence[bytes]:
        return [octets[:2] + self.octets]


@pytest.fixture(scope="module")
def fuzzed() -> Any:
    said = Said()
    with datagrams(said.answer) as port:
        yield said, port


@settings(max_examples=settings.default.max_examples // 3)  # each waits a tenth of a second between two tries
@given(octets=st.binary(max_size=200), flags=st.sampled_from([b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00", b""]))
def test_no_octets_of_a_server_break_it(fuzzed: Any, octets: bytes, flags: bytes) -> None:
    said, port = fuzzed
    said.octets = flags + octets
    values = {"name": "sip.contoso.com", "expected": "203.0.113.99", "resolver": "localhost", "resolver_port": port}

    answer = KINDS["dns"].measure(values, Bounds(HERE, 0.02, HERE))

    assert answer.outcome != Outcome.PASSED


def test_time_is_over_while_the_server_keeps_talking(probe: Probe, over: threading.Event) -> None:
    """Datagrams of others do not prolong the wait."""
    with datagrams(lambda octets: [b"not an answer"] * 50) as port:
        answer = probe("dns", name="sip.contoso.com", resolver="localhost", resolver_port=port, seconds=0.3)

    assert answer.outcome == Outcome.INCONCLUSIVE


def test_a_server_by_its_address_is_asked(probe: Probe) -> None:
    with datagrams(answering("203.0.113.99")) as port:
        answer = probe("dns", name="sip.contoso.com", expected="203.0.113.99", resolver="127.0.0.1", resolver_port=port)

    assert answer.outcome == Outcome.PASSED
