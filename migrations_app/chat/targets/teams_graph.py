"""Teams as the target asks it: through Microsoft Graph, no faster than Teams allows, each refusal in a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from migrations_app.chat.targets.base import TargetProblem, Unanswered
from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, MOST_IN_A_BATCH, Answer, Graph, Refusal, Unsettled
from tenants_app.sentences import sentence

T = TypeVar("T")

WAIT: Callable[[float], object] = time.sleep
CLOCK: Callable[[], float] = time.monotonic
"""How whoever is told nothing else waits."""

MOST_WAITED = 30.0
"""Seconds that one request waits for what Teams puts off; more is for the queue to wait."""
_PUT_OFF = 5.0
"""Seconds, where Teams does not say how long."""
_IN_A_ROOM = 1 / 4
"""Seconds between two requests to one team: Graph takes four of an application in a second."""
_OF_THE_SIGN_IN = frozenset(
    {
        "application-unknown",
        "application-without-consent",
        "certificate-refused",
        "directory-unknown",
        "mailbox-sign-in-refused",
        "secret-expired",
        "secret-refused",
    }
)


class TeamsGraph:
    """Requests about teams. Raises ``TargetProblem``, and ``Unanswered`` where a write may have been carried out.

    ``wait`` and ``clock`` are in seconds.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._graph = graph
        self._wait = wait or WAIT
        self._clock = clock or CLOCK
        self._next: dict[str, float] = {}

    def close(self) -> None:
        self._graph.close()

    def sign_in(self, *, anew: bool = False) -> frozenset[str]:
        """The application permissions that Entra has given; those of now where it is asked ``anew``."""
        self._asked(partial(self._graph.sign_in, anew=anew))
        return self._graph.roles

    def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON | None:
        """What is at a path; None where nothing is."""
        answer = self._asked(lambda: self._graph.get(path, params))
        return answer.body if answer.ok else None

    def list(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[JSON]:
        """All values of a list, page by page."""
        href, seen = "", set[str]()
        while True:
            values, href = self._asked(partial(self._graph.page, path, href, params))
            yield from values
            if not href:
                return
            if href in seen:
                raise problem_of(Failure("mailbox-answer", sentence("Graph lists %(path)s without an end", path=path)))
            seen.add(href)

    def get_many(self, paths: Sequence[str]) -> Iterator[JSON | None]:
        """What is at each of the paths, in their order."""
        for begin in range(0, len(paths), MOST_IN_A_BATCH):
            some = paths[begin : begin + MOST_IN_A_BATCH]
            for answer in self._asked(partial(self._graph.batch, some)):
                if answer.status == 429:
                    raise _busy(_PUT_OFF)
                yield answer.body if answer.ok else None

    def post(self, path: str, body: JSON) -> Answer:
        """An answer to what is asked for: done, or 404, or 409."""
        self._pace(path)
        return self._asked(lambda: self._graph.post(path, body))

    def patch(self, path: str, body: JSON) -> Answer:
        self._pace(path)
        return self._asked(lambda: self._graph.patch(path, body))

    def delete(self, path: str) -> Answer:
        self._pace(path)
        return self._asked(lambda: self._graph.delete(path))

    def put(self, path: str, octets: bytes) -> Answer:
        return self._asked(lambda: self._graph.put(path, octets))

    def wait(self, seconds: float) -> None:
        """Let some time pass before it is asked again."""
        self._wait(seconds)

    def _pace(self, path: str) -> None:
        team = "/".join(path.split("/")[:3])
        now = self._clock()
        due = self._next.get(team, now)
        if due > now:
            self._wait(due - now)
        self._next[team] = max(due, now) + _IN_A_ROOM

    def _asked(self, ask: Callable[[], T]) -> T:
        waited = 0.0
        while True:
            try:
                return ask()
            except Unsettled as lost:
                raise Unanswered(lost.why) from lost
            except Failure as failure:
                seconds = _PUT_OFF if failure.retry_after is None else failure.retry_after.total_seconds()
                if failure.code != "mailbox-throttled":
                    raise problem_of(failure) from failure
                seconds = max(seconds, 1.0)
                if waited + seconds > MOST_WAITED:
                    raise _busy(seconds) from failure
                waited += seconds
                self._wait(seconds)


def problem_of(failure: Failure) -> TargetProblem:
    """What a failure of Graph means to an import."""
    retry_after = None if failure.retry_after is None else failure.retry_after.total_seconds()
    if failure.code == "mailbox-throttled":
        return _busy(retry_after)
    if failure.code == "mailbox-unavailable":
        return TargetProblem(
            "chat-target-unavailable",
            sentence("Teams does not answer: %(why)s.", why=failure.detail or "503"),
            is_of_room=False,
            waits=True,
            retry_after=retry_after,
        )
    if failure.code in _OF_THE_SIGN_IN:
        return TargetProblem("chat-target-sign-in", failure.told, is_of_room=failure.code.endswith("without-consent"))
    if failure.code.startswith("mailbox-forbidden"):
        return TargetProblem(
            "chat-target-refused",
            sentence(
                "Teams does not let the application do this: %(why)s. Grant it the permissions that the guide lists; "
                "a channel that another application took into migration mode can be completed by that one alone.",
                why=failure.detail,
            ),
        )
    if failure.code in {"mailbox-address", "mailbox-certificate"}:
        return TargetProblem(failure.code.replace("mailbox", "chat-target"), failure.told, is_of_room=False)
    if failure.code == "mailbox-answer":
        return TargetProblem(
            "chat-target-answer",
            sentence("Teams answered what cannot be understood: %(why)s.", why=failure.detail),
            waits=True,
        )
    return TargetProblem("chat-target-refused", sentence("Teams refused it: %(why)s.", why=failure.detail))


def refused_with(problem: TargetProblem, status: int) -> bool:
    """Whether Graph answered the request with this status."""
    cause = problem.__cause__
    return isinstance(cause, Refusal) and cause.answer.status == status


def _busy(retry_after: float | None) -> TargetProblem:
    return TargetProblem(
        "chat-target-busy",
        sentence("Teams asks MMS to wait before the next request."),
        waits=True,
        retry_after=retry_after,
    )
