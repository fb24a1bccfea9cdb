"""Real SMTP servers on this machine, to be given faults."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Inbox:
    """An SMTP server's handler that keeps what it gets, and can be told to refuse."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.sessions: set[int] = set()
        self.answer = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.envelopes.append(envelope)
        self.sessions.add(id(session))
        return self.answer

    def copies(self) -> Counter[tuple[str, str]]:
        """How many copies of each message came in for each address, whatever was answered afterwards."""
        return Counter(
            (message_id_of(envelope), address) for envelope in self.envelopes for address in envelope.rcpt_tos
        )


def message_id_of(envelope: Envelope) -> str:
    content = envelope.content
    assert isinstance(content, bytes)
    found = re.search(rb"^Message-ID: (\S+)", content, re.MULTILINE)
    assert found
    return found[1].decode()


Handler = TypeVar("Handler")


async def silence() -> None:
    """Answer nothing until the client has hung up or the server is stopped."""
    await asyncio.Event().wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(handler: Handler, settings: Any, **options: Any) -> Iterator[Handler]:
    """Serve SMTP on this machine, and have Django send there. The options are aiosmtpd's, of controller and server."""
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port, **options)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.EMAIL_USE_SSL = "ssl_context" in options
    settings.EMAIL_USE_TLS = "tls_context" in options
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    try:
        yield handler
    finally:
        controller.stop()


class Relay(Inbox):
    """A server as organizations have them: it takes messages of who has signed in, and says what a test has it say."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.signed_in: list[str] = []
        self.says: Callable[[str], str] = lambda address: "250 OK"
        """Its answer to a recipient."""
        self.hangs_after_data: Callable[[], object] | None = None
        """Called when it has got a message whole; then it says nothing."""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        answer = self.says(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        if self.hangs_after_data:
            self.hangs_after_data()
            await silence()
        return answer

    def greylist(self) -> None:
        """Put off each recipient the first time that it is asked about."""
        self.says = lambda address: "250 OK" if self.asked.count(address) > 1 else "451 4.7.1 Greylisted, try again"

    def refuse(self, *addresses: str) -> None:
        self.says = lambda address: "550 5.1.1 No such person" if address in addresses else "250 OK"


@dataclass(slots=True)
class Served:
    """A relay that runs, and what there is to know of it."""

    relay: Relay
    port: int
    ca: str
    """The certificate of the authority that its own is from, in PEM form."""

    @property
    def settings(self) -> dict[str, Any]:
        """It as a tenant's mail server."""
        return {
            "host": HOST,
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            "ca_certificates": self.ca,
        }


HOST = "localhost"
USER, PASSWORD = "mms@contoso.com", "a long pass phrase"


@contextmanager
def relay(*, is_tls_from_the_start: bool = False, issued_for: str = HOST) -> Iterator[Served]:
    """A relay with a certificate and a sign-in, at a port of its own; Django's settings know nothing of it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(issued_for).configure_cert(context)
    handler = Relay()

    def sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        if is_right:
            handler.signed_in.append(mechanism)
        return AuthResult(success=is_right, handled=False)

    options: dict[str, Any] = {"authenticator": sign_in}
    if is_tls_from_the_start:  # aiosmtpd takes this for a connection without TLS
        options |= {"ssl_context": context, "auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True, "auth_required": True}
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield Served(handler, port, authority.cert_pem.bytes().decode())
    finally:
        controller.stop()
