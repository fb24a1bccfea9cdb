"""Handing messages to an SMTP server within bounds, so that none holds a worker, however slow or silent it is.

smtplib's timeout counts anew with every octet that comes in, and ``sendmail`` tells what became of a message only when
all is over. Here each answer has its time as a whole, and so has the message; somebody is called while an answer is
waited for; and right before the octets by which the server takes the message over, so that this can be noted first.
"""

from __future__ import annotations

import io
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from django.core.mail.backends import smtp

from migrations_app.reachable import is_allowed_host, is_public
from tenants_app.sentences import sentence

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

OPENING = 60.0
"""Seconds for all of greeting, TLS and sign-in. Each answer has ``EMAIL_TIMEOUT`` beside, here and below."""
TRANSACTION = 120.0
"""Seconds for a message from MAIL to the last octet before the final dot."""
ASKING = 30.0
"""Seconds after which no further recipient is asked about; the rest get a transaction of their own."""
FINAL_ANSWER = 120.0
"""Seconds for the answer to the final dot. RFC 5321 section 4.5.3.2.6 asks for ten minutes, because whoever gives up
cannot know whether the message was taken; MMS gives up earlier, since others wait, and tells a person instead."""
GOODBYE = 5.0
"""Seconds for the answer to QUIT, on which nothing depends."""
IDLE = 5.0
"""Seconds after which a connection that was not used is tried before a message is entrusted to it."""
_GLANCE = 5.0
"""Seconds after which somebody is called who waits for an answer."""
_CHUNK = 65_536
"""Octets of a message that must be gone within ``EMAIL_TIMEOUT``."""


class Unanswered(Exception):
    """The server got the message whole and did not say whether it took it: it may be on its way (RFC 1047)."""


class NotAllowed(OSError):
    """The server is at an address that no tenant may have messages sent to."""


class Closing(smtplib.SMTPServerDisconnected):
    """The server said that it hangs up, or something that is no answer."""


@dataclass(slots=True)
class Answers:
    """What the server said of each recipient that it was asked about."""

    taken: list[str] = field(default_factory=list)
    """For these the message is on its way."""
    put_off: dict[str, int] = field(default_factory=dict)
    """Not now (4yz), with the code."""
    refused: dict[str, int] = field(default_factory=dict)
    """Never (5yz), with the code."""


class Session(smtplib.SMTP):
    """One connection to a server. What smtplib raises for a timeout has the ``TimeoutError`` as its context."""

    timeout: float

    def __init__(
        self, *args: Any, while_waiting: Callable[[], object], allowed_hosts: Collection[str] | None, **kwargs: Any
    ) -> None:
        self._while_waiting = while_waiting
        self._allowed_hosts = allowed_hosts
        self._until = monotonic() + OPENING
        self._answer_until = self._until  # for the greeting, which follows no command
        super().__init__(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect. What an administrator of a tenant has named is looked up once, and all of it is checked: between
        check and connection no name is asked for again. Raises ``NotAllowed``."""
        if self._allowed_hosts is None or is_allowed_host(host.lower(), self._allowed_hosts):
            return self._connected(host, port, timeout)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(map(is_public, addresses)):
            # Not which: that is for those who run the network to know.
            raise NotAllowed(sentence("%(host)s is in a private network, or MMS itself", host=host))
        for address in addresses[:-1]:
            with suppress(OSError):
                return self._connected(address, port, min(timeout, max(self._until - monotonic(), 0.001)))
        return self._connected(addresses[-1], port, min(timeout, max(self._until - monotonic(), 0.001)))

    def _connected(self, address: str, port: int, timeout: float) -> socket.socket:
        connected: socket.socket = super()._get_socket(address, port, timeout)  # type: ignore[misc]
        return connected

    def is_alive(self) -> bool:
        """Whether the server still answers; asked where the connection has not been used for a while."""
        self._until = monotonic() + GOODBYE
        try:
            return self.noop()[0] == 250
        except OSError:
            return False

    def transmit(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        may_ask_more: Callable[[], bool],
        before_the_end: Callable[[list[str]], object],
    ) -> Answers:
        """Hand the message over for as many recipients, in their order, as there is time to ask about.

        From the second recipient on, ``may_ask_more`` is asked before each; where it says no, or :data:`ASKING` is
        over, the message goes to those that were taken so far. ``before_the_end`` is called with them when nothing
        but the final dot is left to be sent; what it raises ends the session with nobody told.

        Raises :class:`Unanswered` when the answer to the final dot is missing. After every other error nobody was
        told: ``SMTPSenderRefused`` and ``SMTPDataError`` where the server refused the message, another ``OSError``
        where it fell silent or hung up.
        """
        try:
            return self._transmit(sender, recipients, data, may_ask_more, before_the_end)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError):
            raise
        except BaseException:
            self.close()  # for nobody knows what the server takes for a command now
            raise

    def _transmit(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        may_ask_more: Callable[[], bool],
        before_the_end: Callable[[list[str]], object],
    ) -> Answers:
        self._until = monotonic() + TRANSACTION
        self.ehlo_or_helo_if_needed()
        size = [f"size={len(data)}"] if self.has_extn("size") else []
        code, text = self.mail(sender, size)
        if code != 250:
            self._abandon(code)
            raise smtplib.SMTPSenderRefused(code, text, sender)
        answers = self._ask(recipients, may_ask_more)
        if not answers.taken:
            self._abandon()
            return answers
        code, text = self.docmd("DATA")
        if code != 354:
            self._abandon(code)
            raise smtplib.SMTPDataError(code, text)
        self._send_content(data)
        before_the_end(answers.taken)
        self._until = monotonic() + FINAL_ANSWER
        self.send(b".\r\n")  # where this fails, the server has not got the end, and takes nothing
        self._answer_until = self._until
        code, text = self._final_answer()
        if code >= 400:
            self._abandon(code)
            raise smtplib.SMTPDataError(code, text)
        return answers

    def _ask(self, recipients: Sequence[str], may_ask_more: Callable[[], bool]) -> Answers:
        answers, enough_at = Answers(), monotonic() + ASKING
        for number, address in enumerate(recipients):
            if number and (monotonic() >= enough_at or not may_ask_more()):
                break
            try:
                code, _ = self.rcpt(address)
            except ValueError:  # an address that cannot even be written
                code = 553
            if code == 421 or not 200 <= code < 600:
                raise Closing(sentence("answer %(code)s", code=code))
            if code < 300:
                answers.taken.append(address)
            elif code < 500:
                answers.put_off[address] = code
            else:
                answers.refused[address] = code
        return answers

    def _send_content(self, data: bytes) -> None:
        quoted = re.sub(rb"(?m)^\.", b"..", data)
        if not quoted.endswith(b"\r\n"):
            quoted += b"\r\n"
        for begin in range(0, len(quoted), _CHUNK):
            self.send(quoted[begin : begin + _CHUNK])

    def _final_answer(self) -> tuple[int, bytes]:
        try:
            code, text = self.getreply()
        except OSError as error:
            raise Unanswered(told_by(error)) from error
        if 200 <= code < 300 or 400 <= code < 600:
            return code, text
        raise Unanswered(sentence("answer %(code)s", code=code))

    def _abandon(self, code: int = 0) -> None:
        """Make ready for the next message, where the server goes on after this answer."""
        if code == 421:
            self.close()
        else:
            with suppress(smtplib.SMTPServerDisconnected):  # it shows with the next message
                self.docmd("RSET")

    def say_goodbye_soon(self) -> None:
        """Let what follows take no longer than QUIT may."""
        self._until = monotonic() + GOODBYE

    def send(self, s: Any) -> None:
        self._while_waiting()
        began = monotonic()
        self._answer_until = min(began + self.timeout, self._until)
        if self.sock:
            self.sock.settimeout(max(self._answer_until - began, 0.001))
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_Answer(self._receive))  # instead of the one whose time has no end
        try:
            return super().getreply()
        finally:
            if self.sock:
                self.sock.settimeout(self.timeout)  # for what smtplib does with the socket itself, such as TLS

    def _receive(self, buffer: WriteableBuffer) -> int:
        while self.sock and (left := self._answer_until - monotonic()) > 0:
            self._while_waiting()
            self.sock.settimeout(min(left, _GLANCE))
            try:
                return self.sock.recv_into(buffer)
            except TimeoutError:
                continue
        raise TimeoutError


class SessionOverTLS(Session, smtplib.SMTP_SSL):
    """One connection that begins with TLS."""


class _Answer(io.RawIOBase):
    """The socket's octets for a buffered reader."""

    def __init__(self, receive: Callable[[WriteableBuffer], int]) -> None:
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._receive(buffer)


class EmailBackend(smtp.EmailBackend):
    """Django's, with sessions that have bounds."""

    connection: Session | None
    _partial_connection: Session | None

    def __init__(
        self, *, ca_certificates: str = "", allowed_hosts: Collection[str] | None = None, **options: Any
    ) -> None:
        """``options`` are Django's, of which the installation's are the defaults. With ``allowed_hosts`` others than
        these must be at public addresses."""
        super().__init__(**options)
        self.while_waiting: Callable[[], object] = lambda: None
        self._ca_certificates = ca_certificates
        self._allowed_hosts = allowed_hosts
        self._used_at = 0.0

    @property
    def connection_class(self) -> Any:
        return partial(
            SessionOverTLS if self.use_ssl else Session,
            while_waiting=self._wait,
            allowed_hosts=self._allowed_hosts,
        )

    def _wait(self) -> None:
        self.while_waiting()

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """What certificates are checked against: Django's choice, and the authorities that are given."""
        if not self._ca_certificates:
            return super().ssl_context
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self._ca_certificates)
        return context

    def session(self) -> Session:
        """The open connection. Raises ``OSError`` where the server cannot be reached or does not let us in."""
        if self.connection is not None and monotonic() - self._used_at > IDLE and not self.connection.is_alive():
            self.connection.close()
        if self.connection is not None and self.connection.sock is None:
            self.connection = None  # it was given up
        self.open()
        self._used_at = monotonic()
        return cast(Session, self.connection)

    def close(self) -> None:
        for session in (self.connection, self._partial_connection):
            if session is not None:
                session.say_goodbye_soon()
        with suppress(OSError):  # whatever it answered to QUIT, and though TLS may have left no connection
            super().close()


def timed_out(error: BaseException) -> bool:
    """Whether it was raised because time was up."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TimeoutError):
        cause = cause.__context__
    return cause is not None


_WORDS: Mapping[type[Exception], str] = MappingProxyType(
    {
        ConnectionRefusedError: sentence("connection refused"),
        socket.gaierror: sentence("its name leads to no address"),
        ssl.SSLCertVerificationError: sentence("its certificate is not trusted"),
        ssl.SSLError: sentence("no TLS"),
        smtplib.SMTPServerDisconnected: sentence("it hung up"),
    }
)


def told_by(error: BaseException) -> str:
    """What happened, in few words and without the server's text."""
    if isinstance(error, Closing | Unanswered | NotAllowed):
        return error.args[0] if error.args else ""
    if isinstance(error, smtplib.SMTPResponseException):
        return sentence("answer %(code)s", code=error.smtp_code)
    if timed_out(error):
        return sentence("no answer in time")
    return next((words for kind, words in _WORDS.items() if isinstance(error, kind)), type(error).__name__)
