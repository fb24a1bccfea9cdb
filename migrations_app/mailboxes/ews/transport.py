"""The requests of exchangelib over connections of our own opening: to allowed addresses only, bounded, and strict."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import httpcore2 as httpcore
import requests
from requests.structures import CaseInsensitiveDict

from migrations_app.failures import Failure
from migrations_app.https.addresses import parse
from migrations_app.https.network import Certificate, Network, trust
from migrations_app.https.session import Account, Interrupted, Limits
from migrations_app.mailboxes.ews.characters import strict
from migrations_app.reachable import is_allowed_host
from tenants_app.sentences import sentence

_BACK_OFF = re.compile(rb'Name="BackOffMilliseconds"[^>]*>\s*(\d{1,9})\s*<')


class Adapter(requests.adapters.BaseAdapter):
    """Carries each request to the server of one account, over one kept-open connection, as NTLM wants it.

    Raises ``Failure`` where nothing was sent, or what came cannot be used, and ``Interrupted`` where nobody knows what
    became of a request. A request that does not write, and is lost on a connection that was kept open, is sent again.
    """

    def __init__(
        self,
        account: Account,
        allowed_hosts: Collection[str] = (),
        limits: Limits | None = None,
        check: Callable[[bytes, str], bytes] = strict,
    ) -> None:
        super().__init__()
        self.limits = limits or Limits()
        self.origin, self.path = parse(account.address)
        if self.origin.scheme == "http" and not is_allowed_host(self.origin.host, allowed_hosts):
            raise Failure(
                "mailbox-address",
                sentence("plain http to %(host)s would show the password to everybody between", host=self.origin.host),
            )
        self.check = check
        self.headers: dict[str, str] = {}
        """Sent with every request."""
        self.keep: Callable[[], object] = lambda: None
        """Called before each request."""
        self.writing = False
        self.asked_to_wait: timedelta | None = None
        """How long the last answer asks to wait, wherever it says so: exchangelib looks in one place of two."""
        self.is_no_server = False
        """Whether what answered last was no Exchange at all."""
        self.certificate_der: bytes | None = None
        self._ends_at = float("inf")
        self._network = Network(allowed_hosts)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust(account.ca_certificates),
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=30,
            network_backend=self._network,
        )

    @property
    def url(self) -> str:
        return self.origin.url(self.path)

    @property
    def certificate(self) -> Certificate | None:
        """That the server has shown; None without TLS."""
        return self._network.certificate

    @property
    def opened(self) -> int:
        """How many connections were opened; 0 while the host could not be reached."""
        return self._network.opened

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.keep()
        if request.url != self.url:
            raise Failure("mailbox-address", sentence("%(host)s leads to another address", host=self.origin.host))
        before = self._network.opened
        try:
            return self._send(request)
        except Interrupted:
            if self.writing or self._network.opened != before:
                raise
            return self._send(request)

    def close(self) -> None:
        self._pool.close()

    def _send(self, request: requests.PreparedRequest) -> requests.Response:
        limits, now, host = self.limits, time.monotonic(), self.origin.host
        self._ends_at = min(self._ends_at, now + limits.session)
        self._network.deadline = min(now + limits.whole, self._ends_at)
        read = limits.write if self.writing else limits.read
        timeout = {"connect": limits.connect, "read": read, "write": limits.read, "pool": limits.connect}
        headers = {"Host": str(self.origin).partition("//")[2], **self.headers, **dict(request.headers)}
        headers["Accept-Encoding"] = "identity"
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        try:
            with self._pool.stream(
                request.method or "POST",
                self.url,
                headers=[(name.encode(), _octets(value)) for name, value in headers.items()],
                content=body,
                extensions={"timeout": timeout},
            ) as answer:
                tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
                self.certificate_der = tls.getpeercert(True) if tls else None
                content = self._receive(answer)
        except httpcore.TimeoutException:
            raise Interrupted(sentence("%(host)s did not answer in time", host=host)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Interrupted(sentence("%(host)s broke off the connection", host=host)) from None
        found = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        return _Answer(self, request, answer.status, found, content)

    def _receive(self, answer: httpcore.Response) -> bytes:
        parts, size = [], 0
        for part in answer.iter_stream():
            size += len(part)
            if size > self.limits.answer:
                raise Failure("mailbox-answer", sentence("an answer of %(host)s is too large", host=self.origin.host))
            parts.append(part)
        return b"".join(parts)


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8")


class _Raw:
    """What requests and its NTLM ask of a connection that they believe to hold."""

    def release_conn(self) -> None: ...

    def close(self) -> None: ...


class _Answer(requests.Response):
    """An answer that has come in whole. Of several headers with one name, ``headers`` has all, with commas between."""

    def __init__(
        self,
        adapter: Adapter,
        request: requests.PreparedRequest,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
    ) -> None:
        super().__init__()
        self.status_code, self.url, self.request = status, adapter.url, request
        self.raw, self.encoding = _Raw(), "utf-8"
        self.connection: Any = adapter
        together: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in headers:
            together[name] = f"{together[name]}, {value}" if name in together else value
        self.headers = together
        found = _BACK_OFF.search(content)
        adapter.asked_to_wait = timedelta(milliseconds=int(found[1])) if found else None
        adapter.is_no_server = (status == 200 and b"<" not in content[:500]) or b"<html" in content[:500].lower()
        if status == 200 or (status == 500 and b"Envelope" in content[:500]):
            content = adapter.check(content, adapter.origin.host)
        self._content, self._content_consumed = content, True

    def iter_content(self, *_: Any, **__: Any) -> Any:
        return iter([self._content])
