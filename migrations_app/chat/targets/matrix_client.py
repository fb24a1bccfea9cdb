"""Requests to a Matrix homeserver as an application service: checked, bounded, within its limits.

What a request may have done when its answer was lost is told apart: :class:`Unknown` where nobody knows, a
``TargetProblem`` where it certainly was not done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from typing import IO, Any, cast
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from migrations_app.chat.targets.base import TargetProblem
from migrations_app.failures import Failure
from migrations_app.https.addresses import parse
from migrations_app.https.session import Answer, Interrupted, Limits, Session, TooLarge
from migrations_app.https.waiting import wait_stated
from tenants_app.sentences import Sentence, sentence

JSON = dict[str, Any]
MOST_WAITED = 20.0
"""Seconds that a request which the server puts off is waited for here; more is for whoever imports."""
TRIES = 3
"""How often a request is sent that may be sent again, such as one that only reads."""
_LIMITS = Limits(write=120, whole=300, answer=20_000_000)
_MEDIA_WHOLE = 3_600.0
_DEFAULT_WAIT = 1.0
_LONGEST_REASON = 300
_CLIENT = "/_matrix/client"
_CODES: Mapping[str, str] = {
    "mailbox-address": "chat-target-address",
    "mailbox-certificate": "chat-target-certificate",
    "mailbox-unavailable": "chat-target-unavailable",
}


class Unknown(Exception):
    """A request was sent, and nobody knows whether it was carried out. ``why`` is one clause."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Refused(TargetProblem):
    """The homeserver answered that it does not do it; ``status`` and ``errcode`` as it gave them."""

    def __init__(self, status: int, errcode: str, sentence: str, code: str, *, is_of_room: bool) -> None:
        super().__init__(code, sentence, is_of_room=is_of_room)
        self.status = status
        self.errcode = errcode


def segment(text: str) -> str:
    """An id or a name as one part of a path."""
    return quote(text, safe="")


def canonical_size(content: Mapping[str, Any]) -> int:
    """Octets of the canonical JSON of an event's content, by which homeservers measure (64 KiB with all the rest)."""
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())


class MatrixClient:
    """A homeserver as one application service sees it. Requests go one after the other.

    ``user`` in a method is for whom the application service speaks; None: for itself. Raises ``TargetProblem``.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        allowed_hosts: Collection[str] = (),
        ca_certificates: str = "",
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        try:
            self._origin, base = parse(address)
            self._session = Session(allowed_hosts, _LIMITS, ca_certificates=ca_certificates)
            self._session.check_scheme(self._origin)
        except Failure as failure:
            raise _problem_of(failure) from None
        self._base = base.rstrip("/")
        self._token = token
        self.wait = wait
        self._allowed, self._ca = allowed_hosts, ca_certificates
        self._media: Session | None = None

    def close(self) -> None:
        self._session.close()
        if self._media:
            self._media.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, user: str | None = None) -> JSON:
        """What stands at a path such as ``rooms/!a/state``; sent again where it may help."""
        return self._again("GET", path, None, query, user)

    def find(self, path: str, query: Mapping[str, str] | None = None, *, user: str | None = None) -> JSON | None:
        """The same; None where there is nothing, or nothing that this user may see."""
        try:
            return self.get(path, query, user=user)
        except Refused as refused:
            if refused.status in {403, 404}:
                return None
            raise

    def settle(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        query: Mapping[str, str] | None = None,
        *,
        user: str | None = None,
    ) -> JSON:
        """A change that may be made twice without harm: it is made again where nobody knows whether it was."""
        return self._again(method, path, body, query, user)

    def once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        query: Mapping[str, str] | None = None,
        *,
        user: str | None = None,
    ) -> JSON:
        """A change that is sent once. Raises ``Unknown`` too."""
        return self._answered(method, _CLIENT + "/v3/" + path, body, query, user)

    def upload(self, file: IO[bytes], size: int, name: str, kind: str) -> str:
        """Store a file of that many octets; the address (``mxc://``) that it gets. Raises ``Unknown`` too."""
        href = self._href("/_matrix/media/v3/upload", {"filename": name} if name else None, None)
        headers = {"Content-Type": kind, "Content-Length": str(size)}
        with self._sent(self._of_media(), "POST", href, headers, file) as answer:
            content = _object(answer)
        uri = content.get("content_uri")
        if not isinstance(uri, str) or not uri.startswith("mxc://"):
            raise Unknown(sentence("the homeserver does not say where it stored a file"))
        return uri

    def download(self, uri: str) -> IO[bytes]:
        """The octets of a stored file, as a file that whoever gets it closes."""
        server, _, media = uri.removeprefix("mxc://").partition("/")
        path = f"/_matrix/client/v1/media/download/{segment(server)}/{segment(media)}"
        href = self._href(path, None, None)
        for tries in range(1, TRIES + 1):
            try:
                return self._sent(self._of_media(), "GET", href, {}, b"").body
            except Unknown as unknown:
                if tries == TRIES:
                    raise unavailable(unknown.why) from None
        raise AssertionError

    def media_limit(self) -> int | None:
        """Octets of the largest file that it takes; None where it does not say."""
        try:
            size = self._media_config().get("m.upload.size")
        except Refused:
            return None
        return size if isinstance(size, int) and size > 0 else None

    def _media_config(self) -> JSON:
        try:
            return self._retried("GET", "/_matrix/client/v1/media/config", None, None, None)
        except Refused:  # before version 1.11 of the specification
            return self._retried("GET", "/_matrix/media/v3/config", None, None, None)

    def administration(self, path: str, query: Mapping[str, str]) -> JSON | None:
        """What Synapse's interface for administrators answers; None where this account is none, or it is another
        homeserver."""
        try:
            return self._retried("GET", "/_synapse/admin/" + path, None, query, None)
        except (Refused, TargetProblem):
            return None

    def _of_media(self) -> Session:
        """Connections for files, which may be larger and take longer than anything else."""
        if self._media is None:
            limits = Limits(write=_MEDIA_WHOLE, whole=_MEDIA_WHOLE, answer=1 << 40)
            self._media = Session(self._allowed, limits, ca_certificates=self._ca)
        return self._media

    def _again(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None, user: str | None
    ) -> JSON:
        return self._retried(method, _CLIENT + "/v3/" + path, body, query, user)

    def _retried(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None, user: str | None
    ) -> JSON:
        for tries in range(1, TRIES + 1):
            try:
                return self._answered(method, path, body, query, user)
            except Unknown as unknown:
                if tries == TRIES:
                    raise unavailable(unknown.why) from None
        raise AssertionError

    def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None, user: str | None
    ) -> JSON:
        headers = {} if body is None else {"Content-Type": "application/json"}
        octets = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        with self._sent(self._session, method, self._href(path, query, user), headers, octets) as answer:
            return _object(answer)

    def _href(self, path: str, query: Mapping[str, str] | None, user: str | None) -> str:
        parameters = {**(query or {}), **({"user_id": user} if user else {})}
        return self._base + path + ("?" + urlencode(parameters, quote_via=quote) if parameters else "")

    def _sent(
        self, session: Session, method: str, href: str, headers: Mapping[str, str], body: bytes | IO[bytes]
    ) -> Answer:
        """A good answer to a request, which is sent again as long as the homeserver says that it was too early."""
        waited = 0.0
        begins = None if isinstance(body, bytes) else body.tell()
        while True:
            if begins is not None:
                cast("IO[bytes]", body).seek(begins)
            try:
                answer = session.send(
                    method,
                    self._origin,
                    href,
                    {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **headers},
                    body,
                    is_slow=method != "GET",
                )
            except Interrupted as interrupted:
                raise Unknown(interrupted.why) from None
            except TooLarge as failure:
                raise unusable(failure.detail) from None
            except Failure as failure:
                raise _problem_of(failure) from None
            if answer.status == 200:
                return answer
            with answer:
                if answer.status != 429:
                    raise self._refused(answer, _user_of(href))
                wait = _wait_of(answer)
            if waited + wait > MOST_WAITED:
                raise TargetProblem(
                    "chat-target-busy",
                    sentence(
                        "The homeserver at %(host)s asks to wait %(seconds)s seconds. Let its application service "
                        "write without limits (rate_limited: false in its registration).",
                        host=self._origin.host,
                        seconds=str(round(wait)),
                    ),
                    is_of_room=False,
                    retry_after=wait,
                    waits=True,
                )
            self.wait(wait)
            waited += wait

    def _refused(self, answer: Answer, user: str) -> Exception:
        try:
            said = _object(answer)
        except Unknown:
            said = {}
        errcode, reason = str(said.get("errcode", "")), str(said.get("error", ""))[:_LONGEST_REASON]
        if answer.status >= 500:
            return Unknown(sentence("%(host)s answered %(status)s", host=self._origin.host, status=str(answer.status)))
        if answer.status == 401:
            return Refused(
                answer.status,
                errcode,
                sentence(
                    "The homeserver at %(host)s does not know the token of the application service. Give it the "
                    "registration that get_chat_registration writes, restart it, and enter the same token here.",
                    host=self._origin.host,
                ),
                "chat-target-sign-in",
                is_of_room=False,
            )
        if not errcode:
            return unusable(
                sentence(
                    "%(host)s answered %(status)s about %(path)s as no homeserver does",
                    host=self._origin.host,
                    status=str(answer.status),
                    path=answer.base,
                )
            )
        told = {"host": self._origin.host, "errcode": errcode, "reason": reason.rstrip(".")}
        why = (
            sentence("The homeserver at %(host)s refused for %(user)s: %(errcode)s, %(reason)s.", user=user, **told)
            if user
            else sentence("The homeserver at %(host)s refused: %(errcode)s, %(reason)s.", **told)
        )
        return Refused(answer.status, errcode, why, "chat-target-refused", is_of_room=True)


def unavailable(why: str) -> TargetProblem:
    """That the homeserver does not answer."""
    return TargetProblem(
        "chat-target-unavailable",
        sentence("The homeserver does not answer as it should: %(why)s.", why=why),
        is_of_room=False,
        waits=True,
    )


def unusable(why: str) -> TargetProblem:
    """That an answer is none of a homeserver."""
    return TargetProblem(
        "chat-target-answer",
        sentence("The answer of the homeserver cannot be used: %(why)s.", why=why),
        is_of_room=False,
    )


def _user_of(href: str) -> str:
    """For whom a request speaks; empty where it is for the application service itself."""
    return next(iter(parse_qs(urlsplit(href).query).get("user_id", [])), "")


def _problem_of(failure: Failure) -> TargetProblem:
    code = _CODES.get(failure.code, "chat-target-unavailable")
    why: Sentence | str = failure.detail or failure.what
    return TargetProblem(
        code,
        sentence("MMS cannot use the homeserver: %(why)s.", why=why),
        is_of_room=False,
        waits=code == "chat-target-unavailable",
    )


def _object(answer: Answer) -> JSON:
    """The JSON object of an answer. ``Unknown`` where it is none: the request may have been carried out."""
    try:
        content = json.load(answer.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Unknown(sentence("the answer about %(path)s is no JSON object", path=answer.base))
    return content


def _wait_of(answer: Answer) -> float:
    """Seconds that a 429 asks for: the header, or what homeservers said in the body before it was used."""
    stated = wait_stated(answer.headers.get("retry-after", ""))
    if stated is not None:
        return max(stated.total_seconds(), 0.1)
    try:
        milliseconds = float(_object(answer).get("retry_after_ms", 0))
    except (Unknown, TypeError, ValueError):
        milliseconds = 0
    return milliseconds / 1_000 if 0 < milliseconds < 86_400_000 else _DEFAULT_WAIT
