"""R71: ``sip`` asks a real SIP server, Debian's Kamailio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from migrations_app.rollouts.probes.answers import Outcome
from tests.rollouts.probes.conftest import Probe
from tests.support.kamailio_server import KamailioServer, kamailio

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KamailioServer]:
    with kamailio(tmp_path_factory.mktemp("kamailio")) as running:
        yield running


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_it_answers_options(probe: Probe, server: KamailioServer, transport: str) -> None:
    answer = probe("sip", host="localhost", port=server.plain, transport=transport)

    assert (answer.outcome, answer.sentence) == (Outcome.PASSED, "localhost answered OPTIONS with 200 OK.")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(("expected", "outcome"), [("200-299", Outcome.FAILED), ("any", Outcome.PASSED)])
def test_another_final_answer_fails_unless_it_is_expected(
    probe: Probe, server: KamailioServer, transport: str, expected: str, outcome: Outcome
) -> None:
    answer = probe("sip", host="localhost", port=server.busy, transport=transport, expected=expected)

    assert answer.outcome == outcome
    assert "answered OPTIONS with 503 Service Unavailable" in answer.sentence


def test_it_answers_over_tls(probe: Probe, server: KamailioServer) -> None:
    good, stranger = (probe("sip", host="localhost", port=server.tls, ca_certificates=ca) for ca in (server.ca, ""))

    assert good.outcome == Outcome.PASSED
    assert "Its certificate is valid until" in good.sentence
    assert stranger.outcome == Outcome.FAILED


def test_without_tls_at_its_tls_port_it_does_not_pass(probe: Probe, server: KamailioServer) -> None:
    answer = probe("sip", host="localhost", port=server.tls, transport="tcp", seconds=5)

    assert answer.outcome != Outcome.PASSED
