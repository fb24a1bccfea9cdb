"""Single requests over connections that are kept open: bounded in time and size, never redirected, never by a proxy."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import IO, Self

import httpcore2 as httpcore
import httpx2 as httpx

from migrations_app.failures import Failure
from migrations_app.https.addresses import Origin
from migrations_app.https.network import Certificate, Network, trust
from migrations_app.reachable import is_allowed_host
from tenants_app.sentences import sentence

USER_AGENT = "Meeting-Migration-Service"
_IN_MEMORY = 1024 * 1024
_PART = 64 * 1024
_BROKEN_OFF = (httpcore.NetworkError, httpcore.ProtocolError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and octets of an answer once it is unpacked."""

    connect: float = 10
    read: float = 60
    """For the next octets of an answer."""
    write: float = 360
    """The same of an answer to a PUT, during which an auto-scheduling server hands over its mail (RFC 6638). Cyrus 3.6
    gives up a mail server that does not answer after 300, and then stores the object all the same.
    """
    whole: float = 900
    """From the beginning of a request to the end of its answer."""
    session: float = math.inf
    """From the first request to the end of the last answer."""
    answer: int = 50_000_000


SOMEBODY_WAITS = Limits(read=20, write=60, whole=60, session=120)
"""For what somebody waits for before a page, and what must not hold up the page of anybody else."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where to sign in and as whom. ``ca_certificates`` (PEM) are trusted beside the system's."""

    address: str
    username: str
    password: str = field(repr=False)
    ca_certificates: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has come in whole. ``body`` is a file, because it may be large; ``base`` the path that gave it."""

    status: int
    headers: httpx.Headers
    body: IO[bytes]
    origin: Origin
    base: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.body.close()


class Interrupted(Exception):
    """The connection was lost, or nothing came any more, after a request began to be sent.

    Whether it was carried out is unknown. ``why`` is one clause.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class TooLarge(Failure):
    """An answer has more octets than are taken."""

    def __init__(self, base: str) -> None:
        super().__init__("mailbox-answer", sentence("the answer about %(base)s is too large", base=base))


class Session:
    """Connections to one server, or to the few that belong together.

    Plain http only to hosts that the operator allows. Raises ``Failure``: ``mailbox-address``, ``mailbox-certificate``
    or ``mailbox-unavailable``.
    """

    def __init__(
        self,
        allowed_hosts: Collection[str] = (),
        limits: Limits | None = None,
        *,
        ca_certificates: str = "",
        connections: int = 1,
    ) -> None:
        self.limits = limits or Limits()
        self.ends_at = math.inf
        self._network = Network(allowed_hosts)
        pool = httpcore.ConnectionPool(
            ssl_context=trust(ca_certificates),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30,
            network_backend=self._network,
        )
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # a session that nobody has asked for
        self._http = httpx.Client(
            transport=_OverPool(pool), cookies=no_cookies, trust_env=False, follow_redirects=False
        )

    def close(self) -> None:
        self._http.close()

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the server has shown, if it was connected to with TLS."""
        return self._network.certificate

    @property
    def opened(self) -> int:
        """How many connections were opened; 0 while the host could not be reached."""
        return self._network.opened

    def check_scheme(self, origin: Origin) -> None:
        """Raise ``Failure`` where requests would go unencrypted to a host for which the operator does not allow it."""
        if origin.scheme == "http" and not is_allowed_host(origin.host, self._network.allowed_hosts):
            raise Failure(
                "mailbox-address",
                sentence("plain http to %(host)s would show the password to everybody between", host=origin.host),
            )

    def send(
        self,
        method: str,
        origin: Origin,
        href: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] = b"",
        *,
        is_slow: bool = False,
    ) -> Answer:
        """The answer to a request that is sent once. Raises ``Interrupted`` where it is unknown what became of it, and
        ``TooLarge``. To one that ``is_slow`` the server may take its time. A body that is a file is sent by parts, from
        where it stands; its length belongs into ``headers``."""
        limits = self.limits
        timeout = httpx.Timeout(
            connect=limits.connect,
            read=limits.write if is_slow else limits.read,
            write=limits.read,
            pool=limits.connect,
        )
        now = time.monotonic()
        self.ends_at = min(self.ends_at, now + limits.session)
        self._network.deadline = min(now + limits.whole, self.ends_at)
        path = href.partition("?")[0]  # what is said of it tells nothing that was asked for
        url = httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=href.encode("ascii"))
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", **headers}
        content = body if isinstance(body, bytes) else iter(lambda: body.read(_PART), b"")
        try:
            with self._http.stream(method, url, headers=headers, content=content, timeout=timeout) as response:
                return Answer(response.status_code, response.headers, self._receive(response, path), origin, path)
        except httpcore.TimeoutException:
            raise Interrupted(
                sentence("%(host)s did not answer in time about %(path)s", host=origin.host, path=path)
            ) from None
        except _BROKEN_OFF:
            raise Interrupted(
                sentence("%(host)s broke off the connection at %(path)s", host=origin.host, path=path)
            ) from None
        except httpx.DecodingError:
            raise Interrupted(
                sentence("%(host)s packed its answer about %(path)s wrongly", host=origin.host, path=path)
            ) from None

    def _receive(self, response: httpx.Response, href: str) -> IO[bytes]:
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever gets the answer closes it
        try:
            size = 0
            for part in response.iter_bytes():
                size += len(part)
                if size > self.limits.answer:
                    raise TooLarge(href)
                file.write(part)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file


class _OverPool(httpx.BaseTransport):
    """Carries the requests of httpx over connections of our own opening; what goes wrong passes through as it is."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
