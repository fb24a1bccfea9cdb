"""What Graph answers, and what its refusals mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from migrations_app.failures import Failure
from migrations_app.https.waiting import wait_stated
from tenants_app.sentences import sentence

JSON = Mapping[str, Any]
"""A JSON object."""

_ANSWERS = {404, 409, 412}
"""Refusals that answer the question."""
_NO_MAILBOX = {
    "errorinvaliduser": sentence("there is no such mailbox"),
    "errornonexistentmailbox": sentence("there is no such mailbox"),
    "errorinvalidmailbox": sentence("there is no such mailbox"),
    "mailboxnotenabledforrestapi": sentence("the mailbox is not in Exchange Online, or has no licence"),
    "mailboxnotsupportedforrestapi": sentence("the mailbox is of a kind that Graph does not reach"),
    "mailboxnothosted": sentence("the mailbox is not in Exchange Online"),
    "resourcenotfound": sentence("there is no such mailbox"),
}
"""By Graph's code. They come as 404 too, and say nothing of a meeting."""
_OF_THE_CALENDAR = re.compile(r"/(calendars?|calendarview|events|mailfolders|mailboxsettings)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Graph answered. ``error`` is its ``error.code``, empty where there is none."""

    status: int
    body: JSON
    headers: Mapping[str, str]
    """Names in lower case."""
    error: str = ""
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.status // 100 == 2


class Refusal(Failure):
    """Graph refused, in a way that is no answer; ``answer`` is what it said, for whoever knows better what it means."""

    def __init__(self, code: str, detail: str, answer: Answer, *, is_of_one_mailbox: bool = False) -> None:
        super().__init__(code, detail, wait_stated(answer.headers.get("retry-after", "")))
        self.answer = answer
        self.is_of_one_mailbox = is_of_one_mailbox


class NotJson(Exception):
    """An answer that should be a JSON object is none."""


def read_object(body: IO[bytes]) -> JSON:
    """The JSON object that an answer consists of; an empty one of nothing. Raises ``NotJson``."""
    octets = body.read()
    if not octets.strip():
        return {}
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(found, dict):
        raise NotJson
    return found


def answer_of(status: int, headers: Mapping[str, str], body: JSON) -> Answer:
    """The answer, with Graph's code and sentence where it is an error."""
    error = body.get("error")
    error = error if status >= 400 and isinstance(error, dict) else {}
    return Answer(
        status,
        body,
        {name.lower(): value for name, value in headers.items()},
        _line(error.get("code"), 100),
        _line(error.get("message"), 300),
    )


def check(answer: Answer, method: str, path: str) -> Answer:
    """The answer, if it is one to the question. Raises :class:`Refusal` otherwise."""
    status, code = answer.status, answer.error.lower()
    where = path.partition("?")[0]
    if status == 404 and code in _NO_MAILBOX:
        raise Refusal("mailbox-not-found", _NO_MAILBOX[code], answer, is_of_one_mailbox=True)
    if status // 100 == 2 or status in _ANSWERS:
        return answer
    if status == 401:
        raise Refusal(
            "mailbox-sign-in-refused",
            _told(sentence("Graph does not accept the token that it asks for"), answer),
            answer,
        )
    if status == 403:
        raise _forbidden(answer, where)
    if status == 429:
        raise Refusal("mailbox-throttled", "", answer, is_of_one_mailbox=True)
    if status == 503:
        raise Refusal("mailbox-unavailable", _told(sentence("Graph is not available"), answer), answer)
    if status >= 500 or status in {408, 423}:
        raise Refusal(
            "mailbox-unavailable", _told(sentence("about %(path)s", path=where), answer), answer, is_of_one_mailbox=True
        )
    if method != "GET" and 400 <= status < 500:
        raise Refusal("meeting-refused-by-server", _told("", answer), answer, is_of_one_mailbox=True)
    raise Refusal(
        "mailbox-answer", _told(sentence("about %(path)s", path=where), answer), answer, is_of_one_mailbox=True
    )


def _forbidden(answer: Answer, path: str) -> Refusal:
    code, message = answer.error.lower(), answer.message.lower()
    if "odata is disabled" in message or "[raop]" in message:
        return Refusal("mailbox-outside-policy", "", answer, is_of_one_mailbox=True)
    if code == "authorization_requestdenied":
        return Refusal(
            "application-without-consent",
            _told(sentence("for %(path)s", path=path), answer),
            answer,
            is_of_one_mailbox=True,
        )
    if _OF_THE_CALENDAR.search(path) and code in {"erroraccessdenied", ""}:
        detail = sentence("the application has neither Calendars.ReadWrite nor a role whose scope holds this mailbox")
        return Refusal("mailbox-forbidden", detail, answer, is_of_one_mailbox=True)
    return Refusal(
        "mailbox-forbidden", _told(sentence("for %(path)s", path=path), answer), answer, is_of_one_mailbox=True
    )


def _told(about: str, answer: Answer) -> str:
    what = f"{answer.status} {answer.error}: {answer.message}".rstrip(": ") if answer.error or answer.message else ""
    said = sentence("Graph answered %(answer)s", answer=what or str(answer.status))
    return sentence("%(about)s: %(said)s", about=about, said=said) if about else said


def _line(text: object, longest: int) -> str:
    """In one line, without what could steer a terminal."""
    words = " ".join(str(text or "").split())
    return "".join(character for character in words if character.isprintable())[:longest]
