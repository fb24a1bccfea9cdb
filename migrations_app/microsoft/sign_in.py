"""Signing in as an application (OAuth 2.0 client credentials, by certificate or secret) with ``msal``."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from migrations_app.failures import Failure
from migrations_app.https.addresses import Origin, parse
from migrations_app.https.session import Answer, Interrupted, Session
from migrations_app.https.waiting import wait_stated
from migrations_app.microsoft.clouds import Cloud
from tenants_app.sentences import sentence

# What msal logs of an answer that it cannot read is all of it, and a token may be in there.
logging.getLogger("msal").setLevel(logging.CRITICAL + 1)

RENEWED_BEFORE = 300
"""Seconds before its end at which a token is used no more."""
_MOST_OCTETS = 1_000_000
"""Of an answer about a sign-in."""
_MOST_KEPT = 1_000
_LONGEST = 86_400
"""Seconds for which a token is used, whatever is said of it."""
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What msal raises of answers that it does not expect."""
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]*(?:-(?!----)[^-]*)*-----END \1-----")

_UNKNOWN_DIRECTORY = {90002, 90013, 900021, 900023}
_UNKNOWN_APPLICATION = {700016, 90094, 7000112, 700014, 700054}
_REFUSED_SECRET = {7000215, 7000216, 7000218}
_ENDED_SECRET = {7000222}
_WRONG_CLOCK = {700024}
_REFUSED_CERTIFICATE = {700021, 700023, 700025, 700027, 700030, 50012, 50027, 7000214, 1000502}
_NO_CONSENT = {65001, 65004, 90008, 650052, 650056, 650057, 500011, 501051, 50105, 70011, 1002012}
_KEPT_OUT = {53000, 53001, 53003, 530003, 530035, 50020, 7000113}
"""By the numbers of AADSTS errors."""


@dataclass(frozen=True, slots=True)
class Application:
    """An app registration. ``credential`` is a client secret, or a private key with its certificate in PEM form."""

    cloud: Cloud
    directory_id: str
    client_id: str
    credential: str = field(repr=False)

    @property
    def has_certificate(self) -> bool:
        """Whether the credential is a certificate with its key, and no secret."""
        return "-----BEGIN" in self.credential


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    used_until: float
    """Of ``time.monotonic``."""


_tokens: dict[Application, _Token] = {}
"""Of this process, by the application that they were given to."""


def token(application: Application, session: Session, refused: str = "") -> str:
    """An access token for Graph. One that was ``refused`` is not given again.

    Raises ``Failure``: ``mailbox-unavailable``, or one of the codes that say what is wrong with the application.
    """
    kept = _tokens.get(application)
    if kept and kept.text != refused and time.monotonic() < kept.used_until:
        return kept.text
    new = _signed_in(application, session)
    if len(_tokens) >= _MOST_KEPT:
        _tokens.clear()
    _tokens[application] = new
    return new.text


def forget(application: Application) -> None:
    """Sign in anew the next time, as where an administrator asks whether it works."""
    _tokens.pop(application, None)


def _signed_in(application: Application, session: Session) -> _Token:
    import msal  # loaded where somebody signs in: it takes as long as all else that a command begins with

    cloud, directory = application.cloud, application.directory_id.strip()
    http = _Http(application, session)
    asked = time.monotonic()
    try:
        # One each time, because what it keeps of an answer would outlive what an administrator has put right.
        client = msal.ConfidentialClientApplication(
            application.client_id.strip(),
            client_credential=_credential(application),
            authority=f"{http.authority}/{quote(directory, safe='')}",
            instance_discovery=False,
            http_client=http,
        )
    except Interrupted as interrupted:
        raise Failure("mailbox-unavailable", interrupted.why) from None
    except _UNREADABLE:  # its sentence may quote the answer or the key
        if application.has_certificate and http.has_answered:
            raise Failure(
                "certificate-refused", sentence("the private key or the certificate cannot be used")
            ) from None
        raise _unusable(http.origin) from None
    try:
        result = client.acquire_token_for_client([cloud.scope])
    except Interrupted as interrupted:
        raise Failure("mailbox-unavailable", interrupted.why) from None
    except _UNREADABLE:
        raise _unusable(http.origin) from None
    text, lasts = result.get("access_token"), result.get("expires_in")
    if isinstance(text, str) and text and text.isascii() and text.isprintable():
        seconds = min(lasts, _LONGEST) if isinstance(lasts, int) and lasts > 0 else 0
        return _Token(text, asked + seconds - RENEWED_BEFORE)
    raise refusal(result, application)


def _unusable(origin: Origin) -> Failure:
    return Failure("mailbox-answer", sentence("%(host)s gave an answer to the sign-in that is none", host=origin.host))


def _credential(application: Application) -> str | dict[str, str]:
    if not application.has_certificate:
        return application.credential
    parts = {match[1]: match[0] for match in reversed(list(_PEM.finditer(application.credential)))}
    key = next((text for name, text in parts.items() if name.endswith("PRIVATE KEY")), "")
    if not key or "CERTIFICATE" not in parts:
        raise Failure("certificate-refused", sentence("the private key or the certificate is missing"))
    return {"private_key": key, "public_certificate": parts["CERTIFICATE"]}


def refusal(result: Mapping[str, Any], application: Application) -> Failure:
    """What the sign-in's refusal means. Nothing that was sent is in it: only the number of the error is told on."""
    numbers = _numbers(result)
    told = f"AADSTS{numbers[0]}" if numbers else _word(result.get("error"))
    client, directory = application.client_id, application.directory_id
    for known, code, detail in (
        (
            _UNKNOWN_DIRECTORY,
            "directory-unknown",
            sentence("there is no directory %(directory)s in this cloud", directory=directory),
        ),
        (
            _UNKNOWN_APPLICATION,
            "application-unknown",
            sentence(
                "%(client)s is not in %(directory)s, or is switched off there", client=client, directory=directory
            ),
        ),
        (_ENDED_SECRET, "secret-expired", sentence("the client secret of %(client)s has ended", client=client)),
        (_REFUSED_SECRET, "secret-refused", sentence("it is not the client secret of %(client)s", client=client)),
        (_WRONG_CLOCK, "certificate-refused", sentence("the clock of the machine that MMS runs on is wrong")),
        (
            _REFUSED_CERTIFICATE,
            "certificate-refused",
            sentence("it is not registered with %(client)s, or has expired", client=client),
        ),
        (_NO_CONSENT, "application-without-consent", sentence("%(client)s was not given what it needs", client=client)),
        (
            _KEPT_OUT,
            "mailbox-sign-in-refused",
            sentence(
                "a rule of %(directory)s (Conditional Access) keeps %(client)s out", directory=directory, client=client
            ),
        ),
    ):
        if known & set(numbers):
            return Failure(code, sentence("%(detail)s (%(told)s)", detail=detail, told=told))
    return Failure(
        "mailbox-sign-in-refused", sentence("Microsoft does not let %(client)s in (%(told)s)", client=client, told=told)
    )


def _numbers(result: Mapping[str, Any]) -> list[int]:
    given = result.get("error_codes")
    numbers = [code for code in given if isinstance(code, int)] if isinstance(given, list) else []
    found = re.findall(r"AADSTS([0-9]{4,8})", str(result.get("error_description", ""))[:2000])
    return list(dict.fromkeys([*numbers, *map(int, found)]))


def _word(text: object) -> str:
    word = str(text or "")
    return word if re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", word) else sentence("no reason given")


class _Http:
    """What ``msal`` asks with, over our own connections.

    It knows https alone. For a sign-in that is spoken to without TLS, as the operator alone can allow, addresses are
    https to ``msal`` and http on the wire.
    """

    def __init__(self, application: Application, session: Session) -> None:
        self.origin, _ = parse(application.cloud.authority)
        session.check_scheme(self.origin)
        self.authority = self._as_https(str(self.origin))
        self.has_answered = False
        self._application = application
        self._session = session

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _Response:
        if params:
            url = f"{url}?{urlencode(params)}"
        answer = self._ask("GET", url, headers, b"")
        if 400 <= answer.status_code < 500:  # to msal it would be a sentence with all of it
            raise refusal(_object(answer.text), self._application)
        return answer

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> _Response:
        if params:
            url = f"{url}?{urlencode(params)}"
        body = data if isinstance(data, str) else urlencode(data or {})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", url, {**form, **(headers or {})}, body.encode())

    def close(self) -> None:
        """The session is somebody else's."""

    def _ask(self, method: str, url: str, headers: Mapping[str, Any] | None, body: bytes) -> _Response:
        from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS

        origin, _ = parse(url)
        if self._as_https(str(origin)) == self.authority:
            origin = self.origin
        elif origin.scheme != "https" or origin.host not in WELL_KNOWN_AUTHORITY_HOSTS or origin.port != 443:
            # A secret is sent to nobody else, whatever an answer names.
            raise Failure(
                "mailbox-answer",
                sentence(
                    "%(host)s leads the sign-in to %(origin_host)s", host=self.origin.host, origin_host=origin.host
                ),
            )
        href = "/" + url.split("://", 1)[-1].partition("/")[2]
        sent = {name: str(value) for name, value in (headers or {}).items()}
        with self._answer(method, origin, href, sent, body) as answer:
            octets = answer.body.read(_MOST_OCTETS)
            if answer.status == 429 or answer.status >= 500:
                raise Failure(
                    "mailbox-unavailable",
                    sentence(
                        "the sign-in at %(host)s was answered with %(status)s", host=origin.host, status=answer.status
                    ),
                    wait_stated(answer.headers.get("retry-after", "")),
                )
            self.has_answered = True
            text = octets.decode("utf-8", "replace")
            if self.origin.scheme == "http":
                text = text.replace(str(self.origin), self.authority)
            return _Response(answer.status, text, dict(answer.headers))

    def _answer(self, method: str, origin: Origin, href: str, headers: Mapping[str, str], body: bytes) -> Answer:
        before = self._session.opened
        try:
            return self._session.send(method, origin, href, headers, body)
        except Interrupted:
            if self._session.opened != before:
                raise
            return self._session.send(method, origin, href, headers, body)  # on a connection that was kept open

    @staticmethod
    def _as_https(address: str) -> str:
        return f"https://{address.partition('://')[2]}"


@dataclass(frozen=True, slots=True)
class _Response:
    """In the shape that ``msal`` knows."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ValueError("an answer that is none")


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
