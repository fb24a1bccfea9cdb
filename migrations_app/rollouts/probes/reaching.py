"""Reaching a host: listed ones only, by addresses that were looked at and are allowed, and never for ever."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Self

from migrations_app.failures import Failure
from migrations_app.https.network import (
    Certificate,
    certificate_of,
    check_allowed,
    failure_of_tls,
    looked_up,
    trust,
)
from migrations_app.reachable import is_allowed_host
from migrations_app.rollouts.probes.answers import Finding, Stopped, failed, inconclusive
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from tenants_app.sentences import Sentence, sentence

_ASKS_FOR_CERTIFICATE = ("CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_HANDSHAKE_FAILURE")
"""How a server says in TLS that it wants to know who asks, as OpenSSL puts it. The last may mean other things."""


class Connection:
    """A connection to a host, over UDP, TCP or TLS. What it waits for ends with the clock.

    Raises :class:`Stopped` where the other side does not answer in time, breaks off, or wants to know who asks.
    """

    def __init__(self, sock: socket.socket, host: str, port: int, clock: Clock) -> None:
        self.socket = sock
        self.host = host
        self.port = port
        self.clock = clock
        self.certificate: Certificate | None = None
        self._has_read = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it, which may be repeated."""
        with suppress(OSError):
            self.socket.close()

    def read(self, most: int, seconds: float | None = None) -> bytes:
        """Octets that have come, or the next datagram; none where the other side has ended. With ``seconds`` it raises
        ``TimeoutError`` where nothing has come by then."""
        if seconds is None:
            octets = self._waiting(lambda: self.socket.recv(most))
        else:
            self.socket.settimeout(max(seconds, 0.001))
            octets = self._not_broken_off(lambda: self.socket.recv(most))
        if not octets and self._is_silent_tls:
            raise Stopped(_mutual(self.host))
        self._has_read = True
        return octets

    def write(self, octets: bytes) -> None:
        self._waiting(lambda: self.socket.sendall(octets))

    def secure(self, name: str, ca_certificates: str) -> None:
        """Go on with TLS, where the certificate is good and made out to this name."""
        try:
            self.socket = trust(ca_certificates).wrap_socket(
                self.socket, server_hostname=name, do_handshake_on_connect=False
            )
            self.socket.settimeout(self.clock.left())
            self.socket.do_handshake()
        except TimeoutError:
            raise Stopped(
                inconclusive(
                    sentence("%(host)s does not answer the TLS handshake in time.", host=self.host),
                    sentence(
                        "Look whether the service is overloaded, or port %(port)s speaks TLS.", port=str(self.port)
                    ),
                )
            ) from None
        except OSError as error:
            raise Stopped(_of_handshake(self.host, name, error)) from None
        self.certificate = certificate_of(self.socket)

    @property
    def _is_silent_tls(self) -> bool:
        """Whether nothing has come over TLS yet. By TLS 1.3 a server refuses whoever shows no certificate only after
        the handshake, and what it says then may be lost."""
        return self.certificate is not None and not self._has_read

    def _waiting(self, step: Callable[[], bytes | None]) -> bytes:
        try:
            self.socket.settimeout(self.clock.left())
            return self._not_broken_off(step)
        except TimeoutError:
            raise Stopped(not_in_time(self.host, self.clock)) from None

    def _not_broken_off(self, step: Callable[[], bytes | None]) -> bytes:
        try:
            return step() or b""
        except TimeoutError:
            raise
        except ssl.SSLError as error:
            is_mutual = self._is_silent_tls or _wants_certificate(error)
            raise Stopped(_mutual(self.host) if is_mutual else _broken_off(self.host)) from None
        except ConnectionRefusedError:  # of a datagram
            raise Stopped(_refused(self.host, self.port)) from None
        except OSError:
            raise Stopped(_mutual(self.host) if self._is_silent_tls else _broken_off(self.host)) from None


def connect(host: str, port: int, bounds: Bounds, clock: Clock, *, udp: bool = False) -> Connection:
    """A connection to a host, at the first of its addresses that takes one. Raises :class:`Stopped`.

    All of its addresses are looked up once and checked, and it is one of these that is connected to: between check and
    connection no name is asked for again.
    """
    why: Finding | None = None
    addresses = addresses_of(host, port, bounds, clock)
    for number, address in enumerate(addresses):
        try:
            # One that swallows everything leaves time for the others.
            left = clock.left() / (len(addresses) - number)
            sock = socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
            )
        except TimeoutError:
            break
        try:
            sock.settimeout(left)
            sock.connect((address, port))
        except TimeoutError:
            sock.close()
            why = inconclusive(
                sentence("%(host)s does not answer at port %(port)s in time.", host=host, port=str(port)),
                sentence("Look whether the host is up, and whether a firewall stands between it and MMS."),
            )
        except OSError as error:
            sock.close()
            why = _not_connected(host, port, error)
        else:
            return Connection(sock, host, port, clock)
    raise Stopped(why or not_in_time(host, clock))


def addresses_of(host: str, port: int, bounds: Bounds, clock: Clock) -> list[str]:
    """All addresses of a host that the check may reach. Raises :class:`Stopped`."""
    check_listed(host, bounds)
    try:
        addresses = in_time(lambda: looked_up(host, port), clock)
    except TimeoutError:
        raise Stopped(_unknown_address(host)) from None
    except Failure as failure:
        if failure.code != "mailbox-address":
            raise Stopped(_unknown_address(host)) from None
        raise Stopped(
            failed(
                sentence("There is no host %(host)s.", host=host),
                sentence("Correct the name, or its record in DNS."),
            )
        ) from None
    try:
        check_allowed(host, addresses, bounds.private_hosts)
    except Failure:
        raise Stopped(
            inconclusive(
                sentence("%(host)s is in a private network, or MMS itself.", host=host),
                sentence("Ask the operator of MMS to name it in MMS_ALLOWED_CHECK_HOSTS, if checks are to reach it."),
            )
        ) from None
    return addresses


def check_listed(host: str, bounds: Bounds) -> None:
    """Raises :class:`Stopped` for a host that no deployment of the check lists."""
    if not is_allowed_host(host, bounds.hosts):
        raise Stopped(
            inconclusive(
                sentence("%(host)s is not among the hosts that checks of the deployment may address.", host=host),
                sentence("Correct the host, or add it to the deployment."),
            )
        )


def in_time(ask: Callable[[], list[str]], clock: Clock) -> list[str]:
    """What ``ask`` answers or raises. Raises ``TimeoutError`` where that takes too long: the system's look-up of names
    knows no time limit, so it goes on by itself, in a thread that nobody waits for."""
    answers: SimpleQueue[list[str] | Failure] = SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except Failure as failure:
            answers.put(failure)

    threading.Thread(target=answer, daemon=True, name="look-up").start()
    try:
        answered = answers.get(timeout=clock.left())
    except Empty:
        raise TimeoutError from None
    if isinstance(answered, Failure):
        raise answered
    return answered


def not_in_time(host: str, clock: Clock) -> Finding:
    """The probe's time is over."""
    return inconclusive(
        sentence(
            "%(host)s had not answered in full after %(seconds)s seconds.", host=host, seconds=round(clock.seconds, 1)
        ),
        sentence("Look whether the service is overloaded, or give the check more time."),
    )


def _unknown_address(host: str) -> Finding:
    return inconclusive(
        sentence("The address of %(host)s could not be looked up.", host=host),
        sentence("Look whether the DNS servers that MMS uses answer."),
    )


def _not_connected(host: str, port: int, error: OSError) -> Finding:
    if error.errno == errno.ECONNREFUSED:
        return _refused(host, port)
    what = sentence("No way leads to %(host)s.", host=host)
    do = sentence("Look at the routes and firewalls between it and MMS.")
    return inconclusive(what, do) if error.errno in {errno.ENETUNREACH, errno.EADDRNOTAVAIL} else failed(what, do)


def _refused(host: str, port: int) -> Finding:
    return failed(
        sentence("%(host)s takes no connection at port %(port)s.", host=host, port=str(port)),
        sentence("Start the service there, or correct the port."),
    )


def _broken_off(host: str) -> Finding:
    return failed(
        sentence("%(host)s broke off the connection.", host=host),
        sentence("Look into the logs of the service there."),
    )


def _of_handshake(host: str, name: str, error: OSError) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        do = sentence("Have a good certificate installed there, or give the CA's certificate to the check.")
        if error.verify_code in {62, 64}:
            do = sentence("Have one installed there that is made out to %(name)s, or correct the name.", name=name)
        return failed(_tls_failed(host, error), do)
    if isinstance(error, ssl.SSLError) and _wants_certificate(error):
        return _mutual(host)
    return failed(
        _tls_failed(host, error),
        sentence("Look which versions of TLS the service offers at this port, and whether it is one that speaks TLS."),
    )


def _tls_failed(host: str, error: OSError) -> Sentence:
    return sentence("TLS with %(host)s failed: %(why)s.", host=host, why=failure_of_tls(host, error).detail)


def _wants_certificate(error: ssl.SSLError) -> bool:
    return any(reason in (error.reason or "") for reason in _ASKS_FOR_CERTIFICATE)


def _mutual(host: str) -> Finding:
    return inconclusive(
        sentence(
            "%(host)s ended the TLS connection, perhaps because it demands a certificate of its peer: MMS has none.",
            host=host,
        ),
        _INSTEAD,
    )


_INSTEAD: Sentence = sentence("Use a check of kind tcp without TLS, or of kind command.")
