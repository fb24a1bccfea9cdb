"""A stand-in for an Exchange on-premises: a real HTTP server that speaks the documented SOAP of EWS, and refuses what
the real one is documented to refuse. It proves nothing about a real Exchange."""

from __future__ import annotations

import itertools
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import trustme
from lxml import etree

from tests.support.ews_stand_in import making  # noqa: F401  (two operations more)
from tests.support.ews_stand_in.server import Handler, Server
from tests.support.ews_stand_in.shapes import NAMES
from tests.support.ews_stand_in.sign_in import Passwords
from tests.support.ews_stand_in.store import Item, Mail, Mailbox

PASSWORD = "correct horse battery staple"
SERVICE = "svc-mms@contoso.com"
PATH = "/EWS/Exchange.asmx"
ONE_BY_ONE, TOGETHER = "one-by-one", "together"


class EwsStandIn:
    """A running one. What it does can be changed at any time; :meth:`reset` puts all back."""

    def __init__(self, server: Server, ca: str) -> None:
        self.server, self.ca = server, ca
        self.lock = threading.RLock()
        self.passwords = Passwords()
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self._ids = itertools.count(1)
            self.mailboxes: dict[str, Mailbox] = {}
            self.mails: list[Mail] = []
            """Those that were sent to attendees, oldest first."""
            self.requests: Counter[str] = Counter()
            """By operation, those carried out or refused."""
            self.bodies: list[bytes] = []
            """What was sent, oldest first."""
            self.faults: list[tuple[str, str]] = []
            """What goes wrong next: an operation, or "*", and what (see :mod:`tests.support.ews_stand_in.server`)."""
            self.writes: list[tuple[str, str]] = []
            """UID and id of what was written."""
            self.back_off = 120_000
            """Milliseconds that a busy server asks to wait."""
            self.sign_in = {"basic", "ntlm"}
            self.may_impersonate = {SERVICE}
            self.scope: set[str] | None = None
            """Whom those may impersonate; None for everybody."""
            self.change_keys = TOGETHER
            """Whether a change of one part of a series gives all of its parts another ChangeKey, or only that one."""
            self.keeps_conditions = True
            """Whether NeverOverwrite is heeded."""
            self.raises_sequence = False
            """Whether a change that touches nothing but texts raises the sequence number."""
            self.keeps_named = True
            """Whether named properties stay when a text is written."""
            self.overwrites_exceptions = False
            """Whether the text of a series, when it is written, takes the place of its exceptions' own."""
            self.most_on_a_page = 1000
            self.normalise: Callable[[str], str] = str
            """What becomes of an HTML body that is stored."""
            self.before_write: Callable[[Item], object] | None = None
            """What somebody else does to the next item that is to be written, once."""
            self.build = (15, 2, 1544, 4)
            self.discovered = ""
            """The address that Autodiscover tells; empty for its own."""
            self.passwords.set({SERVICE: PASSWORD, "CONTOSO\\svc-mms": PASSWORD})
            self.accounts: Mapping[str, str] = {"contoso\\svc-mms": SERVICE, "svc-mms": SERVICE}

    @property
    def origin(self) -> str:
        scheme = "https" if self.ca else "http"
        return f"{scheme}://localhost:{self.server.server_address[1]}"

    @property
    def address(self) -> str:
        return f"{self.origin}{PATH}"

    def mailbox(self, address: str) -> Mailbox:
        """That of this user, made where there is none."""
        with self.lock:
            return self.mailboxes.setdefault(address.lower(), Mailbox(address.lower(), self._ids))

    def may_act_as(self, account: str, address: str) -> bool:
        return account in self.may_impersonate and (self.scope is None or address in self.scope)

    def meddle(self, item: Item) -> None:
        what, self.before_write = self.before_write, None
        if what:
            what(item)

    def written(self, item: Item, change: etree._Element) -> None:
        self.writes.append((item.uid, item.id))
        master = item.master or item
        if self.raises_sequence:
            item.sequence += 1
        if change.find(".//t:Body", NAMES) is not None:
            if not self.keeps_named:
                item.named.clear()
            for exception in item.exceptions if self.overwrites_exceptions else ():
                exception.body = item.body
        together = [master, *master.exceptions] if self.change_keys == TOGETHER else [item]
        for each in together:
            each.version += 1


@contextmanager
def ews_stand_in(tls: bool = True) -> Iterator[EwsStandIn]:
    """One that runs on localhost until it is left."""
    authority = trustme.CA()
    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.context = context
    stand_in = EwsStandIn(server, authority.cert_pem.bytes().decode() if tls else "")
    server.stand_in = stand_in
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        stand_in.passwords.close()
        thread.join()
