"""The stand-in as tests hold it."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from migrations_app.mailboxes.exchange.events import ExchangeEvent
from tests.support.graph_stand_in import adding, blob
from tests.support.graph_stand_in.clock import Clock
from tests.support.graph_stand_in.copies import Copies
from tests.support.graph_stand_in.limits import KINDS, Fault, fault_of
from tests.support.graph_stand_in.reading import instances
from tests.support.graph_stand_in.routes import Request, Routes
from tests.support.graph_stand_in.server import Server
from tests.support.graph_stand_in.tokens import Tokens
from tests.support.graph_stand_in.updates import Behaviour
from tests.support.graph_stand_in.world import (
    ALL_ROLES,
    Application,
    Calendar,
    Event,
    Mail,
    Mailbox,
    User,
    World,
    object_id,
)

CLIENT_ID = "7d1f3c52-0000-4000-8000-000000000001"
SECRET = "a client secret of the stand-in"


class GraphStandIn:
    """A tenant of Exchange Online and Teams on this machine. ``with GraphStandIn() as graph: …``"""

    def __init__(self, port: int = 0) -> None:
        self.world = World()
        self._server = Server(port)
        self.graph = self.authority = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.reset()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.cut_all()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """As new: one application with all permissions, no user."""
        with self.world.lock:
            self.world.clear()
            self.tokens = Tokens(self.world, self.graph)
            self.routes = Routes(self.world, self.graph, self.tokens)
            self._server.tokens, self._server.routes = self.tokens, self.routes
            self.add_application(CLIENT_ID, SECRET)

    def put(self, name: str, value: Any) -> None:
        """Set what a dotted name leads to, such as ``routes.latency``: for those who hold it from afar."""
        target: Any = self
        *way, last = name.split(".")
        for step in way:
            target = getattr(target, step)
        setattr(target, last, value)

    # --- what MMS is told --------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """The operator's settings by which MMS comes here."""
        return {"MMS_MICROSOFT_ENDPOINTS": f"{self.authority},{self.graph}", "MMS_ALLOWED_MAIL_HOSTS": "127.0.0.1"}

    @property
    def directory_id(self) -> str:
        return self.world.tenant

    client_id = CLIENT_ID
    secret = SECRET

    @property
    def clock(self) -> Clock:
        return self.world.clock

    @property
    def behaviour(self) -> Behaviour:
        return self.routes.updates.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour | str) -> None:
        self.routes.updates.behaviour = Behaviour(behaviour)

    @property
    def copies(self) -> Copies:
        """What reaches the calendars of attendees whose mailboxes the stand-in has."""
        return self.routes.updates.copies

    @copies.setter
    def copies(self, copies: Copies | str) -> None:
        self.routes.updates.copies = Copies(copies)

    def normalise_by(self, normalise: Callable[[str], str]) -> None:
        """How HTML is stored under the behaviour "rewrites", if not by ``exchange_html.by_exchange``."""
        self.routes.updates.normalise = normalise

    # --- the directory -----------------------------------------------------------------------------------------------

    @property
    def application(self) -> Application:
        return self.world.applications[CLIENT_ID]

    def add_application(
        self, client_id: str, secret: str = "", expires: datetime | None = None, roles: Sequence[str] = ALL_ROLES
    ) -> Application:
        application = Application(client_id, {secret: expires} if secret else {}, roles=tuple(roles))
        with self.world.lock:
            self.world.applications[client_id.casefold()] = application
        return application

    def add_certificate(self, days: int = 365, begins: datetime | None = None, client_id: str = CLIENT_ID) -> str:
        """Register a new certificate; its key and itself in PEM form."""
        pem, der = certificate(begins or datetime.now(UTC) - timedelta(days=1), days)
        self.world.applications[client_id.casefold()].certificates.append(der)
        return pem

    def add_mailbox(self, upn: str, **facts: Any) -> User:
        """A user with a mailbox; ``facts`` such as ``language="de"``, ``licensed=False``, ``denied=True``."""
        name = " ".join(part.capitalize() for part in upn.split("@")[0].split("."))
        user = User(**{"id": object_id(upn), "upn": upn, "name": name, "mail": upn, **facts})
        with self.world.lock:
            self.world.users[user.id] = user
            self.world.domains.add(upn.rpartition("@")[2].casefold())
            mailbox = Mailbox(user)
            self.world.mailboxes[user.id] = mailbox
            self.add_calendar(upn, "Calendar", is_default=True)
        return user

    def add_calendar(self, upn: str, name: str, can_edit: bool = True, is_default: bool = False) -> str:
        """A further calendar; its id."""
        mailbox = self.mailbox(upn)
        calendar = Calendar(f"AAMkCal{uuid.uuid5(uuid.UUID(mailbox.user.id), name).hex}=", name, is_default, can_edit)
        with self.world.lock:
            mailbox.calendars[calendar.id] = calendar
        return calendar.id

    def mailbox(self, upn: str) -> Mailbox:
        user = self.world.user(upn)
        if user is None:
            raise KeyError(upn)
        return self.world.mailboxes[user.id]

    def restrict(self, *upns: str) -> None:
        """Give the application a management scope of these mailboxes."""
        self.application.scope = {self.mailbox(upn).user.id for upn in upns}

    # --- events ------------------------------------------------------------------------------------------------------

    def add_event(self, upn: str, event: ExchangeEvent, calendar: str = "") -> str:
        """Keep an event; its immutable id. Attendees are told nothing."""
        with self.world.lock:
            return adding.add(self.world, self.mailbox(upn), event, calendar).key

    def teams_meeting(self, upn: str, event: ExchangeEvent, calendar: str = "") -> str:
        """Keep the event as a Teams meeting that the server has made: link and block are its own."""
        with self.world.lock:
            mailbox = self.mailbox(upn)
            meeting = blob.new_meeting(self.world, mailbox.user, subject=event.subject)

            def as_made(one: ExchangeEvent) -> ExchangeEvent:
                return replace(
                    one,
                    body=blob.with_block(one.body, blob.block(self.world, meeting)),
                    join_url=meeting["joinWebUrl"],
                    properties={**one.properties, "SkypeTeamsMeetingUrl": meeting["joinWebUrl"]},
                    exceptions=tuple(as_made(exception) for exception in one.exceptions),
                )

            return adding.add(self.world, mailbox, as_made(event), calendar).key

    def event(self, upn: str, key: str) -> ExchangeEvent:
        """What the mailbox holds now. Raises ``KeyError``."""
        with self.world.lock:
            return adding.read(self.mailbox(upn).events[key])

    def events(self, upn: str) -> list[ExchangeEvent]:
        """All single events and series."""
        with self.world.lock:
            return [adding.read(event) for event in self.mailbox(upn).top()]

    def occurrences(self, upn: str, key: str, after: datetime, before: datetime) -> list[ExchangeEvent]:
        with self.world.lock:
            return [adding.read(one) for one in instances(self.mailbox(upn).events[key], after, before)]

    def change(self, upn: str, key: str, **facts: Any) -> None:
        """Somebody changes the event with a client of their own: fields of ``world.Event``."""
        with self.world.lock:
            event = self.mailbox(upn).events[key]
            for name, value in facts.items():
                setattr(event, name, value)
            event.series.version += 1

    def move(self, upn: str, key: str, calendar: str) -> None:
        """Somebody moves the event to another calendar: its ids change, the immutable one does not."""
        with self.world.lock:
            mailbox = self.mailbox(upn)
            event = mailbox.events[key].series
            family: list[Event] = [event, *event.exceptions]
            for one in family:
                mailbox.by_rest_id.pop(one.rest_id)
            event.moved += 1
            for one in family:
                one.calendar = calendar
                mailbox.register(one)

    def delete(self, upn: str, key: str) -> None:
        """Somebody deletes the event; of an exception, the occurrence goes."""
        with self.world.lock:
            mailbox = self.mailbox(upn)
            mailbox.remove(mailbox.events[key])

    # --- what happened -----------------------------------------------------------------------------------------------

    @property
    def mails(self) -> list[Mail]:
        """Updates that the server sent."""
        return self.world.mails

    def mails_of(self, key: str) -> list[Mail]:
        return [mail for mail in self.world.mails if mail.of == key]

    @property
    def asked(self) -> list[tuple[int, str, str, int]]:
        """All requests in short: the exchange that each came with, method, path, status."""
        return [(one.trip, one.method, one.path, one.status) for one in self.routes.requests]

    def forget_requests(self) -> None:
        self.routes.requests.clear()

    @property
    def requests(self) -> list[Request]:
        """All requests to Graph, those inside batches among them."""
        return self.routes.requests

    # --- Teams -------------------------------------------------------------------------------------------------------

    @property
    def meetings(self) -> list[dict[str, Any]]:
        return list(self.world.meetings.values())

    def set_bridge(self, toll: str, toll_free: str | None = None, more: Sequence[str] = ()) -> None:
        """An administrator changes the numbers of the conference bridge."""
        with self.world.lock:
            self.world.bridge.update({"toll": toll, "tollFree": toll_free, "moreTolls": list(more)})

    # --- faults ------------------------------------------------------------------------------------------------------

    def fail_next(self, kind: str = "", **facts: Any) -> None:
        """A fault for the next requests that match: by name (``limits.KINDS``), or as fields of ``limits.Fault``."""
        fault = fault_of(kind) if kind else Fault()
        self.routes.faults.ordered.append(replace(fault, **facts))

    def faults_at_random(
        self, rate: float, kinds: Sequence[str] = KINDS, seed: int = 0, methods: Sequence[str] = ()
    ) -> None:
        """Let this part of all requests meet a fault."""
        faults = self.routes.faults
        faults.rate, faults.kinds, faults.methods = rate, kinds, methods
        faults.random.seed(seed)

    def no_faults(self) -> None:
        self.routes.faults.clear()


@contextmanager
def graph_stand_in() -> Iterator[GraphStandIn]:
    """A stand-in that runs."""
    with GraphStandIn() as stand_in:
        yield stand_in


_serials = itertools.count(1000)


def certificate(begins: datetime, days: int) -> tuple[str, bytes]:
    """A self-signed certificate: key and itself as PEM, itself as DER. Keys are new for each."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MMS")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(next(_serials))
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + made.public_bytes(serialization.Encoding.PEM)).decode(), made.public_bytes(
        serialization.Encoding.DER
    )
