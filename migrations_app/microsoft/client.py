"""Requests to Microsoft Graph: signed in, bounded in time and size, within its limits, each failure with a code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Self
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from migrations_app.failures import Failure
from migrations_app.https.addresses import parse
from migrations_app.https.session import Interrupted, Limits, Session, TooLarge
from migrations_app.https.waiting import wait_stated
from migrations_app.microsoft import sign_in
from migrations_app.microsoft.answers import JSON, Answer, NotJson, Refusal, answer_of, check, read_object
from migrations_app.microsoft.permissions import roles_of
from migrations_app.microsoft.sign_in import Application
from tenants_app.sentences import sentence

__all__ = ["JSON", "MOST_IN_A_BATCH", "Answer", "Graph", "Limits", "Refusal", "Unsettled", "encoded", "segment"]

MOST_IN_A_BATCH = 20
"""Requests that one ``$batch`` may hold; each counts by itself against the limits."""
MOST_WAITED = 30.0
"""Seconds that the requests of one batch are waited for, which Graph puts off; more is for the queue to wait."""
MOST_PAGES = 10_000
_LIMITS = Limits(write=120, whole=300)
_VERSION = "/v1.0"
_IMMUTABLE = 'IdType="ImmutableId"'
_DEFAULT_WAIT = 5.0
_LEAST_WAIT = 1.0
"""Who asks for none again and again is not asked for ever."""
_UNDECIDED = {408, 500, 502, 504}
"""After these a request that writes may have been carried out."""


class Unsettled(Exception):
    """Nobody knows whether a request that writes was carried out: read back, and never write again on suspicion.

    ``why`` is one clause; ``retry_after`` what Graph asks for before the next request.
    """

    def __init__(self, why: str, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after = retry_after


def segment(text: str) -> str:
    """A name or an id as one part of a path."""
    return quote(text, safe="@!$'()*,;:-._~=")


class Graph:
    """Graph as one application sees it. A session: closed by ``with``.

    A status that answers the question (200 to 299, 404, 409, 412) is an :class:`Answer`; every other raises
    ``Failure`` with a code of the catalogue, mostly a :class:`Refusal`, with ``retry_after`` where Graph asks to wait.
    A 404 that is about the mailbox, and not about what is in it, is a ``Failure`` too. ``Unsettled`` is raised where a
    request that writes may have been carried out, or not. Requests go one after the other, so that no mailbox has more
    than one at a time from one ``Graph``.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits | None = None,
        *,
        allowed_hosts: Collection[str] = (),
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.application = application
        self._session = Session(allowed_hosts, limits or _LIMITS, connections=2)  # one to the sign-in, one to Graph
        self._origin, _ = parse(application.cloud.graph)
        self._wait = wait
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def sign_in(self, *, anew: bool = False) -> None:
        """Sign in, as happens by itself before the first request; ``anew`` even with a token. Raises ``Failure``."""
        if anew:
            sign_in.forget(self.application)
        self._token = sign_in.token(self.application, self._session)

    @property
    def roles(self) -> frozenset[str]:
        """The application permissions that Entra has given, once signed in; what Exchange gives is not among them."""
        return roles_of(self._token)

    def get(self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()) -> Answer:
        """Ask for one thing. ``path`` such as ``/users/anna@contoso.com/events``; ``Prefer: IdType="ImmutableId"`` goes
        with every request."""
        return self._answered("GET", _path(path, params), _headers(prefer))

    def pages(
        self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()
    ) -> Iterator[Sequence[JSON]]:
        """All values of a list, a page at a time (``@odata.nextLink``, which leads to no other origin).

        What is not there (404) is a ``Failure`` here.
        """
        href, seen = _path(path, params), set[str]()
        while href:
            if href in seen or len(seen) >= MOST_PAGES:
                raise Failure("mailbox-answer", sentence("Graph lists %(path)s without an end", path=path))
            seen.add(href)
            values, href = self.page(path, href, prefer=prefer)
            yield values

    def page(
        self, path: str, href: str = "", params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()
    ) -> tuple[Sequence[JSON], str]:
        """One page of a list, and where the next is, empty after the last; the first where no ``href`` is given."""
        answer = self._answered("GET", href or _path(path, params), _headers(prefer))
        if not answer.ok:
            raise Refusal(
                "mailbox-not-found",
                sentence(
                    "Graph answered %(status)s %(error)s about %(path)s",
                    status=answer.status,
                    error=answer.error,
                    path=path,
                ),
                answer,
            )
        values = answer.body.get("value")
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise Failure("mailbox-answer", sentence("Graph lists %(path)s as something else than a list", path=path))
        return values, self._next(answer.body.get("@odata.nextLink"), path)

    def patch(self, path: str, body: JSON, etag: str = "", prefer: Sequence[str] = ()) -> Answer:
        """Change one thing, on condition of its ETag (``If-Match``) where one is given. Sent once."""
        headers = {**_headers(prefer), **({"If-Match": etag} if etag else {})}
        return self._answered("PATCH", _path(path), headers, body)

    def post(self, path: str, body: JSON, prefer: Sequence[str] = (), language: str = "") -> Answer:
        """Ask for an action; ``language`` goes as ``Accept-Language``. Sent once."""
        headers = {**_headers(prefer), **({"Accept-Language": language} if language else {})}
        return self._answered("POST", _path(path), headers, body)

    def put(self, path: str, octets: bytes) -> Answer:
        """Put a file where the path says; one that is there is replaced. Sent once."""
        return self._answered("PUT", _path(path), _headers(()), octets)

    def delete(self, path: str, prefer: Sequence[str] = ()) -> Answer:
        """Remove one thing, as checks do with what they have made. Sent once."""
        return self._answered("DELETE", _path(path), _headers(prefer))

    def batch(self, paths: Sequence[str], prefer: Sequence[str] = ()) -> Sequence[Answer]:
        """What is at several paths, in their order; what Graph put off (429 inside) is asked again.

        Raises as a single request would, for the first whose answer is none.
        """
        if len(paths) > MOST_IN_A_BATCH:
            raise ValueError(f"a batch holds at most {MOST_IN_A_BATCH} requests")
        answers: dict[int, Answer] = {}
        waited = 0.0
        while left := [number for number in range(len(paths)) if number not in answers]:
            inner = self._batch({number: paths[number] for number in left}, prefer)
            put_off = [number for number in left if inner[number].status == 429]
            answers.update({number: inner[number] for number in left if number not in put_off})
            if not put_off:
                break
            pause = max(_LEAST_WAIT, *(_seconds(inner[number]) for number in put_off))
            if waited + pause > MOST_WAITED:
                answers.update({number: inner[number] for number in put_off})
                break
            waited += pause
            self._wait(pause)
        return [_settled(answers[number], "GET", path) for number, path in enumerate(paths)]

    # How it is asked

    def _batch(self, paths: Mapping[int, str], prefer: Sequence[str]) -> Mapping[int, Answer]:
        headers = {"Prefer": _prefer(prefer)}
        requests = [
            {"id": str(number), "method": "GET", "url": _path(path, version=""), "headers": headers}
            for number, path in paths.items()
        ]
        outer = self._answered("POST", f"{_VERSION}/$batch", _headers(()), {"requests": requests}, is_read=True)
        answers: dict[int, Answer] = {}
        twice = set[int]()
        told = outer.body.get("responses")
        for response in told if isinstance(told, list) else []:
            try:
                number, status = int(response["id"]), int(response["status"])
                headers, body = response.get("headers") or {}, response.get("body") or {}
                answer = answer_of(
                    status,
                    {str(name): str(value) for name, value in headers.items()},
                    body if isinstance(body, dict) else {},
                )
            except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
                continue
            twice |= {number} & answers.keys()
            answers[number] = answer
        if twice or not paths.keys() <= answers.keys():
            why = (
                sentence("Graph answered twice what a batch asked")
                if twice
                else sentence("Graph left without an answer what a batch asked")
            )
            raise Failure("mailbox-answer", why)
        return answers

    def _answered(
        self,
        method: str,
        href: str,
        headers: Mapping[str, str],
        body: JSON | bytes | None = None,
        *,
        is_read: bool = False,
    ) -> Answer:
        writes = method != "GET" and not is_read
        if not self._token:
            self.sign_in()
        answer = self._sent(method, href, headers, body, writes=writes)
        if answer.status == 401:  # not carried out; the token ended before its time, or was withdrawn
            self._token = sign_in.token(self.application, self._session, refused=self._token)
            answer = self._sent(method, href, headers, body, writes=writes)
        return _settled(answer, method if writes else "GET", href)

    def _sent(
        self, method: str, href: str, headers: Mapping[str, str], body: JSON | bytes | None, *, writes: bool
    ) -> Answer:
        octets = body if isinstance(body, bytes) else b"" if body is None else encoded(body)
        is_json = body is not None and not isinstance(body, bytes)
        kind = {"Content-Type": "application/json" if is_json else "application/octet-stream"} if octets else {}
        sent = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "client-request-id": str(uuid4()),
            **kind,
            **headers,
        }
        before = self._session.opened
        again = False
        while True:
            try:
                with self._session.send(method, self._origin, href, sent, octets, is_slow=writes) as answer:
                    return answer_of(answer.status, answer.headers, read_object(answer.body))
            except (Interrupted, TooLarge, NotJson) as error:
                why = _why(error, href)
                if writes:
                    raise Unsettled(why) from None
                if isinstance(error, Interrupted) and self._session.opened == before and not again:
                    again = True  # lost on a connection that was kept open
                    continue
                code = "mailbox-unavailable" if isinstance(error, Interrupted) else "mailbox-answer"
                failure = Failure(code, why)
                failure.is_of_one_mailbox = code == "mailbox-answer"
                raise failure from None

    def _next(self, link: object, path: str) -> str:
        if not link:
            return ""
        try:
            origin, _ = parse(str(link))
            parts = urlsplit(str(link))
        except (Failure, ValueError):
            origin = None
        if origin != self._origin:
            raise Failure(
                "mailbox-answer", sentence("Graph continues the list of %(path)s on another server", path=path)
            )
        return quote(f"{parts.path}?{parts.query}", safe=_AS_IT_IS)


_AS_IT_IS = "/?&=%@!$'()*+,;:-._~"


def _path(path: str, params: Mapping[str, str] | None = None, version: str = _VERSION) -> str:
    query = urlencode(params, quote_via=quote, safe="$") if params else ""
    return quote(f"{version}{path}", safe=_AS_IT_IS) + (f"?{query}" if query else "")


def encoded(body: JSON) -> bytes:
    """The octets in which a body is sent."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character, which only an escape can carry
        return json.dumps(body).encode()


def _prefer(prefer: Sequence[str]) -> str:
    return ", ".join([_IMMUTABLE, *prefer])


def _headers(prefer: Sequence[str]) -> Mapping[str, str]:
    return {"Prefer": _prefer(prefer)}


def _settled(answer: Answer, method: str, href: str) -> Answer:
    """The answer, if it says what became of the request. Raises ``Unsettled`` or ``Failure``."""
    retry_after = wait_stated(answer.headers.get("retry-after", ""))
    if method != "GET" and (answer.status in _UNDECIDED or (answer.status == 503 and retry_after is None)):
        raise Unsettled(
            sentence("Graph answered %(status)s about %(value)s", status=answer.status, value=href.partition("?")[0]),
            retry_after,
        )
    return check(answer, method, href)


def _seconds(answer: Answer) -> float:
    stated = wait_stated(answer.headers.get("retry-after", ""))
    return _DEFAULT_WAIT if stated is None else stated.total_seconds()


def _why(error: Exception, href: str) -> str:
    if isinstance(error, Interrupted):
        return error.why
    if isinstance(error, TooLarge):
        return error.detail
    return sentence("the answer of Graph about %(path)s is no JSON object", path=href.partition("?")[0])
