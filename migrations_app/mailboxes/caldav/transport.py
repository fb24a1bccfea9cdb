"""Requests to the server of one account: signed in, bounded in time and size, never led away to another server."""

from __future__ import annotations

import base64
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
from migrations_app.mailboxes.caldav.addresses import Origin, leads_to, parse
from migrations_app.mailboxes.caldav.network import Certificate, Network, trust
from migrations_app.reachable import is_allowed_host

MOST_REDIRECTS = 5
_IN_MEMORY = 1024 * 1024
_USER_AGENT = "Meeting-Migration-Service"
_BROKEN_OFF = (httpcore.NetworkError, httpcore.ProtocolError)


@dataclass(frozen=True, slots=True)
class Account:
    """Where to sign in and as whom. ``ca_certificates`` (PEM) are trusted beside the system's."""

    address: str
    username: str
    password: str = field(repr=False)
    ca_certificates: str = field(default="", repr=False)


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
        super().__init__("mailbox-answer", f"the answer about {base} is too large")


class Transport:
    """One kept-open connection to the server of an account.

    Plain http only to hosts that the operator allows. Raises ``Failure``: ``mailbox-address``, ``mailbox-certificate``,
    ``mailbox-unavailable`` or ``mailbox-sign-in-refused``.
    """

    def __init__(self, account: Account, allowed_hosts: Collection[str] = (), limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.origin, self.path = parse(account.address)
        self._allowed_hosts = allowed_hosts
        self._check_scheme(self.origin)
        if ":" in account.username:
            raise Failure("mailbox-sign-in-refused", "a user name with a colon cannot be used to sign in (RFC 7617)")
        token = base64.b64encode(f"{account.username}:{account.password}".encode())
        self._headers = {
            "Authorization": f"Basic {token.decode('ascii')}",
            "User-Agent": _USER_AGENT,
            "Accept": "*/*",
        }
        self.ends_at = math.inf
        self._network = Network(allowed_hosts)
        pool = httpcore.ConnectionPool(
            ssl_context=trust(account.ca_certificates),
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=30,
            network_backend=self._network,
        )
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # a session that nobody has asked for
        self._http = httpx.Client(
            transport=_OverPool(pool), cookies=no_cookies, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def ask(self, method: str, href: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The answer to a request that changes nothing. Lost on a connection that was kept open, it is sent again once.

        The answer may be packed, unless to a GET: servers that pack give the object another ETag.
        """
        headers = {"Accept-Encoding": "identity" if method == "GET" else "gzip, deflate", **headers}
        before = self._network.opened
        try:
            try:
                return self._follow(method, href, headers, body)
            except Interrupted:
                if self._network.opened != before:
                    raise
                return self._follow(method, href, headers, body)
        except Interrupted as interrupted:
            raise Failure("mailbox-unavailable", interrupted.why) from None

    def write(self, href: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a PUT, which is sent once. Raises ``Interrupted`` where it is unknown what became of it."""
        try:
            return self._follow("PUT", href, {"Accept-Encoding": "identity", **headers}, body)
        except TooLarge as failure:
            raise Interrupted(failure.detail) from None

    def _follow(self, method: str, href: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Follow redirects on the same host; a method and its body stay what they are (RFC 9110 section 15.4)."""
        kept = {307, 308} if method == "PUT" else {301, 302, 307, 308}
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._send(method, href, headers, body)
            if answer.status == 401:
                answer.body.close()
                raise _sign_in_refused(answer)
            if answer.status not in {301, 302, 303, 305, 307, 308}:
                return answer
            answer.body.close()
            if answer.status not in kept or "location" not in answer.headers:
                raise Failure(
                    "mailbox-address", f"{self.origin.host} redirects {href} in a way that cannot be followed"
                )
            href = self._redirected(answer.headers["location"], href)
        raise Failure("mailbox-address", f"{self.origin.host} redirects from {href} for ever")

    def _redirected(self, location: str, href: str) -> str:
        try:
            origin, path = leads_to(location, self.origin, href)
        except ValueError:
            raise Failure("mailbox-address", f"{self.origin.host} redirects {href} to what is no address") from None
        if origin != self.origin:
            if origin.host != self.origin.host:
                raise Failure("mailbox-address", f"{self.origin.host} redirects {href} to another host, {origin.host}")
            if origin.scheme != "https" or self.origin.scheme == "https":
                where = "plain http" if origin.scheme == "http" else f"port {origin.port}"
                raise Failure("mailbox-address", f"{self.origin.host} redirects {href} to {where}")
            self.origin = origin
        return path

    def _check_scheme(self, origin: Origin) -> None:
        if origin.scheme == "http" and not is_allowed_host(origin.host, self._allowed_hosts):
            raise Failure(
                "mailbox-address", f"plain http to {origin.host} would show the password to everybody between"
            )

    def _send(self, method: str, href: str, headers: Mapping[str, str], body: bytes) -> Answer:
        limits = self.limits
        timeout = httpx.Timeout(
            connect=limits.connect,
            read=limits.write if method == "PUT" else limits.read,
            write=limits.read,
            pool=limits.connect,
        )
        now = time.monotonic()
        self.ends_at = min(self.ends_at, now + limits.session)
        self._network.deadline = min(now + limits.whole, self.ends_at)
        url = httpx.URL(
            scheme=self.origin.scheme, host=self.origin.host, port=self.origin.port, raw_path=href.encode("ascii")
        )
        try:
            with self._http.stream(
                method, url, headers={**self._headers, **headers}, content=body, timeout=timeout
            ) as response:
                received = self._receive(response, href)
                return Answer(response.status_code, response.headers, received, self.origin, href)
        except httpcore.TimeoutException:
            raise Interrupted(f"{self.origin.host} did not answer in time about {href}") from None
        except _BROKEN_OFF:
            raise Interrupted(f"{self.origin.host} broke off the connection at {href}") from None
        except httpx.DecodingError:
            raise Interrupted(f"{self.origin.host} packed its answer about {href} wrongly") from None

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
                content=request.read(),
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


def _sign_in_refused(answer: Answer) -> Failure:
    offered = [value.split()[0].lower() for value in answer.headers.get_list("www-authenticate") if value.split()]
    if offered and not any(scheme.startswith("basic") for scheme in offered):
        return Failure("mailbox-sign-in-refused", f"{answer.origin.host} takes no sign-in by password (Basic)")
    return Failure("mailbox-sign-in-refused", f"{answer.origin.host} does not accept the user name or the password")
