"""An HTTP proxy before a calendar server that makes a request fail before or after the server has seen it."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from tests.support.scripted_server import Asked, ScriptedServer, Told, scripted


@dataclass(frozen=True)
class Fault:
    """What becomes of one request. ``forwarded`` says whether the server gets it all the same."""

    name: str
    forwarded: bool
    told: Callable[[Told], Told] = lambda answer: answer
    """The answer made of that of the server; of an empty one where the server does not get the request."""
    seconds: float = 0
    """How long the answer is held back. The proxy's end ends that, too."""


def _truncated(answer: Told) -> Told:
    """As long as it says in its head, and the connection ends halfway; one without a body says that it has one."""
    if answer.body:
        return replace(answer, body=answer.body[: len(answer.body) // 2], length=len(answer.body))
    return replace(answer, status=200, length=1_000)


def _refuses(status: int, retry_after: str = "", *, after: bool = False) -> Fault:
    headers = {"Retry-After": retry_after} if retry_after else {}
    name = f"{status}{' Retry-After' if retry_after else ''}{' after the server' if after else ''}"
    return Fault(name, after, lambda _: Told(status, headers=headers))


RESET_BEFORE = Fault("reset before the server", False, lambda _: Told(resets=True))
RESET_AFTER = Fault("reset after the server", True, lambda _: Told(resets=True))
TRUNCATED = Fault("truncated", True, _truncated)
DELAYED = Fault("delayed", True, seconds=0.05)
SILENT = Fault("silent after the server", True, lambda _: Told(resets=True), seconds=60)
"""Longer than any client of a test waits, whose ``Limits`` must be shorter."""
UNAVAILABLE_AFTER = _refuses(502, after=True)
"""What a gateway says whose server answered too late."""
REFUSALS = tuple(_refuses(status) for status in (401, 403, 404, 412, 423, 429, 500, 503, 507))
ASK_TO_WAIT = (_refuses(429, "1"), _refuses(503, "1"))
FAULTS = (RESET_BEFORE, RESET_AFTER, TRUNCATED, DELAYED, UNAVAILABLE_AFTER, *REFUSALS, *ASK_TO_WAIT)
"""All but the one that costs a client its whole patience."""

Plan = Callable[[Asked], Fault | None]


def in_turn(*faults: Fault | None) -> Plan:
    """These, request by request, and none any more after the last."""
    left = iter(faults)
    lock = threading.Lock()

    def plan(_: Asked) -> Fault | None:
        with lock:
            return next(left, None)

    return plan


def at_random(seed: int, rate: float, faults: Sequence[Fault] = FAULTS) -> Plan:
    """Each request fails with this probability, the same ones for the same seed and order of requests."""
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    lock = threading.Lock()

    def plan(_: Asked) -> Fault | None:
        with lock:
            return chance.choice(faults) if chance.random() < rate else None

    return plan


def to(method: str, plan: Plan) -> Plan:
    """The plan, for requests of one method."""
    return lambda asked: plan(asked) if asked.method == method else None


@dataclass(frozen=True)
class Done:
    """What became of a request: the fault, if any, and what the server answered; 0 where it did not get it."""

    method: str
    path: str
    fault: str
    status: int


class FaultProxy:
    """``address`` is to be used instead of the server's; ``plan`` may be exchanged at any time."""

    def __init__(self, server: str, plan: Plan | None) -> None:
        split = urlsplit(server)
        assert split.scheme == "http"
        self._host, self._port = split.hostname or "", split.port or 80
        self.plan: Plan = plan or in_turn()
        self.done: list[Done] = []
        self.ending = threading.Event()
        self.front: ScriptedServer

    @property
    def address(self) -> str:
        return self.front.address.replace("localhost", "127.0.0.1")

    def faults(self) -> Iterable[str]:
        """The names of the faults that were made, in order."""
        return [done.fault for done in self.done if done.fault]

    def __call__(self, asked: Asked) -> Told:
        fault = self.plan(asked)
        told = Told(0)
        try:
            if fault is None or fault.forwarded:
                told = self._forward(asked)
        finally:
            self.done.append(Done(asked.method, asked.path, fault.name if fault else "", told.status))
        if fault is None:
            return told
        if fault.seconds:
            self.ending.wait(fault.seconds)
        return fault.told(told)

    def _forward(self, asked: Asked) -> Told:
        server = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            server.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                if name != "connection":
                    server.putheader(name, value)
            server.endheaders(asked.body)
            answer = server.getresponse()
            body = answer.read()
            kept = {
                name: value
                for name, value in _joined(answer.getheaders())
                if name.lower() not in {"connection", "content-length", "transfer-encoding", "upgrade", "keep-alive"}
            }
            return Told(answer.status, body, kept)
        finally:
            server.close()


def _joined(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Headers of one name as one, as RFC 9110 section 5.3 allows; Cyrus has several of DAV."""
    joined: dict[str, tuple[str, str]] = {}
    for name, value in headers:
        before = joined.get(name.lower())
        joined[name.lower()] = (name, f"{before[1]}, {value}" if before else value)
    return joined.values()


@contextmanager
def faulty(server: str, plan: Plan | None = None) -> Iterator[FaultProxy]:
    """Stand before the server at this address (plain http)."""
    proxy = FaultProxy(server, plan)
    with scripted(proxy) as proxy.front:
        try:
            yield proxy
        finally:
            proxy.ending.set()
