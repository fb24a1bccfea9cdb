"""Addresses: which server is meant, and the one form in which paths are compared."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

import httpx2 as httpx

from migrations_app.failures import Failure
from tenants_app.sentences import sentence

_STANDS_AS_IT_IS = "-._~!$&'()*+,;=:@"
"""Characters of a path's segment that need no percent-encoding (RFC 3986 section 3.3)."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_CHARACTERS = 1_000
"""Of a path in its one form, as it is kept."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host in lower case and ASCII, and port: what a password is for (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    def url(self, href: str) -> str:
        """The address of a path on this server."""
        return f"{self}{href}"


def parse(address: str) -> tuple[Origin, str]:
    """Whose server an address is, and the path there. An address without a scheme is one of https.

    Raises ``Failure`` with ``mailbox-address`` for what is no address of a server.
    """
    text = address.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        url = httpx.URL(text)
        port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
        host = url.raw_host.decode("ascii").rstrip(".").lower()
        path = normal(url.raw_path.decode("ascii").partition("?")[0])
    except (httpx.InvalidURL, UnicodeError):
        raise Failure("mailbox-address", sentence("what was entered is not an address")) from None
    if url.scheme not in _DEFAULT_PORTS:
        raise Failure("mailbox-address", sentence("the address must begin with https://"))
    if not host or "%" in host or not 0 < port < 65536:
        raise Failure("mailbox-address", sentence("the address names no host"))
    if url.userinfo:
        raise Failure("mailbox-address", sentence("a user name and a password do not belong into the address"))
    return Origin(url.scheme, host, port), path


def normal(path: str) -> str:
    """The one form of a path: servers and clients disagree about what must be percent-encoded (RFC 3986 section 6.2.2).

    A slash that is encoded is no separator and stays encoded.
    """
    segments = path.split("/")
    return "/".join(quote(unquote_to_bytes(segment), safe=_STANDS_AS_IT_IS) for segment in segments) or "/"


def resolve(href: str, origin: Origin, base: str) -> str:
    """The path that ``href`` means in an answer to a request for the path ``base``.

    Raises ``ValueError``, which says what was named instead, where it is on another server, or is no address at all.
    """
    if len(href) > 8 * _MOST_CHARACTERS:
        raise ValueError(sentence("paths that are too long"))
    # Without its dots' meaning: a path of two slashes would be a host.
    try:
        split = urlsplit(urljoin(origin.url(base), href.strip()))
        named = _origin_of(split.scheme, split.hostname, split.port)
    except ValueError:
        raise ValueError(sentence("what is no address")) from None
    if named != origin:
        raise ValueError(sentence("objects that are not on %(origin)s", origin=str(origin)))
    path = normal(split.path or "/")
    if len(path) > _MOST_CHARACTERS:
        raise ValueError(sentence("paths that are too long"))
    return path


def leads_to(location: str, origin: Origin, base: str) -> tuple[Origin, str]:
    """Where a redirect leads. Raises ``ValueError`` for what is no address of a server."""
    split = urlsplit(urljoin(origin.url(base), location.strip()))
    return _origin_of(split.scheme, split.hostname, split.port), normal(split.path or "/")


def _origin_of(scheme: str, host: str | None, port: int | None) -> Origin:
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        raise ValueError(sentence("no address of a server"))
    return Origin(scheme, host.rstrip(".").lower(), port or _DEFAULT_PORTS[scheme])
