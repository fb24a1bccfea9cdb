"""``http``: asks a web address by GET or HEAD. Follows redirects to listed hosts only, reads 64 KiB of the answer."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import httpcore2 as httpcore

from migrations_app.https.network import trust
from migrations_app.https.session import USER_AGENT
from migrations_app.rollouts.probes.answers import Finding, Stopped, failed, passed
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.certificates import CA_CERTIFICATES, DAYS_LEFT, check_days, valid_until
from migrations_app.rollouts.probes.codes import Codes, is_among
from migrations_app.rollouts.probes.parameters import Choice, Parameter, Unusable, host_name, read
from migrations_app.rollouts.probes.reaching import Connection, check_listed, connect
from tenants_app.sentences import Sentence, one_after_the_other, sentence

MOST_OCTETS = 64 * 1024
"""Of an answer's body (R71)."""
MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.IGNORECASE)
_SAFE = "-._~:/?[]@!$&'()*+,;=%"
"""What stands in an address as it is; whatever else a server writes into one is encoded."""


class Address(Parameter):
    """A web address."""

    def read(self, value: object) -> str:
        text = str(Parameter.read(self, value))
        return str(_target(text)) if text else ""


PARAMETERS = (
    Address(
        "url",
        sentence("Address"),
        sentence("The web address to ask for, such as https://meet.contoso.com/."),
        is_required=True,
        most=2000,
    ),
    Choice(
        "method",
        sentence("Method"),
        sentence("HEAD asks for no content."),
        default="GET",
        choices=(("GET", sentence("GET")), ("HEAD", sentence("HEAD"))),
    ),
    Codes(
        "statuses",
        sentence("Expected answers"),
        sentence("Codes and ranges such as 200-299, 401; any takes every answer."),
        default="200-299",
    ),
    Parameter(
        "text",
        sentence("Expected text"),
        sentence("Text that must be within the first 64 KiB of the answer; empty: whatever it says."),
        most=500,
    ),
    DAYS_LEFT,
    CA_CERTIFICATES,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server and what to ask it for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    url: str
    method: str
    statuses: str
    text: str
    days_left: int
    ca_certificates: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that the deployment must list."""
        return (_target(self.url).host,)


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    parameters = read(Parameters, PARAMETERS, values)
    if parameters.method == "HEAD" and parameters.text:
        raise Unusable({"text": sentence("An answer to HEAD has no text: leave it empty, or choose GET.")})
    return parameters


def probe(parameters: Parameters, bounds: Bounds, clock: Clock) -> Finding:
    """Passes when the status is among the expected and the text, if any, is in the answer."""
    target = _target(parameters.url)
    for _ in range(MOST_REDIRECTS + 1):
        answer = _asked(target, parameters, bounds, clock)
        if answer.status in _REDIRECTS and not is_among(answer.status, parameters.statuses):
            target = _followed(answer, target, bounds)
        else:
            return _judged(answer, target, parameters)
    raise Stopped(
        failed(
            sentence("%(url)s leads to one redirect after the other.", url=parameters.url),
            sentence("Give the address that is meant in the end."),
        )
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str
    body: bytes
    certificate: Sentence


class _Network(httpcore.NetworkBackend):
    """Opens the connection of one request."""

    def __init__(self, parameters: Parameters, bounds: Bounds, clock: Clock) -> None:
        self._parameters, self._bounds, self._clock = parameters, bounds, clock
        self.connection: Connection | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.connection = connect(host.strip("[]"), port, self._bounds, self._clock)
        return _Stream(self.connection, self._parameters)


class _Stream(httpcore.NetworkStream):
    """A :class:`Connection` as the client of HTTP wants it."""

    def __init__(self, connection: Connection, parameters: Parameters) -> None:
        self._connection, self._parameters = connection, parameters

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._connection.read(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._connection.write(buffer)

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._connection.secure(self._connection.host, self._parameters.ca_certificates)
        check_days(self._connection, self._parameters.days_left)
        return self


def _asked(target: Target, parameters: Parameters, bounds: Bounds, clock: Clock) -> _Answer:
    """What the server answers to one request."""
    network = _Network(parameters, bounds, clock)
    host = f"[{target.host}]" if ":" in target.host else target.host
    url = httpcore.URL(scheme=target.scheme, host=host, port=target.port, target=target.path)
    headers: Mapping[bytes | str, bytes | str] = {
        "Host": target.authority,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    body = bytearray()
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=trust(parameters.ca_certificates), max_connections=1, network_backend=network
            ) as pool,
            pool.stream(parameters.method, url, headers=headers) as answer,
        ):
            if parameters.text:
                for part in answer.iter_stream():
                    body += part
                    if len(body) >= MOST_OCTETS:
                        break
            location = next((value for name, value in answer.headers if name.lower() == b"location"), b"")
            assert network.connection  # noqa: S101 - it has answered
            return _Answer(
                answer.status,
                location.decode("latin-1"),
                bytes(body[:MOST_OCTETS]),
                valid_until(network.connection),
            )
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise Stopped(
            failed(
                sentence("%(host)s does not answer as a web server.", host=target.host),
                sentence("Look which service listens at port %(port)s there.", port=str(target.port)),
            )
        ) from None
    finally:
        if network.connection:
            network.connection.close()


def _followed(answer: _Answer, target: Target, bounds: Bounds) -> Target:
    """Where a redirect leads, if it is a host of the deployment."""
    try:
        location = urldefrag(answer.location.strip()[:4000]).url
        if not location:
            raise ValueError
        leads_to = _target(quote(urljoin(str(target), location), safe=_SAFE))
    except ValueError:
        raise Stopped(
            failed(
                sentence("%(url)s redirects to what is no web address.", url=str(target)),
                sentence("Correct the redirect on the server."),
            )
        ) from None
    try:
        check_listed(leads_to.host, bounds)
    except Stopped:
        raise Stopped(
            failed(
                sentence("%(url)s redirects to %(host)s, another host.", url=str(target), host=leads_to.host),
                sentence("Correct the redirect, or add that host to the deployment if it belongs to it."),
            )
        ) from None
    if target.scheme == "https" and leads_to.scheme != "https":
        raise Stopped(
            failed(
                sentence("%(url)s redirects to an address without TLS.", url=str(target)),
                sentence("Correct the redirect on the server."),
            )
        )
    return leads_to


def _judged(answer: _Answer, target: Target, parameters: Parameters) -> Finding:
    url, status = str(target), str(answer.status)
    if not is_among(answer.status, parameters.statuses):
        return failed(
            sentence(
                "%(url)s answered %(status)s, and %(expected)s was expected.",
                url=url,
                status=status,
                expected=parameters.statuses,
            ),
            sentence("Look at the address in a browser and into the logs of the server."),
        )
    if parameters.text and parameters.text.encode() not in answer.body:
        return failed(
            sentence(
                "%(url)s answered %(status)s, but the text “%(text)s” is not in the first 64 KiB.",
                url=url,
                status=status,
                text=parameters.text,
            ),
            sentence("Look at the address in a browser, or correct the text."),
        )
    return passed(
        one_after_the_other(
            sentence("%(url)s answered %(status)s, as expected.", url=url, status=status), answer.certificate
        )
    )


def _target(text: str) -> Target:
    """Raises ``ValueError`` with a sentence."""
    if not _URL.fullmatch(text):
        raise ValueError(sentence("Give a web address such as https://meet.contoso.com/, and nothing else."))
    try:
        parts = urlsplit(text)
        port = parts.port
        host = host_name(parts.hostname or "")
    except ValueError:
        raise ValueError(sentence("Give a web address that names a host such as meet.contoso.com.")) from None
    if "@" in parts.netloc:
        raise ValueError(sentence("A user name and a password do not belong into the address: leave them out."))
    if port == 0:
        raise ValueError(sentence("Give a port from 1 to 65535."))
    scheme = parts.scheme.lower()
    return Target(
        scheme, host, port or _PORTS[scheme], f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    )
