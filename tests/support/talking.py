"""Servers on this machine that say what a test has them say, octet by octet: over TCP, with TLS, or in datagrams."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

Handler = Callable[[socket.socket], object]
"""Talks over one connection, which is closed afterwards."""


@contextmanager
def talking(handler: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    """The port of a server; each connection has a thread of its own."""

    class Talks(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # whoever hangs up is what some tests are about
                connection = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                handler(connection)
                connection.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    with Server((host, 0), Talks) as server:
        yield from _served(server)


@contextmanager
def datagrams(answers: Callable[[bytes], Sequence[bytes]]) -> Iterator[int]:
    """The port of a server that sends these for each datagram that comes in."""

    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            octets, server = self.request
            for answer in answers(octets):
                server.sendto(answer, self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Answers) as server:
        server.max_packet_size = 65_536
        yield from _served(server)


def trickling(octets: bytes, over: threading.Event) -> Handler:
    """Sends one octet after the other, and begins again at the end, until the other side hangs up or it is over."""

    def handle(connection: socket.socket) -> None:
        while True:
            for octet in octets:
                connection.sendall(bytes([octet]))
                if over.wait(0.01):
                    return

    return handle


def _served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        thread.join()
