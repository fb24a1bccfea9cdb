"""A real Radicale in a process of its own: a CalDAV server that tells nobody of changes and stores its own octets."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import trustme

from migrations_app.demo.calendar_server import configure
from migrations_app.mailboxes.caldav.transport import Account
from tests.support.mail_servers import free_port
from tests.support.waiting import wait_until

PASSWORD = "correct horse battery staple"
SERVICE = "service@contoso.com"
"""May read and write the calendars of everybody."""

_READER = """\
[reader]
user: reader@contoso.com
collection: .*
permissions: Rr
"""


@dataclass(frozen=True)
class RadicaleServer:
    """A running one. ``ca`` is the PEM that its certificate is trusted by; empty without TLS."""

    address: str
    ca: str
    process: subprocess.Popen[bytes]
    http: httpx.Client

    def account(self, user: str = SERVICE, password: str = PASSWORD) -> Account:
        return Account(self.address, user, password, self.ca)

    def make_calendar(self, user: str, name: str) -> str:
        """A new calendar; its href."""
        href = f"/{user}/{name}/"
        assert self.request("MKCALENDAR", href, user=user).status_code == 201
        return href

    def put(self, href: str, body: bytes) -> str:
        """Store an object as another client would; its ETag."""
        answer = self.request("PUT", href, body)
        assert answer.status_code == 201, answer.text
        return answer.headers["etag"]

    def delete(self, href: str) -> None:
        assert self.request("DELETE", href).status_code == 200

    def request(self, method: str, href: str, body: bytes = b"", user: str = SERVICE) -> httpx.Response:
        url = self.address.rstrip("/") + href
        return self.http.request(method, url, content=body, auth=(user, PASSWORD))


@contextmanager
def radicale(
    folder: Path, users: tuple[str, ...], issued_for: str = "", ca: trustme.CA | None = None
) -> Iterator[RadicaleServer]:
    """Serve these users' calendars from a folder; behind TLS, with a certificate for that host, if one is named."""
    port = free_port()
    tls = pem = ""
    if issued_for:
        ca = ca or trustme.CA()
        certificate = ca.issue_cert(issued_for)
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
        tls = f"ssl = True\ncertificate = {folder}/certificate.pem\nkey = {folder}/key.pem\n"
        pem = ca.cert_pem.bytes().decode()
    everybody = (SERVICE, "reader@contoso.com", *users)
    passwords = dict.fromkeys(everybody, PASSWORD)
    server = f"max_content_length = 100000000\n{tls}"
    configure(folder, passwords, folder, port, others=_READER, server=server, auth="delay = 0\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "radicale", "--config", folder / "config"], stderr=log)
    try:
        wait_until(lambda: listens(port, process), every=0.02)
        scheme, host = ("https", issued_for) if issued_for else ("http", "127.0.0.1")
        with httpx.Client(verify=False, trust_env=False, timeout=60) as http:
            yield RadicaleServer(f"{scheme}://{host}:{port}/", pem, process, http)
    finally:
        process.terminate()
        process.wait()


def listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether a server that was started takes connections by now."""
    assert process.poll() is None, "the server has ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
