"""Connections to a mailbox's server: to allowed addresses only, with TLS that is checked, and never for ever."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpcore2 as httpcore

from migrations_app.failures import Failure
from migrations_app.reachable import is_allowed_host, is_public, why_not_trusted
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that a server has shown, and that was found good."""

    issuer: str
    valid_until: datetime


@lru_cache(maxsize=64)  # reading the system's CAs takes longer than a request
def trust(ca_certificates: str) -> ssl.SSLContext:
    """What certificates are checked against: the system's CAs, and those given as PEM.

    Raises ``Failure`` with ``mailbox-certificate`` where these cannot be read.
    """
    context = ssl.create_default_context()
    if ca_certificates.strip():
        try:
            context.load_verify_locations(cadata=ca_certificates)
        except (ssl.SSLError, ValueError):
            raise Failure(
                "mailbox-certificate", sentence("the CA certificates of the connection are not PEM")
            ) from None
    return context


class Network(httpcore.NetworkBackend):
    """Opens connections. The addresses of a host are looked up once for each connection, all of them are checked, and
    it is one of these that is connected to: between check and connection no name is asked for again.

    Every request sets ``deadline`` (of ``time.monotonic``), so that a server which trickles is given up too.
    """

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self.allowed_hosts = allowed_hosts
        self.deadline = 0.0
        self.opened = 0
        """How many connections were opened."""
        self.certificate: Certificate | None = None
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        why: str = ""
        addresses = looked_up(host, port)
        check_allowed(host, addresses, self.allowed_hosts)
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
            except httpcore.ConnectTimeout:
                why = sentence("%(host)s does not answer at port %(port)s", host=host, port=str(port))
            except httpcore.ConnectError as error:
                refused = isinstance(error.__cause__, ConnectionRefusedError)
                why = (
                    sentence("%(host)s takes no connection at port %(port)s", host=host, port=str(port))
                    if refused
                    else sentence("no way leads to %(host)s", host=host)
                )
            else:
                self.opened += 1
                return _Stream(stream, self, host)
        raise Failure("mailbox-unavailable", why)

    def left(self, timeout: float | None) -> float:
        """The seconds that may still be waited, at most ``timeout``."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)


def looked_up(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises ``Failure``: ``mailbox-address`` where there is no such host, else
    ``mailbox-unavailable``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise Failure(
                "mailbox-unavailable", sentence("the address of %(host)s could not be looked up", host=host)
            ) from None
        raise Failure("mailbox-address", sentence("there is no host %(host)s", host=host)) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_allowed(host: str, addresses: Iterable[str], allowed_hosts: Collection[str]) -> None:
    """One address that is not allowed rules out the host: who mixes them has something in mind.

    Raises ``Failure`` with ``mailbox-address``.
    """
    if not is_allowed_host(host, allowed_hosts) and not all(map(is_public, addresses)):
        # Not which: that is for those who run the network to know.
        raise Failure("mailbox-address", sentence("%(host)s is in a private network, or MMS itself", host=host))


class _Stream(httpcore.NetworkStream):
    """A connection that knows the deadline, and why a certificate is refused."""

    def __init__(self, stream: httpcore.NetworkStream, network: Network, host: str) -> None:
        self._stream = stream
        self._network = network
        self._host = host

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with self._tls_failures():
            stream = self._stream.start_tls(ssl_context, server_hostname, self._network.left(timeout))
        self._network.certificate = certificate_of(stream.get_extra_info("ssl_object"))
        return _Stream(stream, self._network, self._host)

    @contextlib.contextmanager
    def _tls_failures(self) -> Iterator[None]:
        try:
            yield
        except httpcore.ConnectTimeout:
            raise Failure(
                "mailbox-unavailable", sentence("%(host)s does not answer the TLS handshake", host=self._host)
            ) from None
        except httpcore.ConnectError as error:
            raise failure_of_tls(self._host, error.__cause__) from None

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def failure_of_tls(host: str, cause: BaseException | None) -> Failure:
    """Why a TLS handshake came to nothing; its detail is a clause."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = why_not_trusted(cause)
        return Failure("mailbox-certificate", sentence("the certificate of %(host)s %(why)s", host=host, why=why))
    if isinstance(cause, ssl.SSLError) and cause.reason in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "RECORD_LAYER_FAILURE",
    }:
        return Failure("mailbox-address", sentence("%(host)s does not speak TLS at this port", host=host))
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Failure("mailbox-certificate", sentence("no TLS connection to %(host)s could be agreed on", host=host))
    return Failure("mailbox-unavailable", sentence("%(host)s broke off the TLS handshake", host=host))


def certificate_of(tls: Any) -> Certificate | None:
    """What a connection with TLS that was checked has been shown."""
    shown = tls.getpeercert() if tls else None
    if not shown:
        return None
    issuer = {key: value for part in shown["issuer"] for key, value in part}
    name = issuer.get("organizationName") or issuer.get("commonName") or sentence("a CA without a name")
    return Certificate(name, datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC))
