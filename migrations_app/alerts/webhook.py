"""Posting an alert to a web address that an administrator of a tenant has named: signed, and never led astray.

The address is looked up once for each connection, all that it leads to is checked, and it is one of these that is
connected to. No redirect is followed, no proxy and no cookie is used, and little of an answer is read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import httpcore2 as httpcore

from migrations_app.failures import Failure
from migrations_app.https.network import Certificate, Network, trust
from migrations_app.https.waiting import wait_stated
from migrations_app.reachable import is_allowed_host, is_public
from tenants_app.sentences import sentence

CONNECT, ANSWER, WHOLE = 5.0, 10.0, 20.0
"""Seconds for a connection, for the next octets of an answer, and for all of it."""
MOST_OCTETS = 4096
"""Of an answer's body: nothing in it matters."""
Headers = Mapping[bytes | str, bytes | str]
_URL = re.compile(r"https?://[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.IGNORECASE)
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}")
"""What some libraries take for an IPv4 address, beside four decimal numbers."""
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """Where alerts are posted."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_encrypted(self) -> bool:
        return self.scheme == "https"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}, port {self.port}"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server said that took an alert."""

    status: int
    certificate: Certificate | None


def parse(url: str, allowed_hosts: Collection[str]) -> Target:
    """The server and the path of an address. Raises ``Failure`` with ``webhook-address`` for what MMS never posts to.

    Where a name leads is not looked up here, but whenever it is posted to.
    """
    text = url.strip()
    if not text.isascii() or not _URL.fullmatch(text):
        raise Failure("webhook-address", sentence("give a web address such as https://hooks.contoso.com/mms"))
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Failure("webhook-address", sentence("what was entered is no web address")) from None
    if "@" in parts.netloc:
        raise Failure("webhook-address", sentence("a user name and a password do not belong into it"))
    if not host or port == 0 or "%" in host:
        raise Failure("webhook-address", sentence("it names no server"))
    is_allowed = is_allowed_host(host, allowed_hosts)
    if not is_allowed:
        _check_numbers(host)
    if parts.scheme.lower() != "https" and not is_allowed:
        raise Failure(
            "webhook-address", sentence("plain http to %(host)s would show alerts to everybody between", host=host)
        )
    scheme = parts.scheme.lower()
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Target(scheme, host, port or _PORTS[scheme], path)


def _check_numbers(host: str) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _NUMERIC.fullmatch(host):
            raise Failure(
                "webhook-address", sentence("%(host)s is a number in place of a server's name", host=host)
            ) from None
        return
    if not is_public(str(address)):
        raise Failure("webhook-address", sentence("%(host)s is in a private network, or MMS itself", host=host))


def signature(secret: str, moment: int, body: bytes) -> str:
    """The value of ``MMS-Signature``: HMAC-SHA256 over the second, a dot and the body."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def post(
    url: str, secret: str, event: str, delivery_id: UUID, body: bytes, allowed_hosts: Collection[str] = ()
) -> Taken:
    """Post it once. Raises ``Failure`` with one of the ``webhook-…`` codes where the server did not take it, or nobody
    knows whether it did."""
    target = parse(url, allowed_hosts)
    network = Network(allowed_hosts)
    network.deadline = time.monotonic() + WHOLE
    headers: Headers = {
        "Content-Type": "application/json",
        "User-Agent": "Meeting-Migration-Service",
        "MMS-Event": event,
        "MMS-Delivery": str(delivery_id),
        "MMS-Signature": signature(secret, int(time.time()), body),
    }
    try:
        status, wait = _exchange(target, network, headers, body)
    except Failure as failure:
        raise _of_the_webhook(failure) from None
    except httpcore.TimeoutException:
        raise Failure("webhook-unavailable", sentence("%(host)s did not answer in time", host=target.host)) from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError):
        raise Failure("webhook-unavailable", sentence("%(host)s broke off the connection", host=target.host)) from None
    if 200 <= status < 300:
        return Taken(status, network.certificate)
    if status == 410:
        raise Failure("webhook-gone", sentence("%(host)s answered %(status)s", host=target.host, status=status))
    if 300 <= status < 400:
        raise Failure("webhook-redirected", sentence("%(host)s answered %(status)s", host=target.host, status=status))
    raise Failure(
        "webhook-refused", sentence("%(host)s answered %(status)s", host=target.host, status=status), wait_stated(wait)
    )


def _of_the_webhook(failure: Failure) -> Failure:
    """What the network says of a mailbox's server, said of the webhook's."""
    codes = {
        "mailbox-address": "webhook-address",
        "mailbox-unavailable": "webhook-unavailable",
        "mailbox-certificate": "webhook-certificate",
    }
    return Failure(codes[failure.code], failure.detail)


def _exchange(
    target: Target, network: Network, headers: Mapping[bytes | str, bytes | str], body: bytes
) -> tuple[int, str]:
    """The status of the answer, and how long the server asks to wait."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    timeout = {"connect": CONNECT, "read": ANSWER, "write": ANSWER, "pool": CONNECT}
    url = httpcore.URL(scheme=target.scheme, host=host, port=target.port, target=target.path)
    with (
        httpcore.ConnectionPool(ssl_context=trust(""), max_connections=1, network_backend=network) as pool,
        pool.stream("POST", url, headers=headers, content=body, extensions={"timeout": timeout}) as answer,
    ):
        octets = 0
        for part in answer.iter_stream():
            octets += len(part)
            if octets >= MOST_OCTETS:
                break
        wait = next((value for name, value in answer.headers if name.lower() == b"retry-after"), b"")
        return answer.status, wait.decode("latin-1")
