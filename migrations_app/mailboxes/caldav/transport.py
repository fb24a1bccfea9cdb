"""Requests to the server of one account: signed in, bounded in time and size, never led away to another server."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Self

from migrations_app.failures import Failure
from migrations_app.https.addresses import leads_to, parse
from migrations_app.https.network import Certificate
from migrations_app.https.session import Account, Answer, Interrupted, Limits, Session, TooLarge
from tenants_app.sentences import sentence

__all__ = ["Account", "Answer", "Interrupted", "Limits", "TooLarge", "Transport"]

MOST_REDIRECTS = 5


class Transport:
    """One kept-open connection to the server of an account.

    Plain http only to hosts that the operator allows. Raises ``Failure``: ``mailbox-address``, ``mailbox-certificate``,
    ``mailbox-unavailable`` or ``mailbox-sign-in-refused``.
    """

    def __init__(self, account: Account, allowed_hosts: Collection[str] = (), limits: Limits | None = None) -> None:
        self.origin, self.path = parse(account.address)
        self.session = Session(allowed_hosts, limits, ca_certificates=account.ca_certificates)
        self.session.check_scheme(self.origin)
        if ":" in account.username:
            raise Failure(
                "mailbox-sign-in-refused", sentence("a user name with a colon cannot be used to sign in (RFC 7617)")
            )
        token = base64.b64encode(f"{account.username}:{account.password}".encode())
        self._headers = {"Authorization": f"Basic {token.decode('ascii')}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the server has shown, if it was connected to with TLS."""
        return self.session.certificate

    @property
    def opened(self) -> int:
        """How many connections were opened; 0 while the host could not be reached."""
        return self.session.opened

    def ask(self, method: str, href: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """The answer to a request that changes nothing. Lost on a connection that was kept open, it is sent again once.

        The answer may be packed, unless to a GET: servers that pack give the object another ETag.
        """
        headers = {"Accept-Encoding": "identity" if method == "GET" else "gzip, deflate", **headers}
        before = self.session.opened
        try:
            try:
                return self._follow(method, href, headers, body)
            except Interrupted:
                if self.session.opened != before:
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
                    "mailbox-address",
                    sentence(
                        "%(host)s redirects %(href)s in a way that cannot be followed", host=self.origin.host, href=href
                    ),
                )
            href = self._redirected(answer.headers["location"], href)
        raise Failure(
            "mailbox-address", sentence("%(host)s redirects from %(href)s for ever", host=self.origin.host, href=href)
        )

    def _redirected(self, location: str, href: str) -> str:
        try:
            origin, path = leads_to(location, self.origin, href)
        except ValueError:
            raise Failure(
                "mailbox-address",
                sentence("%(host)s redirects %(href)s to what is no address", host=self.origin.host, href=href),
            ) from None
        if origin != self.origin:
            if origin.host != self.origin.host:
                raise Failure(
                    "mailbox-address",
                    sentence(
                        "%(host)s redirects %(href)s to another host, %(origin_host)s",
                        host=self.origin.host,
                        href=href,
                        origin_host=origin.host,
                    ),
                )
            if origin.scheme != "https" or self.origin.scheme == "https":
                told = {"host": self.origin.host, "href": href, "port": str(origin.port)}
                raise Failure(
                    "mailbox-address",
                    sentence("%(host)s redirects %(href)s to plain http", **told)
                    if origin.scheme == "http"
                    else sentence("%(host)s redirects %(href)s to port %(port)s", **told),
                )
            self.origin = origin
        return path

    def _send(self, method: str, href: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return self.session.send(method, self.origin, href, {**self._headers, **headers}, body, is_slow=method == "PUT")


def _sign_in_refused(answer: Answer) -> Failure:
    offered = [value.split()[0].lower() for value in answer.headers.get_list("www-authenticate") if value.split()]
    if offered and not any(scheme.startswith("basic") for scheme in offered):
        return Failure(
            "mailbox-sign-in-refused",
            sentence("%(host)s takes no sign-in by password (Basic)", host=answer.origin.host),
        )
    return Failure(
        "mailbox-sign-in-refused",
        sentence("%(host)s does not accept the user name or the password", host=answer.origin.host),
    )
