"""``sip``: sends one OPTIONS request over UDP, TCP or TLS and waits for its final answer (RFC 3261)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from migrations_app.rollouts.probes.answers import Finding, Stopped, failed, inconclusive, passed
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.certificates import (
    CA_CERTIFICATES,
    CERTIFICATE_NAME,
    DAYS_LEFT,
    check_days,
    valid_until,
)
from migrations_app.rollouts.probes.codes import Codes, is_among
from migrations_app.rollouts.probes.parameters import Choice, Host, Number, read
from migrations_app.rollouts.probes.reaching import Connection, connect
from migrations_app.rollouts.probes.sip_messages import MOST_OCTETS, NotSip, Request, Response, Stream
from migrations_app.rollouts.probes.sip_messages import read as read_response
from tenants_app.sentences import one_after_the_other, sentence

T1, T2 = 0.5, 4.0
"""Seconds: the time of a way there and back as it is assumed, and the longest between two requests (section 17.1.2)."""
TIMER_F = 64 * T1
"""Seconds after which nobody waits for an answer any more."""
_UDP, _TCP, _TLS = "udp", "tcp", "tls"

PARAMETERS = (
    Host("host", sentence("Host"), sentence("The host to ask."), is_required=True, most=253),
    Choice(
        "transport",
        sentence("Transport"),
        sentence("Over what the request is sent."),
        default=_TLS,
        choices=((_UDP, sentence("UDP")), (_TCP, sentence("TCP")), (_TLS, sentence("TLS"))),
    ),
    Number(
        "port",
        sentence("Port"),
        sentence("0: 5061 with TLS, else 5060."),
        default=0,
        most=65535,
    ),
    Codes(
        "expected",
        sentence("Expected answers"),
        sentence("Codes and ranges such as 200-299, 404; any takes every final answer."),
        default="200-299",
    ),
    DAYS_LEFT,
    CERTIFICATE_NAME,
    CA_CERTIFICATES,
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    host: str
    transport: str
    port: int
    expected: str
    days_left: int
    certificate_name: str
    ca_certificates: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that the deployment must list."""
        return (self.host,)


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    return read(Parameters, PARAMETERS, values)


def probe(parameters: Parameters, bounds: Bounds, clock: Clock) -> Finding:
    """Passes when the final response is among the expected."""
    port = parameters.port or (5061 if parameters.transport == _TLS else 5060)
    with connect(parameters.host, port, bounds, clock, udp=parameters.transport == _UDP) as connection:
        if parameters.transport == _TLS:
            connection.secure(parameters.certificate_name or parameters.host, parameters.ca_certificates)
            check_days(connection, parameters.days_left)
        request = Request(parameters.host, port, parameters.transport, connection.socket.getsockname()[:2])
        ends = min(clock.ends, monotonic() + TIMER_F)
        try:
            ask = _over_udp if parameters.transport == _UDP else _over_stream
            response = ask(connection, request, ends)
        except TimeoutError:
            return inconclusive(
                sentence("%(host)s did not answer the OPTIONS request.", host=parameters.host),
                sentence("Look whether SIP is served at port %(port)s, and whom it answers.", port=str(port)),
            )
        except NotSip:
            return failed(
                sentence("%(host)s does not speak SIP at port %(port)s.", host=parameters.host, port=str(port)),
                sentence("Look which service listens there."),
            )
        return _judged(response, parameters, connection)


def _judged(response: Response, parameters: Parameters, connection: Connection) -> Finding:
    said = f"{response.status} {response.reason}".strip()
    if is_among(response.status, parameters.expected):
        return passed(
            one_after_the_other(
                sentence("%(host)s answered OPTIONS with %(said)s.", host=parameters.host, said=said),
                valid_until(connection),
            )
        )
    return failed(
        sentence(
            "%(host)s answered OPTIONS with %(said)s, and %(expected)s was expected.",
            host=parameters.host,
            said=said,
            expected=parameters.expected,
        ),
        sentence("Look into the logs of the service, or correct what the check expects."),
    )


def _over_udp(connection: Connection, request: Request, ends: float) -> Response:
    """Sends again as long as nothing final has come: after T1, 2 T1 … at most T2, after a provisional answer each T2
    (section 17.1.2.2). Raises ``TimeoutError``. What is no answer to this request is passed over."""
    octets, interval = request.octets(), T1
    connection.write(octets)
    again = monotonic() + interval
    while True:
        now = monotonic()
        if now >= ends:
            raise TimeoutError
        if now >= again:
            connection.write(octets)
            interval = min(2 * interval, T2)
            again = now + interval
        try:
            response = read_response(connection.read(MOST_OCTETS, min(again, ends) - monotonic()))
        except (NotSip, TimeoutError):
            continue
        if not response.is_to(request):
            continue
        if response.status >= 200:
            return response
        interval = T2


def _over_stream(connection: Connection, request: Request, ends: float) -> Response:
    """Sends once: the transport does the rest. Raises ``TimeoutError`` and ``NotSip``."""
    connection.write(request.octets())
    stream = Stream()
    while True:
        while (response := stream.next()) is not None:
            if response.is_to(request) and response.status >= 200:
                return response
        left = ends - monotonic()
        if left <= 0:
            raise TimeoutError
        octets = connection.read(MOST_OCTETS, left)
        if not octets:
            raise Stopped(
                failed(
                    sentence("%(host)s ended the connection without an answer to OPTIONS.", host=request.host),
                    sentence("Look whether it serves SIP there, and whether it answers whom it does not know."),
                )
            )
        stream.add(octets)
