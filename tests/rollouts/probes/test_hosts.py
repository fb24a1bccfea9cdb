"""R71: probes reach only hosts that the deployment lists, and none inside the network unless the operator allows it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from migrations_app.rollouts.probes.answers import Outcome
from tests.rollouts.probes.conftest import Probe
from tests.support.talking import datagrams, talking

NETWORK_KINDS: dict[str, dict[str, Any]] = {
    "tcp": {"host": "{host}", "port": "{port}"},
    "http": {"url": "http://{host}:{port}/"},
    "sip-tcp": {"host": "{host}", "port": "{port}", "transport": "tcp"},
    "sip-udp": {"host": "{host}", "port": "{port}", "transport": "udp"},
    "dns": {"name": "contoso.com", "resolver": "{host}", "resolver_port": "{port}"},
}


def values_for(kind: str, host: str, port: int) -> dict[str, str]:
    return {name: value.format(host=host, port=port) for name, value in NETWORK_KINDS[kind].items()}


class Counted:
    """A server over TCP and datagrams at one port that counts who reaches it."""

    def __init__(self) -> None:
        self.reached = 0

    def reach(self, *_: object) -> list[bytes]:
        self.reached += 1
        return []


@pytest.fixture(params=NETWORK_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer_of(probe: Probe, kind: str, host: str, **more: Any) -> Any:
    """What the probe answers, and whether anybody was reached."""
    counted = Counted()
    serve = datagrams if kind in {"sip-udp", "dns"} else talking
    with serve(counted.reach) as port:
        answer = probe(kind.partition("-")[0], seconds=2, **values_for(kind, host, port), **more)
    return answer, counted.reached


def test_a_host_that_is_not_listed_is_not_reached(probe: Probe, kind: str) -> None:
    answer, reached = answer_of(probe, kind, "localhost", hosts=["sip.contoso.com"])

    assert not reached
    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence == (
        "localhost is not among the hosts that checks of the deployment may address. "
        "Correct the host, or add it to the deployment."
    )


def test_this_machine_is_not_reached_even_if_listed(probe: Probe, kind: str) -> None:
    answer, reached = answer_of(probe, kind, "localhost", private=[])

    assert not reached
    assert answer.outcome == Outcome.INCONCLUSIVE
    assert answer.sentence == (
        "localhost is in a private network, or MMS itself. "
        "Ask the operator of MMS to name it in MMS_ALLOWED_CHECK_HOSTS, if checks are to reach it."
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "fe80::1", "::ffff:127.0.0.1"])
def test_a_name_that_leads_inside_is_not_reached(
    probe: Probe, kind: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One such address among others rules the name out."""
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 1)) for each in ("93.184.216.34", address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, to: opened.append(to))

    answer, _ = answer_of(probe, kind, "sip.contoso.com", hosts=["sip.contoso.com"], private=[])

    assert not opened
    assert answer.outcome == Outcome.INCONCLUSIVE
    assert "in a private network" in answer.sentence
    assert address not in answer.sentence


@pytest.mark.parametrize("kind", ["tcp", "http", "sip-tcp"])
def test_a_name_is_looked_up_once_and_what_was_looked_at_is_connected_to(
    probe: Probe, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere the second time it is asked for gains nothing by it."""
    asked: list[str] = []
    connected: list[Any] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(self: socket.socket, to: Any) -> None:
        connected.append(to)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)

    values = values_for(kind, "sip.contoso.com", 4711)
    answer = probe(kind.partition("-")[0], hosts=["sip.contoso.com"], private=[], **values)

    assert asked == ["sip.contoso.com"]
    assert connected == [("93.184.216.34", 4711)]
    assert answer.outcome == Outcome.FAILED


def test_hosts_are_compared_however_they_are_written(probe: Probe) -> None:
    with talking(lambda connection: None) as port:
        answer = probe("tcp", host="LOCALHOST.", port=port, hosts=["LocalHost."], private=["Localhost"])

    assert answer.outcome == Outcome.PASSED


def test_an_ipv6_address_is_reached_if_it_is_listed(probe: Probe) -> None:
    with talking(lambda connection: None, host="::1") as port:
        answer = probe("tcp", host="[::1]", port=port, hosts=["::1"], private=["[::1]"])

    assert answer.outcome == Outcome.PASSED
