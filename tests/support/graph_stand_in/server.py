"""The HTTP server in front of it all."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.graph_stand_in.batches import Batches
from tests.support.graph_stand_in.errors import Refusal, Reply
from tests.support.graph_stand_in.routes import MOST_OCTETS, Cut, Routes
from tests.support.graph_stand_in.tokens import Tokens

_VERSION = "/v1.0"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    tokens: Tokens
    routes: Routes

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.open: set[socket.socket] = set()
        self.guard = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that die are what campaigns are made of."""

    def cut_all(self) -> None:
        """End all connections."""
        with self.guard:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.guard:
            self.server.open.add(self.connection)

    def finish(self) -> None:
        with self.server.guard:
            self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Nothing is logged: ``requests`` of the stand-in tells."""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            if length > MOST_OCTETS:
                # throttling and limits of Graph: 4 MB for a request
                self.rfile.read(length)
                reply = Refusal(413, "RequestEntityTooLarge", "The request is too large.").reply
            else:
                reply = self._answered(headers, self.rfile.read(length) if length else b"")
        except Cut:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(reply)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - names of http.server

    def _answered(self, headers: Mapping[str, str], octets: bytes) -> Reply:
        parts = urlsplit(self.path)
        if not parts.path.startswith(_VERSION + "/"):
            return self._signing_in(parts.path, octets)
        body: Any = None
        if self.command == "PUT":
            body = octets
        elif octets:
            try:
                body = json.loads(octets)
            except ValueError:
                return Refusal(400, "BadRequest", "Unable to read JSON request payload.").reply
            if "application/json" not in headers.get("content-type", ""):
                return Refusal(415, "RequestBodyRead", "A media type of application/json is needed.").reply
        target = self.path.removeprefix(_VERSION)
        if parts.path == _VERSION + "/$batch":
            if self.command != "POST":
                return Refusal(405, "BadRequest", "A batch is posted.").reply
            return Batches(self.server.routes).answer(headers, body)
        return self.server.routes.answer(self.command, target, headers, body)

    def _signing_in(self, path: str, octets: bytes) -> Reply:
        tenant, _, rest = path.strip("/").partition("/")
        with self.server.tokens.world.lock:
            if self.command == "GET" and rest in (
                "v2.0/.well-known/openid-configuration",
                ".well-known/openid-configuration",
            ):
                return self.server.tokens.configuration(unquote(tenant))
            if self.command == "POST" and rest == "oauth2/v2.0/token":
                return self.server.tokens.token(
                    unquote(tenant), dict(parse_qsl(octets.decode(), keep_blank_values=True))
                )
        return Refusal(404, "NotFound", "There is nothing here.").reply

    def _send(self, reply: Reply) -> None:
        octets = reply.octets
        broken = reply.headers.pop("X-Stand-In", "")
        length = len(octets)
        if broken == "garbage":
            octets = b"<html><body>Service Unavailable</body></html>"
            length = len(octets)
        elif broken == "truncated":
            octets = octets[: len(octets) // 2]
            length = len(octets)  # whole by HTTP, torn as JSON
        self.send_response(reply.status)
        if octets:
            kind = "text/html" if broken == "garbage" else "application/json"
            self.send_header("Content-Type", kind if broken else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)
        self.wfile.flush()
