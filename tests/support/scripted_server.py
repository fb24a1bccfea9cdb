"""An HTTP server that answers what a test tells it to: for answers that no good server gives."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from migrations_app.mailboxes.caldav.transport import Account


@dataclass(frozen=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Told:
    """An answer. Without ``length`` it is as long as its body; a greater one breaks off, ``None`` ends with the
    connection. ``hangs_up`` ends the connection without any answer, ``resets`` does so by RST.
    """

    status: int = 207
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1
    hangs_up: bool = False
    resets: bool = False


Script = Callable[[Asked], Told]


class ScriptedServer:
    """``script`` answers; ``asked`` is what came in, ``connections`` how many were opened."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.connections = 0
        self.port = 0
        self.scheme = "http"

    @property
    def address(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/"

    def account(self, path: str = "") -> Account:
        return Account(self.address + path, "anna.rossi@contoso.com", "secret")


@contextmanager
def scripted(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """Serve on this machine, each connection in a thread."""
    server = ScriptedServer(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body go out one after the other

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            self._answer()
            return False  # answered: http.server would look for a method of its own

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            asked = Asked(self.command, self.path, headers, body)
            server.asked.append(asked)
            told = server.script(asked)
            if told.hangs_up:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if told.resets:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            self.send_response_only(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            length = len(told.body) if told.length == -1 else told.length
            if length is None:
                self.send_header("Connection", "close")
            else:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(told.body)
            self.close_connection = length != len(told.body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> Any:
            connection, address = super().get_request()
            if tls:
                # The handshake is made by the thread of the connection, when it first reads.
                connection = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, address

        def handle_error(self, *_: Any) -> None:
            pass  # a client that hangs up is what some tests are about

    with Server(("127.0.0.1", 0), Handler) as http:
        server.port = http.server_address[1]
        server.scheme = "https" if tls else "http"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def multistatus(*responses: str, token: str = "") -> bytes:
    """An answer with these responses."""
    end = f"<d:sync-token>{token}</d:sync-token>" if token else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?><d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" '
        f'xmlns:s="http://calendarserver.org/ns/">{"".join(responses)}{end}</d:multistatus>'
    ).encode()


def response(href: str, properties: str = "", status: int = 200) -> str:
    """What an answer says of one path: its properties, or a status where there are none."""
    if properties:
        found = f"<d:propstat><d:prop>{properties}</d:prop><d:status>HTTP/1.1 {status} OK</d:status></d:propstat>"
    else:
        found = f"<d:status>HTTP/1.1 {status} Told</d:status>"
    return f"<d:response><d:href>{href}</d:href>{found}</d:response>"
