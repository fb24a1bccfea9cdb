"""The HTTP of the stand-in: sign-in, impersonation, SOAP envelopes, and what goes wrong on request.

``busy`` and ``store`` are SOAP faults with the documented codes; ``503``, ``401`` and ``page`` are answers of
the web server; ``cut-before`` and ``cut-after`` close the connection before and after the request was carried out;
``short`` sends half of the answer; ``item-busy`` and ``item-store`` are responses about the item.
"""

from __future__ import annotations

import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from lxml import etree
from spnego.exceptions import SpnegoError

from tests.support.ews_stand_in.operations import Call, Fault
from tests.support.ews_stand_in.shapes import NAMES, Element, el, octets
from tests.support.ews_stand_in.sign_in import Handshake

if TYPE_CHECKING:
    from tests.support.ews_stand_in import EwsStandIn

_VERSIONS = {"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2"}
_VERSIONS |= {"Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016"}


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    stand_in: EwsStandIn
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake in the thread of the connection, so that nobody who does not speak holds up the others.
        if self.context is not None:
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                return
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may go away at any time."""


class Handler(BaseHTTPRequestHandler):
    """One connection, which NTLM signs in for good."""

    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 30

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.handshake: Handshake | None = None
        self.account = ""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    @property
    def stand_in(self) -> EwsStandIn:
        return self.server.stand_in

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._signed_in():
            return
        if self.path.lower() == "/autodiscover/autodiscover.xml":
            self._discover(body)
        elif self.path.lower() == "/ews/exchange.asmx":
            self._serve(body)
        else:
            self._send(404, b"<html>Not found</html>", "text/html")

    def _signed_in(self) -> bool:
        if self.account:
            return True
        header = self.headers.get("Authorization", "")
        scheme = header.partition(" ")[0].lower()
        if scheme == "basic" and "basic" in self.stand_in.sign_in:
            name = self.stand_in.passwords.by_basic(header)
            if name:
                self.account = self.stand_in.accounts.get(name, name)
                try:
                    return True
                finally:
                    self.basic = True
        if scheme == "ntlm" and "ntlm" in self.stand_in.sign_in:
            self.handshake = self.handshake or Handshake()
            try:
                answer = self.handshake.step(header)
            except SpnegoError:
                self.handshake = None
                self._unauthorized()
                return False
            if answer:
                self._send(401, b"", headers=[("WWW-Authenticate", f"NTLM {answer}")])
                return False
            user = self.handshake.user
            self.account = self.stand_in.accounts.get(user, user)
            return True
        self._unauthorized()
        return False

    def _unauthorized(self) -> None:
        offered = []
        if "ntlm" in self.stand_in.sign_in:
            offered.append(("WWW-Authenticate", "NTLM"))
        if "basic" in self.stand_in.sign_in:
            offered.append(("WWW-Authenticate", 'Basic realm="localhost"'))
        self._send(401, b"", headers=offered)

    def _discover(self, body: bytes) -> None:
        where = self.stand_in.discovered or self.stand_in.address
        answer = (
            '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema'
            '/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">'
            f"<Account><AccountType>email</AccountType><Action>settings</Action><Protocol><Type>EXPR</Type><EwsUrl>{where}"
            "</EwsUrl></Protocol></Account></Response></Autodiscover>"
        )
        self._send(200, answer.encode())

    def _serve(self, body: bytes) -> None:
        stand_in = self.stand_in
        basic, self.basic = getattr(self, "basic", False), False
        account = self.account
        if basic:  # signs in with each request
            self.account = ""
        with stand_in.lock:
            stand_in.bodies.append(body)
            try:
                operation, call = self._call(body, account)
            except Fault as fault:
                self._send(500, octets(self._envelope(_fault(fault))))
                return
            stand_in.requests[operation] += 1
            wrong = self._next_fault(operation)
            if wrong == "cut-before":
                self._cut()
                return
            if wrong == "401":
                self.account = ""
                self._unauthorized()
                return
            if wrong == "503":
                self._send(503, b"<html>Service unavailable</html>", "text/html")
                return
            if wrong == "page":
                self._send(200, b"<html><body>Sign in to continue</body></html>", "text/html")
                return
            if wrong == "moved":
                self._send(302, b"", headers=[("Location", "https://mail.fabrikam.com/EWS/Exchange.asmx")])
                return
            status = 200
            try:
                if wrong == "busy":
                    values = {"BackOffMilliseconds": str(stand_in.back_off)}
                    raise Fault("ErrorServerBusy", "The server cannot service this request right now.", values)
                if wrong == "store":
                    raise Fault("ErrorMailboxStoreUnavailable", "The mailbox database is temporarily unavailable.")
                if wrong in {"item-busy", "item-store"}:
                    code = {"item-busy": "ErrorServerBusy", "item-store": "ErrorMailboxStoreUnavailable"}[wrong]
                    wait = {"BackOffMilliseconds": str(stand_in.back_off)} if wrong == "item-busy" else {}
                    answer = _refusal(operation, code, wait)
                else:
                    answer = call.answer()
            except Fault as fault:
                status, answer = 500, _fault(fault)
        if wrong == "cut-after":
            self._cut()
            return
        self._send(status, octets(self._envelope(answer)), short=wrong == "short")

    def _call(self, body: bytes, account: str) -> tuple[str, Call]:
        try:
            root = etree.fromstring(body)
        except etree.XMLSyntaxError:
            raise Fault("ErrorSchemaValidation", "The request failed schema validation.") from None
        version = root.find("s:Header/t:RequestServerVersion", NAMES)
        if version is not None and version.get("Version") not in _VERSIONS:
            raise Fault("ErrorInvalidServerVersion", "The specified server version is invalid.")
        content = root.find("s:Body", NAMES)
        if content is None or not len(content):
            raise Fault("ErrorSchemaValidation", "The request has no body.")
        whom = root.find("s:Header/t:ExchangeImpersonation/t:ConnectingSID", NAMES)
        address = account
        if whom is not None:
            address = (whom[0].text or "").lower()
            if not self.stand_in.may_act_as(account, address):
                raise Fault(
                    "ErrorImpersonateUserDenied",
                    "The account does not have permission to impersonate the requested user.",
                )
            if address not in self.stand_in.mailboxes:
                raise Fault("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        operation = etree.QName(content[0]).localname
        mailbox = self.stand_in.mailboxes.get(address)
        if mailbox is None:
            if operation != "ConvertId":
                raise Fault("ErrorNonExistentMailbox", "The account has no mailbox.")
            mailbox = self.stand_in.mailbox(account)
        return operation, Call(self.stand_in, mailbox, content[0])

    def _next_fault(self, operation: str) -> str:
        for at, (of, what) in enumerate(self.stand_in.faults):
            if of in {"*", operation}:
                del self.stand_in.faults[at]
                return what
        return ""

    def _envelope(self, content: Element) -> Element:
        names = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
        build = {name: str(value) for name, value in zip(names, self.stand_in.build, strict=True)}
        header = el("s:Header", el("t:ServerVersionInfo", Version="V2017_07_11", **build))
        return el("s:Envelope", header, el("s:Body", content))

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "text/xml; charset=utf-8",
        headers: list[tuple[str, str]] | None = None,
        short: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers or []:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if short else body)
        if short:
            self._cut()


def _fault(fault: Fault) -> Element:
    values = [el("t:Value", text, Name=name) for name, text in fault.values.items()]
    return el(
        "s:Fault",
        el("faultcode", f"a:{fault.code}"),
        el("faultstring", fault.text),
        el(
            "detail",
            el("e:ResponseCode", fault.code),
            el("e:Message", fault.text),
            el("t:MessageXml", *values) if values else None,
        ),
    )


def _refusal(operation: str, code: str, values: dict[str, str]) -> Element:
    more = [el("t:Value", text, Name=name) for name, text in values.items()]
    message = el(
        f"m:{operation}ResponseMessage",
        el("m:MessageText", code),
        el("m:ResponseCode", code),
        el("m:MessageXml", *more) if more else None,
        ResponseClass="Error",
    )
    return el(f"m:{operation}Response", el("m:ResponseMessages", message))
