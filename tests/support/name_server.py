"""A DNS server on this machine that knows what a test tells it, in place of the system's for ``dns.resolver``."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset

Records = Mapping[tuple[str, str], Sequence[str]]
"""Texts of records, as in a zone file, by name (with its last dot) and type."""


@contextmanager
def names(records: Records, monkeypatch: Any) -> Iterator[None]:
    """Answer from these records; every other name is unknown."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            query = dns.message.from_wire(data)
            (question,) = query.question
            kind = dns.rdatatype.to_text(question.rdtype)
            answer = dns.message.make_response(query)
            texts = records.get((question.name.to_text(), kind), ())
            if texts:
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
            elif not any(name == question.name.to_text() for name, _ in records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            sock.sendto(answer.to_wire(), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = server.server_address[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
