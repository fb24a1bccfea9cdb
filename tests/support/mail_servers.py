"""Real SMTP servers on this machine, to be given faults."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


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
