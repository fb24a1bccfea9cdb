"""The limits of Outlook's service in Graph (throttling-limits, includes/throttling-outlook), and faults on demand."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.graph_stand_in.clock import Clock
from tests.support.graph_stand_in.errors import Refusal

AT_ONCE = 4
IN_A_WINDOW = 10_000
WINDOW_SECONDS = 600
UPLOAD_OCTETS = 150_000_000
UPLOAD_SECONDS = 300


class Limits:
    """Per application and mailbox: four requests at once, 10,000 in ten minutes, 150 MB sent in five."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at_once = AT_ONCE
        self.in_a_window = IN_A_WINDOW
        self.retry_after = 10
        self.most_at_once = 0
        """The highest number of requests of one application that were under way for one mailbox."""
        self.refused = 0
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], int] = {}
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}
        self._uploads: dict[tuple[str, str], tuple[float, int]] = {}

    @contextmanager
    def place(self, application: str, mailbox: str, places: int = 1) -> Iterator[int]:
        """Hold places for requests that run at once; as many as are free. Raises 429 where there is none."""
        key = (application, mailbox)
        with self._lock:
            held = min(places, self.at_once - self._under_way.get(key, 0))
            if held <= 0:
                self.refused += 1
                raise self._over("Application is over its MailboxConcurrency limit.", self.retry_after)
            self._under_way[key] = self._under_way.get(key, 0) + held
            self.most_at_once = max(self.most_at_once, self._under_way[key])
        try:
            yield held
        finally:
            with self._lock:
                self._under_way[key] -= held

    def count(self, application: str, mailbox: str, octets: int = 0) -> None:
        """Count a request against the ten minutes, and what it sends. Raises 429 with the seconds that are left."""
        key = (application, mailbox)
        now = self.clock.now().timestamp()
        with self._lock:
            begun, count = self._windows.get(key, (now, 0))
            if now - begun >= WINDOW_SECONDS:
                begun, count = now, 0
            if count >= self.in_a_window:
                self.refused += 1
                left = int(begun + WINDOW_SECONDS - now) + 1
                raise self._over("Application is over its RequestsPerTenMinutes limit.", left)
            self._windows[key] = (begun, count + 1)
            if not octets:
                return
            begun, sent = self._uploads.get(key, (now, 0))
            if now - begun >= UPLOAD_SECONDS:
                begun, sent = now, 0
            if sent + octets > UPLOAD_OCTETS:
                self.refused += 1
                raise self._over("Application is over its upload limit.", int(begun + UPLOAD_SECONDS - now) + 1)
            self._uploads[key] = (begun, sent + octets)

    @staticmethod
    def _over(message: str, seconds: int) -> Refusal:
        return Refusal(429, "ApplicationThrottled", message, {"Retry-After": str(seconds)})


@dataclass
class Fault:
    """What happens to the next requests that match: an error, or a connection that does not do what it should.

    ``cut``: "before" or "after" the request is carried out; ``broken``: "garbage" or "truncated" as the answer."""

    status: int = 0
    code: str = ""
    retry_after: int | None = None
    cut: str = ""
    broken: str = ""
    delay: float = 0.0
    method: str = ""
    path: str = ""
    times: int = 1
    after: bool = False
    """Whether an error is answered although the request was carried out (a 504 of the gateway)."""

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in ("", method) and self.path in path


KINDS = ("429", "503", "504", "504-after", "cut-before", "cut-after", "garbage", "truncated")
_CODES = {429: "TooManyRequests", 503: "ServiceUnavailable", 504: "GatewayTimeout", 500: "InternalServerError"}


def fault_of(kind: str) -> Fault:
    """A fault by its name, one of :data:`KINDS`."""
    if kind.startswith("cut-"):
        return Fault(cut=kind.removeprefix("cut-"))
    if kind in ("garbage", "truncated"):
        return Fault(broken=kind)
    status = int(kind[:3])
    return Fault(status, retry_after=0 if status in (429, 503) else None, after=kind.endswith("-after"))


class Faults:
    """Faults that were ordered, in their order, and faults at random."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.ordered: list[Fault] = []
        self.rate = 0.0
        self.kinds: Sequence[str] = KINDS
        self.methods: Sequence[str] = ()
        self.random = random.Random(0)  # noqa: S311 - faults that can be repeated
        self.happened = 0

    def of(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        with self._lock:
            for fault in self.ordered:
                if fault.fits(method, path):
                    fault.times -= 1
                    self.happened += 1
                    return fault
            if self.rate and (not self.methods or method in self.methods) and self.random.random() < self.rate:
                self.happened += 1
                return fault_of(self.random.choice(list(self.kinds)))
        return None


def refusal_of(fault: Fault) -> Refusal:
    """The error that a fault answers."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Refusal(fault.status, fault.code or _CODES.get(fault.status, "UnknownError"), "Injected.", headers)
